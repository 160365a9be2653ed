"""Requests that a coordinator answers: passed on, and its answer passed back as it comes."""

from typing import Final

from podium.base.discovery import CoordinatorRecord
from podium.base.http import Answer, Call, Streamed, problem_answer, streamed_events
from podium.gateway.adapters.coordinators import (
    CALL_SECONDS,
    FIRST_ERROR_STATUS,
    Reply,
    Request,
    refusal,
)
from podium.gateway.parts import Parts

PASSED_HEADERS: Final = ("accept", "content-type", "last-event-id", "idempotency-key", "traceparent", "tracestate")
"""Headers of a client that mean something to a coordinator."""


class Forwarder:
    """Passes calls on to the coordinator of their instance."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def to_instance(
        self, call: Call, method: str, rest: str, *, seconds: float = CALL_SECONDS
    ) -> Answer | Streamed:
        """Calls `/agent/{instance_id}{rest}` with the query and body of `call`.

        Raises:
            PodiumError: `instance_not_found`, `coordinator_unreachable`, `agent_timeout`.
        """
        record = await self._parts.resolver.present_instance(call.identity, call.path["instance_id"])
        coordinator = await self._parts.homes.of_instance(record)
        return await self.to_coordinator(
            call, coordinator, method, f"/agent/{record.instance_id}{rest}", seconds=seconds
        )

    async def to_coordinator(
        self, call: Call, coordinator: CoordinatorRecord, method: str, path: str, *, seconds: float = CALL_SECONDS
    ) -> Answer | Streamed:
        """Calls `path` on a coordinator with the query and body of `call`."""
        query = call.query_string.decode("ascii", "replace")
        request = Request(
            method,
            f"{path}?{query}" if query else path,
            call.identity,
            call.request_id,
            call.raw or None,
            {name: call.headers[name] for name in PASSED_HEADERS if name in call.headers},
            seconds,
        )
        return passed_back(await self._parts.coordinators.call(coordinator, request), call.request_id)


def passed_back(reply: Reply, request_id: str) -> Answer | Streamed:
    """The coordinator's answer as the client gets it. Its problems keep their code and get our request id."""
    if reply.chunks is not None:
        return streamed_events(reply.chunks, heartbeat=b"")
    if reply.status >= FIRST_ERROR_STATUS:
        return problem_answer(refusal(reply), request_id)
    return Answer(reply.status, reply.body or None, {}, reply.content_type)
