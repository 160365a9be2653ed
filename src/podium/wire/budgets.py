"""What an agent may spend, over REST and as its event. Money is micro-dollars: millionths of a dollar."""

from typing import Annotated

import msgspec
from msgspec import Meta

MicroDollars = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class BudgetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PUT /api/v1/agents/{agent_id}/budget`: what the agent may spend in all its life; 0: no limit."""

    budget_micro_dollars: MicroDollars


class AgentBudget(msgspec.Struct, frozen=True):
    """What an agent may spend (0: no limit), what it has spent by its `usage.update` events, and whether it is paused for that."""

    agent_id: str
    budget_micro_dollars: int
    spent_micro_dollars: int
    paused: bool
