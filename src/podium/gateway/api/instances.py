"""`/api/v1/instances`: create, list, look, stop."""

from typing import Annotated, Final

from msgspec import Meta

from podium.base.discovery import InstanceFilter
from podium.base.http import Answer, Call, Endpoint, HeaderParam, Param, Streamed
from podium.gateway.adapters.creator import Creator
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.api.paging import ListQuery, page_of
from podium.gateway.domain.creation import as_instance
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode
from podium.wire.limits import CREATE_TIMEOUT_SECONDS, IDEMPOTENCY_KEY_MAX_CHARS
from podium.wire.rest import AgentId, AgentType, Instance, InstanceCreate, InstanceInfo, Page, Permission
from podium.wire.status import InstanceStatus

TAG = "instances"

INSTANCE: Final = Param(
    Annotated[str, Meta(min_length=1, max_length=64)], ErrorCode.INSTANCE_NOT_FOUND, "Instance id (`inst-…`)"
)
REACH: Final = (
    ErrorCode.INSTANCE_NOT_FOUND,
    ErrorCode.INSTANCE_STOPPING,
    ErrorCode.INSTANCE_FAILED,
    ErrorCode.COORDINATOR_UNREACHABLE,
    ErrorCode.DRAINING,
    ErrorCode.AGENT_TIMEOUT,
)
"""What every route may answer that asks the instance's coordinator."""

IDEMPOTENCY: Final = HeaderParam(
    "Idempotency-Key",
    "The same key gives the same answer for 24 h, also while the first call is still running",
    {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX_CHARS},
)


class InstancesQuery(ListQuery, frozen=True):
    """Filters of the list."""

    status: InstanceStatus | None = None
    agent_type: AgentType | None = None
    agent_id: AgentId | None = None


class Instances:
    """Routes of instances."""

    def __init__(self, parts: Parts, forwarder: Forwarder) -> None:
        self._parts = parts
        self._forwarder = forwarder
        self._creator = Creator(parts)

    async def create_instance(self, call: Call) -> Answer:
        """Creates an instance or continues an agent."""
        instance, is_new = await self._creator.create(call)
        return Answer(201 if is_new else 200, instance)

    async def list_instances(self, call: Call) -> Page[Instance]:
        """Instances, newest first."""
        query: InstancesQuery = call.query
        wanted = InstanceFilter(call.identity.tenant_id, query.status, query.agent_type, query.agent_id)
        found = await self._parts.discovery.instances(wanted, query.cursor, query.limit + 1)
        return page_of(found, query.limit, as_instance, lambda record: record.instance_id)

    async def get_instance(self, call: Call) -> Answer | Streamed:
        """An instance in full."""
        return await self._forwarder.to_instance(call, "GET", "/info")

    async def stop_instance(self, call: Call) -> Answer | Streamed:
        """Stops an instance."""
        return await self._forwarder.to_instance(call, "DELETE", "", seconds=CREATE_TIMEOUT_SECONDS)

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        path, one = "/api/v1/instances", "/api/v1/instances/{instance_id}"
        return [
            Endpoint(
                method="POST",
                path=path,
                handler=self.create_instance,
                tag=TAG,
                access=Permission.INSTANCES_WRITE,
                summary="Create an instance, or continue an agent",
                description=(
                    "Answers when the agent is ready or has failed. An `agent_id` that exists continues that agent. "
                    "200: the agent is alive with the same deployment already."
                ),
                headers=(IDEMPOTENCY,),
                body=InstanceCreate,
                answers={201: Instance, 200: Instance},
                errors=(
                    ErrorCode.DEPLOYMENT_NOT_FOUND,
                    ErrorCode.AGENT_NOT_FOUND,
                    ErrorCode.AGENT_IN_USE,
                    ErrorCode.INSTANCE_STOPPING,
                    ErrorCode.IDEMPOTENCY_CONFLICT,
                    ErrorCode.CHECKSUM_MISMATCH,
                    ErrorCode.AGENT_START_FAILED,
                    ErrorCode.QUOTA_EXCEEDED,
                    ErrorCode.NO_COORDINATOR_AVAILABLE,
                    ErrorCode.COORDINATOR_UNREACHABLE,
                    ErrorCode.DRAINING,
                    ErrorCode.AGENT_TIMEOUT,
                ),
                examples={"body": {"deployment_id": "echo:1.0.0", "agent_id": "my-echo"}},
            ),
            Endpoint(
                method="GET",
                path=path,
                handler=self.list_instances,
                tag=TAG,
                access=Permission.INSTANCES_READ,
                summary="List instances",
                query=InstancesQuery,
                answers={200: Page[Instance]},
            ),
            Endpoint(
                method="GET",
                path=one,
                handler=self.get_instance,
                tag=TAG,
                access=Permission.INSTANCES_READ,
                summary="Show an instance",
                description="200 while it is alive or asleep: a liveness probe.",
                params={"instance_id": INSTANCE},
                answers={200: InstanceInfo},
                errors=REACH,
            ),
            Endpoint(
                method="DELETE",
                path=one,
                handler=self.stop_instance,
                tag=TAG,
                access=Permission.INSTANCES_WRITE,
                summary="Stop an instance",
                description="Graceful, then by force, each bounded. The agent's data stay.",
                params={"instance_id": INSTANCE},
                answers={204: None},
                errors=REACH,
            ),
        ]
