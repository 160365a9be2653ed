"""Requests and answers of any size, passed between client and coordinator as they come."""

from collections.abc import AsyncIterator
from typing import Final

from podium.base.discovery import CoordinatorRecord
from podium.base.http import Answer, Call, Streamed, problem_answer, streamed_events
from podium.base.http.endpoint import Binary
from podium.gateway.adapters.coordinators import EVENT_STREAM, FIRST_ERROR_STATUS, Coordinators, Request, refusal

ANSWER_SECONDS: Final = 600.0
"""How long a coordinator may take until its answer begins: a restore writes what differs, an upload comes first."""

_TO_COORDINATOR: Final = (
    "accept",
    "content-type",
    "content-length",
    "range",
    "if-match",
    "if-none-match",
    "if-range",
    "last-event-id",
    "traceparent",
    "tracestate",
)
_TO_CLIENT: Final = (
    "etag",
    "podium-iteration",
    "content-length",
    "content-range",
    "content-disposition",
    "content-security-policy",
    "x-content-type-options",
    "accept-ranges",
    "cache-control",
)
_NO_BODY: Final = frozenset({204, 304})


class Passing:
    """Passes calls on without holding their bodies."""

    def __init__(self, coordinators: Coordinators) -> None:
        self._coordinators = coordinators

    async def on(self, call: Call, coordinator: CoordinatorRecord, path: str) -> Answer | Streamed:
        """Calls `path` with the method, query, body and conditions of `call`; its answer, as it comes.

        Raises:
            PodiumError: `coordinator_unreachable`, `agent_timeout`.
        """
        query = call.query_string.decode("ascii", "replace")
        headers = {name: call.headers[name] for name in _TO_COORDINATOR if name in call.headers}
        streams = isinstance(call.endpoint.body, Binary)
        if not streams:
            headers.pop("content-length", None)
        request = Request(
            call.endpoint.method,
            f"{path}?{query}" if query else path,
            call.identity,
            call.request_id,
            call.raw or None,
            headers,
            ANSWER_SECONDS,
        )
        reply = await self._coordinators.begin(coordinator, request, call.stream() if streams else None)
        if reply.status >= FIRST_ERROR_STATUS and reply.content_type == "application/problem+json":
            problem = refusal(await reply.whole())
            answer = problem_answer(problem, call.request_id)
            return answer._replace(headers={**answer.headers, **_kept(reply.headers)})
        if reply.content_type == EVENT_STREAM:
            return streamed_events(reply.chunks(), heartbeat=b"")
        if reply.status in _NO_BODY:
            await reply.whole()
            return Answer(reply.status, None, _kept(reply.headers), reply.full_type)
        return Streamed(_bytes(reply.chunks()), reply.status, reply.full_type, _kept(reply.headers))


def _kept(headers: dict[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _TO_CLIENT if name in headers}


async def _bytes(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
