"""What agents may spend."""

from podium.client.call import Call, api_path, read_as
from podium.client.transport import Transport
from podium.wire.budgets import AgentBudget
from podium.wire.errors import as_json


class Budgets:
    """`/api/v1/agents/{agent_id}/budget`. Money is micro-dollars."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, agent_id: str) -> AgentBudget:
        """What the agent may spend and has spent, and whether it is paused."""
        call = Call("get_budget", "GET", api_path("agents", agent_id, "budget"))
        return read_as(AgentBudget, await self._transport.send(call), call)

    async def set(self, agent_id: str, budget_micro_dollars: int) -> AgentBudget:
        """Sets what the agent may spend in all its life, 0: no limit. One that is paused goes on if there is more now."""
        body = as_json({"budget_micro_dollars": budget_micro_dollars})
        call = Call("set_budget", "PUT", api_path("agents", agent_id, "budget"), body)
        return read_as(AgentBudget, await self._transport.send(call), call)
