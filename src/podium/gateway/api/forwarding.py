"""Requests that a coordinator answers: passed on, and its answer passed back as it comes. Where agents move between hosts, a request
that meets one on its way is asked again where it arrives; nobody outside sees it."""

import asyncio
import secrets
from typing import Final

from podium.base.discovery import AgentRecord, CoordinatorRecord
from podium.base.http import Answer, Call, Streamed, problem_answer, streamed_events
from podium.gateway.adapters.coordinators import (
    CALL_SECONDS,
    FIRST_ERROR_STATUS,
    NotConnectedError,
    Reply,
    Request,
    refusal,
)
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError

PASSED_HEADERS: Final = ("accept", "content-type", "last-event-id", "idempotency-key", "traceparent", "tracestate")
"""Headers of a client that mean something to a coordinator."""

MOVE_SECONDS: Final = 20.0
"""For how long a request is asked again while its agent moves: a lease runs out within ten seconds, and restoring takes a few more."""

FIRST_PAUSE_SECONDS: Final = 0.05
LAST_PAUSE_SECONDS: Final = 0.5
"""Pauses before a request is asked again: from the first, doubled, up to the last."""

MISSED: Final = 3
"""So often a coordinator that discovery names may say that it has not got an instance; then another is asked to go on with it."""

_ELSEWHERE: Final = frozenset({ErrorCode.DRAINING, ErrorCode.INSTANCE_NOT_FOUND, ErrorCode.COORDINATOR_UNREACHABLE})
"""Answers of a coordinator that has done nothing, for an instance that discovery says is there."""


class Forwarder:
    """Passes calls on to the coordinator of their instance."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def home_of_agent(self, call: Call) -> tuple[AgentRecord, CoordinatorRecord]:
        """The agent a call is about, and the coordinator that has its data.

        Raises:
            PodiumError: `agent_not_found`, `coordinator_unreachable`.
        """
        record = await self._parts.resolver.agent(call.identity, call.path["agent_id"])
        if record.coordinator_id is None:
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "the agent has no data on any host")
        return record, await self._parts.homes.of_agent(record)

    async def to_agent(self, call: Call, method: str, rest: str, *, seconds: float = CALL_SECONDS) -> Answer | Streamed:
        """Calls `/agents/{agent_id}{rest}` with the query and body of `call`, where the agent's data are.

        Raises:
            PodiumError: `agent_not_found`, `coordinator_unreachable`, `agent_timeout`.
        """
        record, home = await self.home_of_agent(call)
        return await self.to_coordinator(call, home, method, f"/agents/{record.agent_id}{rest}", seconds=seconds)

    async def to_instance(
        self, call: Call, method: str, rest: str, *, seconds: float = CALL_SECONDS
    ) -> Answer | Streamed:
        """Calls `/agent/{instance_id}{rest}` with the query and body of `call`.

        Raises:
            PodiumError: `instance_not_found`, `coordinator_unreachable`, `agent_timeout`.
        """
        homes, clock = self._parts.homes, self._parts.clock
        moves = await homes.can_move()
        request = self._request(call, method, f"/agent/{call.path['instance_id']}{rest}", seconds)
        if moves and method == "POST" and rest == "/messages" and "idempotency-key" not in request.headers:
            # With a key of ours a message can be sent again to whoever has the agent then, and is still taken once.
            request = request._replace(
                headers={**request.headers, "idempotency-key": f"gateway-{secrets.token_hex(16)}"}
            )
        deadline, pause, missed = clock.monotonic() + MOVE_SECONDS, FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                reply, error = await self._try(call, request, missed), None
                if reply.chunks is None and reply.status >= FIRST_ERROR_STATUS:
                    error = refusal(reply)
                    missed += error.code is ErrorCode.INSTANCE_NOT_FOUND
            except PodiumError as problem:
                reply, error = None, problem
            if error is None or not moves or error.code not in _ELSEWHERE or clock.monotonic() >= deadline:
                break
            if reply is None and not _is_safe(error, request):
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)
        if reply is None:
            assert error is not None
            raise error
        return passed_back(reply, call.request_id)

    async def _try(self, call: Call, request: Request, missed: int) -> Reply:
        record = await self._parts.resolver.present_instance(call.identity, call.path["instance_id"])
        if missed < MISSED:
            coordinator = await self._parts.homes.of_instance(record, fresh=missed > 0)
        else:
            coordinator = await self._parts.homes.anew(record)
        try:
            return await self._parts.coordinators.call(coordinator, request)
        except NotConnectedError:
            raise
        except PodiumError as error:
            raise _BrokenOffError(error.code, error.detail, retry_after=error.retry_after) from error

    async def to_coordinator(
        self, call: Call, coordinator: CoordinatorRecord, method: str, path: str, *, seconds: float = CALL_SECONDS
    ) -> Answer | Streamed:
        """Calls `path` on a coordinator with the query and body of `call`."""
        request = self._request(call, method, path, seconds)
        return passed_back(await self._parts.coordinators.call(coordinator, request), call.request_id)

    def _request(self, call: Call, method: str, path: str, seconds: float) -> Request:
        query = call.query_string.decode("ascii", "replace")
        return Request(
            method,
            f"{path}?{query}" if query else path,
            call.identity,
            call.request_id,
            call.raw or None,
            {name: call.headers[name] for name in PASSED_HEADERS if name in call.headers},
            seconds,
        )


class _BrokenOffError(PodiumError):
    """A coordinator that may have done what it was asked went away before it answered."""


def _is_safe(error: PodiumError, request: Request) -> bool:
    """Whether a request that got no answer may be asked again. That there is no such instance is final: discovery says so."""
    if error.code is ErrorCode.INSTANCE_NOT_FOUND:
        return False
    return not isinstance(error, _BrokenOffError) or request.method == "GET" or "idempotency-key" in request.headers


def passed_back(reply: Reply, request_id: str) -> Answer | Streamed:
    """The coordinator's answer as the client gets it. Its problems keep their code and get our request id."""
    if reply.chunks is not None:
        return streamed_events(reply.chunks, heartbeat=b"")
    if reply.status >= FIRST_ERROR_STATUS:
        return problem_answer(refusal(reply), request_id)
    return Answer(reply.status, reply.body or None, {}, reply.content_type)
