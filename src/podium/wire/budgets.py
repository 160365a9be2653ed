"""What an agent may spend, over REST and as its event. Money is micro-dollars: millionths of a dollar."""

import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

MicroDollars = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class BudgetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PUT /api/v1/agents/{agent_id}/budget`: what the agent may spend in all its life; 0: no limit."""

    budget_micro_dollars: MicroDollars


class Allowance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`PUT /api/v1/tenants/{tenant_id}/budget`: what all agents of a tenant together may spend in a day and in a month (UTC), in
    micro-dollars; 0: no limit, absent: as the daemons are configured."""

    per_day: MicroDollars | None = None
    per_month: MicroDollars | None = None

    def over(self, configured: "Allowance") -> "Allowance":
        """With what is `configured` where nothing is set."""
        return Allowance(
            configured.per_day if self.per_day is None else self.per_day,
            configured.per_month if self.per_month is None else self.per_month,
        )

    def is_spent(self, day: int, month: int) -> bool:
        """Whether nothing more may be spent after so much in the day and the month."""
        return bool((self.per_day and day >= self.per_day) or (self.per_month and month >= self.per_month))


def day_of(now_ms: int) -> str:
    """The day (UTC) of a moment in epoch milliseconds, as spending is counted by: `2026-11-21`."""
    return datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC).date().isoformat()


class TenantBudget(msgspec.Struct, frozen=True):
    """What all agents of a tenant together may spend (0: no limit), what they have spent today and this month (UTC), in micro-dollars,
    and whether they are paused for that."""

    tenant_id: str
    per_day: int
    per_month: int
    spent_today: int
    spent_this_month: int
    paused: bool


class AgentBudget(msgspec.Struct, frozen=True):
    """What an agent may spend (0: no limit), what it has spent by its `usage.update` events, and whether it is paused for that."""

    agent_id: str
    budget_micro_dollars: int
    spent_micro_dollars: int
    paused: bool
