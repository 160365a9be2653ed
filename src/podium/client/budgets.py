"""What agents may spend."""

from podium.client.call import Call, api_path, read_as
from podium.client.transport import Transport
from podium.wire.budgets import AgentBudget, Allowance, TenantBudget
from podium.wire.errors import as_json


class Budgets:
    """`/api/v1/agents/{agent_id}/budget` and, for admins, `/api/v1/tenants/{tenant_id}/budget`. Money is micro-dollars."""

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

    async def of_tenant(self, tenant_id: str) -> TenantBudget:
        """What all agents of a tenant may spend and have spent today and this month (UTC), and whether they are paused."""
        call = Call("get_tenant_budget", "GET", api_path("tenants", tenant_id, "budget"))
        return read_as(TenantBudget, await self._transport.send(call), call)

    async def set_of_tenant(self, tenant_id: str, allowance: Allowance) -> TenantBudget:
        """Sets what all agents of a tenant may spend. Paused ones go on within seconds if there is more now."""
        call = Call("set_tenant_budget", "PUT", api_path("tenants", tenant_id, "budget"), as_json(allowance))
        return read_as(TenantBudget, await self._transport.send(call), call)
