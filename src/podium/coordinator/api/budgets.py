"""Budgets of agents over REST: shown and changed."""

from typing import Any

from podium.base.http import CLUSTER, Call, Endpoint, Param
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.supervisor import moments
from podium.wire import rest
from podium.wire.budgets import AgentBudget, BudgetRequest
from podium.wire.errors import ErrorCode, PodiumError

_AGENT = Param(rest.AgentId, ErrorCode.AGENT_NOT_FOUND)


class Budgets:
    """Handlers about budgets."""

    def __init__(self, lookup: Lookup) -> None:
        self._supervisor = lookup.supervisor

    async def get_budget(self, call: Call) -> AgentBudget:
        """What an agent may spend and has spent."""
        return moments.resident(self._supervisor, call.path["agent_id"], call.identity.tenant_id).budget.shown()

    async def set_budget(self, call: Call) -> AgentBudget:
        """Sets what an agent may spend; one that is paused goes on."""
        body: BudgetRequest = call.body
        instance = moments.resident(self._supervisor, call.path["agent_id"], call.identity.tenant_id)
        if instance.is_over:
            raise PodiumError(
                ErrorCode.INSTANCE_STOPPING,
                "the agent has no instance that runs; give the next one its budget with `limits.budget`",
            )
        shown = instance.budget.change(body.budget_micro_dollars)
        instance.rest()
        return shown

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        path, agent = "/agents/{agent_id}/budget", {"agent_id": _AGENT}
        shared: dict[str, Any] = {"path": path, "params": agent, "access": CLUSTER, "answers": {200: AgentBudget}}
        return [
            Endpoint(method="GET", handler=self.get_budget, summary="Budget of an agent", **shared),
            Endpoint(
                method="PUT", handler=self.set_budget, summary="Set an agent's budget", body=BudgetRequest, **shared
            ),
        ]
