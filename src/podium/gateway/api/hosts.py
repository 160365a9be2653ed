"""`/api/v1/coordinators`: the hosts, and taking one out of service."""

from typing import Annotated

from msgspec import Meta

from podium.base.discovery import CoordinatorRecord
from podium.base.http import Answer, Call, Endpoint, Param, Streamed
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.api.paging import ListQuery, page_of
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Coordinator, Page, Permission

TAG = "coordinators"


class Hosts:
    """Routes of coordinators."""

    def __init__(self, parts: Parts, forwarder: Forwarder) -> None:
        self._parts = parts
        self._forwarder = forwarder

    async def list_coordinators(self, call: Call) -> Page[Coordinator]:
        """Coordinators by id."""
        query: ListQuery = call.query
        known = await self._parts.coordinators.all(fresh=True)
        found = [record for record in known if query.cursor is None or record.coordinator_id > query.cursor]
        return page_of(found, query.limit, _shown, lambda record: record.coordinator_id)

    async def drain_coordinator(self, call: Call) -> Answer | Streamed:
        """Tells a coordinator to take no new agents and move what runs."""
        coordinator_id: str = call.path["coordinator_id"]
        known = {record.coordinator_id: record for record in await self._parts.coordinators.all(fresh=True)}
        if coordinator_id not in known:
            raise PodiumError(ErrorCode.COORDINATOR_NOT_FOUND, "there is no such coordinator")
        answer = await self._forwarder.to_coordinator(call, known[coordinator_id], "POST", "/admin/drain")
        return Answer(202) if isinstance(answer, Answer) and answer.status < 300 else answer

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        return [
            Endpoint(
                method="GET",
                path="/api/v1/coordinators",
                handler=self.list_coordinators,
                tag=TAG,
                access=Permission.ADMIN,
                summary="List coordinators",
                query=ListQuery,
                answers={200: Page[Coordinator]},
            ),
            Endpoint(
                method="POST",
                path="/api/v1/coordinators/{coordinator_id}/drain",
                handler=self.drain_coordinator,
                audited=True,
                tag=TAG,
                access=Permission.ADMIN,
                summary="Drain a coordinator",
                params={
                    "coordinator_id": Param(
                        Annotated[str, Meta(min_length=1, max_length=128)], ErrorCode.COORDINATOR_NOT_FOUND
                    )
                },
                answers={202: None},
                errors=(
                    ErrorCode.COORDINATOR_NOT_FOUND,
                    ErrorCode.COORDINATOR_UNREACHABLE,
                    ErrorCode.AGENT_TIMEOUT,
                    ErrorCode.DRAINING,
                ),
            ),
        ]


def _shown(record: CoordinatorRecord) -> Coordinator:
    return Coordinator(record.coordinator_id, record.url, record.version, record.started_at, record.state, record.load)
