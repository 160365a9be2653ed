"""What all agents of a tenant together may spend: counted in discovery, where all hosts add what their agents spent.

Agents of a tenant that has spent it are paused like those that have spent their own budget. What is spent is added soon, that of
many calls together; what other hosts added is learnt with the next addition, and while a tenant is paused by
asking. So hosts may spend a little more than is allowed: what calls under way cost, and while discovery is away what each host
spends beyond what it knew. Nothing that was added is lost then; it is added when discovery is back.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from podium.base.discovery import DiscoveryUnavailableError, Spending
from podium.wire.budgets import Allowance, day_of
from podium.wire.errors import PodiumError

if TYPE_CHECKING:
    from podium.coordinator.supervisor.budget import Budget
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

ASK_SECONDS: Final = 2.0
"""How often it is asked whether a paused tenant may go on, and tried again while discovery is away."""

GATHER_SECONDS: Final = 0.2
"""Least time between two rounds of additions."""


class _Known(NamedTuple):
    """What discovery answered last about a tenant, and of which day."""

    day: str
    spending: Spending

    def is_spent(self, today: str, more: int, configured: Allowance) -> bool:
        """Whether nothing more may be spent, `more` having been spent since. Sums of a period that is over don't count."""
        in_day = self.spending.day if self.day == today else 0
        in_month = self.spending.month if self.day[:7] == today[:7] else 0
        return self.spending.allowance.over(configured).is_spent(in_day + more, in_month + more)


class TenantBudgets:
    """The budgets of the tenants that have agents on this host."""

    def __init__(self, supervisor: "Supervisor", configured: Allowance) -> None:
        self._supervisor = supervisor
        self._configured = configured
        self._known: dict[str, _Known] = {}
        self._unsent: dict[str, int] = {}
        self._paused: set[str] = set()
        self._counting: asyncio.Task[None] | None = None

    def spend(self, tenant_id: str, micro_dollars: int) -> None:
        """An agent of the tenant spent this."""
        self._unsent[tenant_id] = self._unsent.get(tenant_id, 0) + micro_dollars
        tasks = self._supervisor.tasks
        if not tasks.is_closing and (self._counting is None or self._counting.done()):
            self._counting = tasks.start(self._count(), "count what tenants spend")
        if tenant_id not in self._paused and self.is_spent(tenant_id):
            asyncio.get_running_loop().call_soon(self._look)  # not within the step of who spent it

    def is_spent(self, tenant_id: str) -> bool:
        """Whether nothing more may be spent, as far as is known here. A tenant nothing is known of is asked about."""
        known = self._known.get(tenant_id)
        if known is None:
            if tenant_id not in self._unsent:
                self.spend(tenant_id, 0)
            return False
        return known.is_spent(self._today(), self._unsent.get(tenant_id, 0), self._configured)

    async def _count(self) -> None:
        """Adds what is spent, as long as there is something, and asks as long as somebody is paused."""
        while self._unsent or self._paused:
            pause = GATHER_SECONDS if self._unsent else ASK_SECONDS
            try:
                for tenant_id in {*self._unsent, *self._paused}:
                    await self._ask(tenant_id)
            except DiscoveryUnavailableError as error:
                _log.info("spending_not_counted", extra={"reason": str(error)})  # the announcer warns of it
                pause = ASK_SECONDS
            self._look()
            await asyncio.sleep(pause)

    async def _ask(self, tenant_id: str) -> None:
        today, amount = self._today(), self._unsent.pop(tenant_id, 0)
        try:
            spending = await self._supervisor.parts.discovery.add_spending(tenant_id, today, amount)
        except BaseException:
            self._unsent[tenant_id] = self._unsent.get(tenant_id, 0) + amount
            raise
        self._known[tenant_id] = _Known(today, spending)

    def _look(self) -> None:
        """Pauses the agents of tenants that have spent what they may, and lets those of others go on."""
        for tenant_id in self._known:
            spent = self.is_spent(tenant_id)
            if spent and tenant_id not in self._paused:
                self._paused.add(tenant_id)
                self._each(tenant_id, lambda budget: budget.pause_with_tenant())
            elif not spent and tenant_id in self._paused:
                self._paused.discard(tenant_id)
                self._each(tenant_id, lambda budget: budget.go_on_with_tenant())

    def _each(self, tenant_id: str, act: Callable[["Budget"], None]) -> None:
        for instance in list(self._supervisor.instances.values()):
            if instance.facts.tenant_id != tenant_id or instance.is_over or instance.lost:
                continue
            try:
                act(instance.budget)
            except PodiumError as error:  # it is over meanwhile, or its databases refuse
                _log.warning(
                    "budget_not_told", extra={"instance_id": instance.facts.instance_id, "reason": error.detail}
                )

    def _today(self) -> str:
        return day_of(self._supervisor.parts.clock.now_ms())
