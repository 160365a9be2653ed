"""`/api/v1/agents`: durable identities."""

from typing import Annotated

from msgspec import Meta

from podium.base.discovery import AgentRecord, InstanceFilter, InstanceRecord
from podium.base.http import Answer, Call, Endpoint, Param
from podium.gateway.adapters.coordinators import FIRST_ERROR_STATUS, Request, refusal
from podium.gateway.api.paging import ListQuery, page_of
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PAGE_MAX
from podium.wire.rest import Agent, Page, Permission
from podium.wire.status import ALIVE

TAG = "agents"
AGENT = Param(Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")], ErrorCode.AGENT_NOT_FOUND, "Agent id")


class Agents:
    """Routes of agents."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list_agents(self, call: Call) -> Page[Agent]:
        """Agents by id."""
        query: ListQuery = call.query
        found = await self._parts.discovery.agents(call.identity.tenant_id, query.cursor, query.limit + 1)
        alive = {record.agent_id: await self._alive(record) for record in found[: query.limit]}
        return page_of(
            found, query.limit, lambda record: _shown(record, alive[record.agent_id]), lambda record: record.agent_id
        )

    async def get_agent(self, call: Call) -> Agent:
        """One agent."""
        record = await self._parts.resolver.agent(call.identity, call.path["agent_id"])
        return _shown(record, await self._alive(record))

    async def delete_agent(self, call: Call) -> Answer:
        """Erases an agent: its data where they lie, then what discovery knows of it."""
        record = await self._parts.resolver.agent(call.identity, call.path["agent_id"])
        if await self._alive(record) is not None:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "stop its instance first")
        if record.coordinator_id is not None:
            coordinator = await self._parts.coordinators.find(record.coordinator_id)
            request = Request("DELETE", f"/agents/{record.agent_id}", call.identity, call.request_id)
            reply = await self._parts.coordinators.call(coordinator, request)
            if reply.status >= FIRST_ERROR_STATUS and (error := refusal(reply)).code is not ErrorCode.AGENT_NOT_FOUND:
                raise error
        await self._forget(record)
        return Answer(204)

    async def _forget(self, record: AgentRecord) -> None:
        discovery = self._parts.discovery
        wanted = InstanceFilter(agent_id=record.agent_id)
        while found := await discovery.instances(wanted, None, PAGE_MAX):
            await discovery.remove_instances([instance.instance_id for instance in found])
        await discovery.remove_agent(record.agent_id)

    async def _alive(self, record: AgentRecord) -> InstanceRecord | None:
        instance = await self._parts.discovery.instance(record.instance_id) if record.instance_id else None
        return instance if instance is not None and instance.status in ALIVE else None

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        path, one = "/api/v1/agents", "/api/v1/agents/{agent_id}"
        return [
            Endpoint(
                method="GET",
                path=path,
                handler=self.list_agents,
                tag=TAG,
                access=Permission.INSTANCES_READ,
                summary="List agents",
                query=ListQuery,
                answers={200: Page[Agent]},
            ),
            Endpoint(
                method="GET",
                path=one,
                handler=self.get_agent,
                tag=TAG,
                access=Permission.INSTANCES_READ,
                summary="Show an agent",
                params={"agent_id": AGENT},
                answers={200: Agent},
                errors=(ErrorCode.AGENT_NOT_FOUND,),
            ),
            Endpoint(
                method="DELETE",
                path=one,
                handler=self.delete_agent,
                audited=True,
                tag=TAG,
                access=Permission.INSTANCES_WRITE,
                summary="Erase an agent",
                description="State, messages, logs and workspace. 409 while an instance is alive.",
                params={"agent_id": AGENT},
                answers={204: None},
                errors=(
                    ErrorCode.AGENT_NOT_FOUND,
                    ErrorCode.AGENT_IN_USE,
                    ErrorCode.COORDINATOR_UNREACHABLE,
                    ErrorCode.AGENT_TIMEOUT,
                ),
            ),
        ]


def _shown(record: AgentRecord, alive: InstanceRecord | None) -> Agent:
    return Agent(
        record.agent_id,
        record.tenant_id,
        record.agent_type,
        record.last_deployment_id,
        record.epoch,
        record.created_at,
        alive.instance_id if alive else None,
        alive.status if alive else None,
    )
