"""What agents may spend: shown and changed. The coordinator that has the agent answers; what a tenant may is in discovery."""

from typing import Any, Final

from podium.base.http import Answer, Call, Endpoint, Param, Streamed
from podium.gateway.api.agents import AGENT, TAG
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.parts import Parts
from podium.wire.budgets import AgentBudget, Allowance, BudgetRequest, TenantBudget, day_of
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.ids import is_tenant_id
from podium.wire.rest import Permission

TENANT_TAG: Final = "tenants"

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
        return await self._forwarder.to_agent(call, "GET", "/budget")

    async def set_budget(self, call: Call) -> Answer | Streamed:
        """Sets what an agent may spend."""
        return await self._forwarder.to_agent(call, "PUT", "/budget")

    async def get_tenant_budget(self, call: Call) -> TenantBudget:
        """What all agents of a tenant may spend and have spent."""
        return await self._of_tenant(call.path["tenant_id"])

    async def set_tenant_budget(self, call: Call) -> TenantBudget:
        """Sets what all agents of a tenant may spend; every coordinator learns of it by itself."""
        return await self._of_tenant(call.path["tenant_id"], call.body)

    async def _of_tenant(self, tenant_id: str, allowance: Allowance | None = None) -> TenantBudget:
        if not is_tenant_id(tenant_id):
            raise PodiumError(ErrorCode.INVALID_REQUEST, "a tenant id has no line breaks")
        today = day_of(self._parts.clock.now_ms())
        spending = await self._parts.discovery.add_spending(tenant_id, today, 0, allowance)
        allowed = spending.allowance.over(self._parts.options.tenant_allowance)
        return TenantBudget(
            tenant_id,
            allowed.per_day or 0,
            allowed.per_month or 0,
            spending.day,
            spending.month,
            allowed.is_spent(spending.day, spending.month),
        )

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
            *self._tenant_endpoints(),
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

    def _tenant_endpoints(self) -> list[Endpoint]:
        shared: dict[str, Any] = {
            "path": "/api/v1/tenants/{tenant_id}/budget",
            "tag": TENANT_TAG,
            "params": {"tenant_id": Param(missing=ErrorCode.INVALID_REQUEST)},
            "access": Permission.ADMIN,
            "answers": {200: TenantBudget},
        }
        return [
            Endpoint(
                method="GET",
                handler=self.get_tenant_budget,
                summary="Show a tenant's budget",
                description="What all its agents together may spend a day and a month (UTC), what they have spent on all hosts, and whether they are paused.",
                **shared,
            ),
            Endpoint(
                method="PUT",
                handler=self.set_tenant_budget,
                audited=True,
                summary="Set a tenant's budget",
                description="In the place of what the daemons are configured with. Agents that were paused go on within seconds if there is more now.",
                body=Allowance,
                examples={"body": {"per_day": 20_000_000}},
                **shared,
            ),
        ]
