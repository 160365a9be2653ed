"""Moments of an agent: listed, forked, gone back to. The coordinator that has the agent's data answers."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from podium.base.http import Answer, Call, Endpoint, Param, Streamed
from podium.gateway.adapters.coordinators import Request
from podium.gateway.api.forwarding import Forwarder, passed_back
from podium.gateway.api.paging import ListQuery
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError, as_json
from podium.wire.limits import CREATE_TIMEOUT_SECONDS
from podium.wire.moments import CoordinatorFork, Forked, ForkRequest, Moment, MomentTurn, RewindRequest, Rewound
from podium.wire.rest import Page, Permission

TAG: Final = "agents"

REWIND_SECONDS: Final = 300.0
"""How long a rewind may take: a turn that is cancelled has its grace, and files are written back."""

_JSON: Final = {"content-type": "application/json"}
_BASE: Final = "/api/v1/agents/{agent_id}"
_AGENT: Final = Param(Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")], ErrorCode.AGENT_NOT_FOUND, "Agent id")
_REACH: Final = (
    ErrorCode.AGENT_NOT_FOUND,
    ErrorCode.TURN_NOT_FOUND,
    ErrorCode.BUSY,
    ErrorCode.QUOTA_EXCEEDED,
    ErrorCode.COORDINATOR_UNREACHABLE,
    ErrorCode.DRAINING,
    ErrorCode.AGENT_TIMEOUT,
)


class MomentsQuery(ListQuery, frozen=True):
    """`at`: only the moment that a turn's id, or the `seq` of an event, means."""

    at: MomentTurn | None = None


class RewindQuery(msgspec.Struct, frozen=True):
    """`cancel`: a turn that runs or waits is cancelled first."""

    cancel: bool = False


class Moments:
    """Routes of moments."""

    def __init__(self, parts: Parts, forwarder: Forwarder) -> None:
        self._parts = parts
        self._forwarder = forwarder

    async def list_moments(self, call: Call) -> Answer | Streamed:
        """Moments, newest first."""
        agent_id, coordinator_id = await self._place(call)
        return await self._forwarder.to_coordinator(call, coordinator_id, "GET", f"/agents/{agent_id}/moments")

    async def fork(self, call: Call) -> Answer | Streamed:
        """Makes an agent where the source is: they share what lies before the moment."""
        wanted: ForkRequest = call.body
        source_id, coordinator_id = await self._place(call)
        source = await self._parts.resolver.agent(call.identity, source_id)
        if wanted.agent_id is not None and await self._parts.discovery.agent(wanted.agent_id) is not None:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "this agent_id is taken")
        await self._parts.quotas.take_instance(source.tenant_id)
        body = CoordinatorFork(
            agent_id=wanted.agent_id or self._parts.new_id("agt"),
            instance_id=self._parts.new_id("inst"),
            at=wanted.at,
        )
        coordinator = await self._parts.coordinators.find(coordinator_id)
        request = Request(
            "POST",
            f"/agents/{source_id}/fork",
            call.identity,
            call.request_id,
            as_json(body),
            _JSON,
            CREATE_TIMEOUT_SECONDS,
        )
        return passed_back(await self._parts.coordinators.call(coordinator, request), call.request_id)

    async def rewind(self, call: Call) -> Answer | Streamed:
        """Takes an agent back."""
        agent_id, coordinator_id = await self._place(call)
        path = f"/agents/{agent_id}/rewind"
        return await self._forwarder.to_coordinator(call, coordinator_id, "POST", path, seconds=REWIND_SECONDS)

    async def _place(self, call: Call) -> tuple[str, str]:
        """The agent's id, and the coordinator that has its data."""
        record = await self._parts.resolver.agent(call.identity, call.path["agent_id"])
        if record.coordinator_id is None:
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "the agent has no data on any host")
        return record.agent_id, record.coordinator_id

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        return [self._listing(), self._forking(), self._rewinding()]

    def _listing(self) -> Endpoint:
        return Endpoint(
            method="GET",
            path=f"{_BASE}/moments",
            handler=self.list_moments,
            tag=TAG,
            access=Permission.INSTANCES_READ,
            summary="List moments of an agent",
            description="The ends of its turns, and where it was taken back or begun as a fork; newest first.",
            params={"agent_id": _AGENT},
            query=MomentsQuery,
            answers={200: Page[Moment]},
            errors=_REACH,
        )

    def _forking(self) -> Endpoint:
        return Endpoint(
            method="POST",
            path=f"{_BASE}/fork",
            handler=self.fork,
            tag=TAG,
            access=Permission.INSTANCES_WRITE,
            summary="Fork an agent",
            description=(
                "A new agent with the state, the conversation and the files this one had at a moment. Its instance is "
                "asleep until it is talked to. The source is not disturbed, awake, asleep or stopped."
            ),
            params={"agent_id": _AGENT},
            body=ForkRequest,
            answers={201: Forked},
            errors=(
                *_REACH,
                ErrorCode.AGENT_IN_USE,
                ErrorCode.ITERATION_NOT_FOUND,
                ErrorCode.NO_COORDINATOR_AVAILABLE,
            ),
            examples={"body": {"at": "turn-aaaaaaaaaaaaaaaa", "agent_id": "second-try"}},
        )

    def _rewinding(self) -> Endpoint:
        return Endpoint(
            method="POST",
            path=f"{_BASE}/rewind",
            handler=self.rewind,
            tag=TAG,
            access=Permission.INSTANCES_WRITE,
            summary="Take an agent back to a moment",
            description=(
                "State, conversation and files become those of the moment; nothing is deleted, and going back to `undo` "
                "undoes it. 409 `busy` while a turn runs or waits, unless `cancel=true`."
            ),
            params={"agent_id": _AGENT},
            query=RewindQuery,
            body=RewindRequest,
            answers={200: Rewound},
            errors=(
                *_REACH,
                ErrorCode.INSTANCE_NOT_FOUND,
                ErrorCode.INSTANCE_STOPPING,
                ErrorCode.ITERATION_NOT_FOUND,
            ),
            examples={"body": {"at": "turn-aaaaaaaaaaaaaaaa"}},
        )
