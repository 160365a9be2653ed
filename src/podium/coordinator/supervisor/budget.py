"""What one agent may spend, alone and as one of its tenant's. What it has spent is the sum of its `usage.update` events, so it is as durable as these.

An agent that has spent its budget is paused: its process ends, its turn is run again when there is more, messages queue until then.
Nothing is lost, and nothing more is spent than by calls that were under way.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from podium.coordinator.supervisor.step import Step
from podium.wire.budgets import AgentBudget
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import BudgetUpdated
from podium.wire.units import money

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

RAISE_IT: Final = "the agent has spent its budget; raise it with `podium budget AGENT --set`: what was accepted is kept"

RAISE_TENANTS: Final = (
    "the tenant has spent its budget; an operator can raise it with `podium tenants budget`: what was accepted is kept"
)


class Budget:
    """The budget of one agent."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._spent: int | None = None

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may be spent, by the agent or by anybody of its tenant."""
        return self._own_is_spent or self._instance.around.tenants.is_spent(self._instance.facts.tenant_id)

    @property
    def _own_is_spent(self) -> bool:
        limit = self._instance.limits.budget_micro_dollars
        return bool(limit) and self._total() >= limit

    def shown(self) -> AgentBudget:
        """As clients see it."""
        limit = self._instance.limits.budget_micro_dollars
        spent = self._total()
        return AgentBudget(self._instance.facts.agent_id, limit, spent, self.is_spent)

    def check(self) -> None:
        """Refuses to wait for a turn that does not begin.

        Raises:
            PodiumError: `quota_exceeded`: the agent is paused.
        """
        if self.is_spent:
            raise PodiumError(ErrorCode.QUOTA_EXCEEDED, RAISE_IT if self._own_is_spent else RAISE_TENANTS)

    def spend(self, step: Step, micro_dollars: int) -> None:
        """The agent told what a call cost. With the last of its budget spent it is paused."""
        instance = self._instance
        limit = instance.limits.budget_micro_dollars
        if micro_dollars > 0:
            step.after.append(lambda: instance.around.tenants.spend(instance.facts.tenant_id, micro_dollars))
        if micro_dollars <= 0 or (not limit and self._spent is None):
            return
        before = self._total()
        self._spent = before + micro_dollars
        if not limit or not before < limit <= self._spent:
            return
        self._pause(step, f"paused: it has spent {money(self._spent)} of {money(limit)}", RAISE_IT)

    def pause_with_tenant(self) -> None:
        """The agent's tenant has spent what it may."""
        instance = self._instance
        if instance.life.busy:
            with instance.step() as step:
                self._pause(step, "paused: its tenant has spent what it may", RAISE_TENANTS)

    def go_on_with_tenant(self) -> None:
        """The agent's tenant may spend more."""
        instance = self._instance
        if instance.queue.has_work:
            with instance.step() as step:
                self._go_on(step)
            instance.life.wake_if_wanted()

    def change(self, micro_dollars: int) -> AgentBudget:
        """Sets what may be spent; an agent that was paused goes on if there is more now.

        Raises:
            PodiumError: `instance_stopping`, `instance_failed`: the instance is over.
        """
        instance = self._instance
        instance.limits = msgspec.structs.replace(instance.limits, budget_micro_dollars=micro_dollars)
        instance.facts.limits = msgspec.structs.replace(instance.facts.limits, budget=money(micro_dollars))
        instance.around.save_config(instance.facts)
        with instance.step() as step:
            self._go_on(step)
        if self.is_spent:
            instance.life.sleep()
        else:
            instance.life.wake_if_wanted()
        return self.shown()

    def _pause(self, step: Step, why: str, told: str) -> None:
        """In two parts: what is told in the step, and the end of the process after it."""
        instance = self._instance
        self._tell(step)
        instance.note(step, "warning", why)
        step.after.append(instance.life.sleep)
        step.told.append(lambda: instance.turns.release_waiters(told, ErrorCode.QUOTA_EXCEEDED))

    def _go_on(self, step: Step) -> None:
        self._tell(step)
        self._instance.turns.go_on(step)
        self._instance.settle(step)

    def _tell(self, step: Step) -> None:
        now = self.shown()
        content = BudgetUpdated(now.budget_micro_dollars, now.spent_micro_dollars, now.paused)
        step.event("budget.updated", content)

    def _total(self) -> int:
        if self._spent is None:
            with self._instance.reading() as store:
                self._spent = store.spent()
        return self._spent
