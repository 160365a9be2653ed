"""Moments of an agent: listed, forked, gone back to. The coordinator that has the agent's data answers."""

import asyncio
from typing import Final

import msgspec

from podium.base.http import Answer, Call, Endpoint, Streamed
from podium.gateway.adapters.coordinators import FIRST_ERROR_STATUS, Request, decode, refusal
from podium.gateway.adapters.once import Claimed, once
from podium.gateway.api.agents import AGENT, TAG
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.api.instances import IDEMPOTENCY
from podium.gateway.api.paging import ListQuery
from podium.gateway.domain.creation import check_idempotency_key
from podium.gateway.domain.forks import ForkPlan, fork_fingerprint
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError, as_json
from podium.wire.limits import CREATE_TIMEOUT_SECONDS
from podium.wire.moments import Forked, ForkRequest, Moment, MomentTurn, RewindRequest, Rewound
from podium.wire.rest import Page, Permission

REWIND_SECONDS: Final = 300.0
"""How long a rewind may take: a turn that is cancelled has its grace, and files are written back."""

_JSON: Final = {"content-type": "application/json"}
_BASE: Final = "/api/v1/agents/{agent_id}"
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
        return await self._forwarder.to_agent(call, "GET", "/moments")

    async def fork(self, call: Call) -> Answer:
        """Makes an agent where the source is: they share what lies before the moment."""
        try:
            async with asyncio.timeout(CREATE_TIMEOUT_SECONDS):
                forked = await self._fork(call)
        except TimeoutError as error:
            raise PodiumError(ErrorCode.AGENT_TIMEOUT, "the fork was not made in time", retry_after=1.0) from error
        return Answer(201, forked)

    async def _fork(self, call: Call) -> Forked:
        wanted: ForkRequest = call.body
        plan = ForkPlan(wanted.agent_id or self._parts.new_id("agt"), self._parts.new_id("inst"))
        key = call.headers.get("idempotency-key")
        if key is None:
            return await self._make(call, plan)
        check_idempotency_key(key)
        source_id = call.path["agent_id"]
        # Asked again, the answer is the same when the source is gone by now; so only who acts for all tenants has to look it up.
        tenant_id = call.identity.tenant_id or (await self._parts.resolver.agent(call.identity, source_id)).tenant_id
        claimed = Claimed(tenant_id, key, fork_fingerprint(source_id, wanted), plan)

        async def make(kept: ForkPlan) -> tuple[Forked, bool]:
            return await self._make(call, kept), True

        return (await once(self._parts.discovery, claimed, make, Forked))[0]

    async def _make(self, call: Call, plan: ForkPlan) -> Forked:
        wanted: ForkRequest = call.body
        source, coordinator = await self._forwarder.home_of_agent(call)
        if wanted.agent_id is not None:
            taken = await self._parts.discovery.agent(wanted.agent_id)
            if taken is not None and taken.instance_id != plan.instance_id:  # else it is what this plan made
                raise PodiumError(ErrorCode.AGENT_IN_USE, "this agent_id is taken")
        await self._parts.quotas.take_instance(source.tenant_id, call.identity.limits)
        request = Request(
            "POST",
            f"/agents/{source.agent_id}/fork",
            call.identity,
            call.request_id,
            as_json(plan.request(wanted)),
            _JSON,
            CREATE_TIMEOUT_SECONDS,
        )
        reply = await self._parts.coordinators.call(coordinator, request)
        if reply.status >= FIRST_ERROR_STATUS:
            raise refusal(reply)
        return decode(reply, Forked)

    async def rewind(self, call: Call) -> Answer | Streamed:
        """Takes an agent back."""
        return await self._forwarder.to_agent(call, "POST", "/rewind", seconds=REWIND_SECONDS)

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
            params={"agent_id": AGENT},
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
            params={"agent_id": AGENT},
            headers=(IDEMPOTENCY,),
            body=ForkRequest,
            answers={201: Forked},
            errors=(
                *_REACH,
                ErrorCode.AGENT_IN_USE,
                ErrorCode.IDEMPOTENCY_CONFLICT,
                ErrorCode.ITERATION_NOT_FOUND,
                ErrorCode.WORKSPACE_UNAVAILABLE,
                ErrorCode.NO_COORDINATOR_AVAILABLE,
            ),
            examples={"body": {"at": "turn-aaaaaaaaaaaaaaaa", "agent_id": "second-try"}},
        )

    def _rewinding(self) -> Endpoint:
        return Endpoint(
            method="POST",
            path=f"{_BASE}/rewind",
            handler=self.rewind,
            audited=True,
            tag=TAG,
            access=Permission.INSTANCES_WRITE,
            summary="Take an agent back to a moment",
            description=(
                "State, conversation and files become those of the moment; nothing is deleted, and going back to `undo` "
                "undoes it. 409 `busy` while a turn runs or waits, unless `cancel=true`."
            ),
            params={"agent_id": AGENT},
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
