"""What agents may spend: shown and changed. The coordinator that has the agent answers."""

from typing import Any, Final

from podium.base.http import Answer, Call, Endpoint, Streamed
from podium.gateway.api.agents import AGENT, TAG
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.parts import Parts
from podium.wire.budgets import AgentBudget, BudgetRequest
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Permission

_REACH: Final = (
    ErrorCode.AGENT_NOT_FOUND,
    ErrorCode.INSTANCE_STOPPING,
    ErrorCode.QUOTA_EXCEEDED,
    ErrorCode.COORDINATOR_UNREACHABLE,
    ErrorCode.DRAINING,
    ErrorCode.AGENT_TIMEOUT,
)


class Budgets:
    """Routes of budgets."""

    def __init__(self, parts: Parts, forwarder: Forwarder) -> None:
        self._parts = parts
        self._forwarder = forwarder

    async def get_budget(self, call: Call) -> Answer | Streamed:
        """What an agent may spend and has spent."""
        return await self._forward(call, "GET")

    async def set_budget(self, call: Call) -> Answer | Streamed:
        """Sets what an agent may spend."""
        return await self._forward(call, "PUT")

    async def _forward(self, call: Call, method: str) -> Answer | Streamed:
        record = await self._parts.resolver.agent(call.identity, call.path["agent_id"])
        if record.coordinator_id is None:
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "the agent has no data on any host")
        home = await self._parts.homes.of_agent(record)
        return await self._forwarder.to_coordinator(call, home, method, f"/agents/{record.agent_id}/budget")

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        shared: dict[str, Any] = {
            "path": "/api/v1/agents/{agent_id}/budget",
            "tag": TAG,
            "params": {"agent_id": AGENT},
            "answers": {200: AgentBudget},
            "errors": _REACH,
        }
        return [
            Endpoint(
                method="GET",
                handler=self.get_budget,
                access=Permission.INSTANCES_READ,
                summary="Show an agent's budget",
                description="What it may spend in all its life, what it has spent by its `usage.update` events, and whether it is paused.",
                **shared,
            ),
            Endpoint(
                method="PUT",
                handler=self.set_budget,
                audited=True,
                access=Permission.INSTANCES_WRITE,
                summary="Set an agent's budget",
                description="An agent that was paused goes on if there is more now: its turn is run again, then the messages that waited.",
                body=BudgetRequest,
                examples={"body": {"budget_micro_dollars": 5_000_000}},
                **shared,
            ),
        ]
