"""What happens inside an instance: messages, journal, logs, state, questions, turns. The coordinator answers."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from podium.base.http import EVENT_STREAM, Answer, Call, Endpoint, HeaderParam, Param, Streamed
from podium.base.http.endpoint import Handler
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.api.instances import IDEMPOTENCY, INSTANCE, REACH
from podium.gateway.api.paging import ListQuery
from podium.gateway.domain.creation import check_idempotency_key
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PAGE_DEFAULT
from podium.wire.rest import (
    ConversationMessage,
    JournalEvent,
    LogPage,
    MessageAccepted,
    MessageSend,
    Page,
    PageLimit,
    PendingRequest,
    Permission,
    RequestAnswer,
    StateView,
    TurnResult,
)

TURN_SECONDS: Final = 24 * 3600.0
"""How long `?wait=true` waits at most; the agent's own limit of a turn ends it earlier."""

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]

_BASE = "/api/v1/instances/{instance_id}"
_RESUME = HeaderParam("Last-Event-ID", "Resumes an event stream after this `seq`", {"type": "string"})
_TURN = Param(Annotated[str, Meta(min_length=1, max_length=64)], ErrorCode.TURN_NOT_FOUND, "Turn id (`turn-…`)")
_REQUEST = Param(
    Annotated[str, Meta(min_length=1, max_length=64)], ErrorCode.REQUEST_NOT_FOUND, "Id of a question or permission"
)


class SendQuery(msgspec.Struct, frozen=True):
    """`wait`: answer when the turn is over."""

    wait: bool = False


class EventsQuery(msgspec.Struct, frozen=True):
    """Events after `after`."""

    after: Number = 0
    limit: PageLimit = PAGE_DEFAULT
    cursor: Number | None = None


class LogsQuery(msgspec.Struct, frozen=True):
    """Log records of `level` and above, from `offset` on; `follow` keeps the answer open."""

    level: Literal["debug", "info", "warning", "error", "critical"] | None = None
    limit: PageLimit = PAGE_DEFAULT
    offset: Number = 0
    follow: bool = False


class StateQuery(msgspec.Struct, frozen=True):
    """`version`: an older state."""

    version: Number | None = None


class RequestsQuery(ListQuery, frozen=True):
    """Questions and permissions, all or those of one status."""

    status: Literal["open", "resolved"] | None = None


class Conversation:
    """Routes below an instance."""

    def __init__(self, parts: Parts, forwarder: Forwarder) -> None:
        self._parts = parts
        self._forwarder = forwarder

    async def send_message(self, call: Call) -> Answer | Streamed:
        """Hands a message over, within the tenant's rate."""
        key = call.headers.get("idempotency-key")
        if key is not None:
            check_idempotency_key(key)
        await self._parts.quotas.take_message(call.identity)
        query: SendQuery = call.query
        waits = query.wait or call.headers.accepts(EVENT_STREAM.content_type)
        if not waits:
            return await self._forwarder.to_instance(call, "POST", "/messages")
        return await self._forwarder.to_instance(call, "POST", "/messages", seconds=TURN_SECONDS)

    async def list_messages(self, call: Call) -> Answer | Streamed:
        """The conversation."""
        return await self._forwarder.to_instance(call, "GET", "/messages")

    async def list_events(self, call: Call) -> Answer | Streamed:
        """The journal, or its tail."""
        return await self._forwarder.to_instance(call, "GET", "/events")

    async def read_logs(self, call: Call) -> Answer | Streamed:
        """Log records."""
        return await self._forwarder.to_instance(call, "GET", "/logs")

    async def read_state(self, call: Call) -> Answer | Streamed:
        """The state."""
        return await self._forwarder.to_instance(call, "GET", "/state")

    async def list_requests(self, call: Call) -> Answer | Streamed:
        """Questions and permissions."""
        return await self._forwarder.to_instance(call, "GET", "/requests")

    async def answer_request(self, call: Call) -> Answer | Streamed:
        """Resolves a question or permission."""
        return await self._forwarder.to_instance(call, "POST", f"/requests/{_segment(call, 'request_id')}")

    async def cancel_turn(self, call: Call) -> Answer | Streamed:
        """Ends a running turn."""
        return await self._forwarder.to_instance(call, "POST", f"/turns/{_segment(call, 'turn_id')}/cancel")

    async def connect(self, call: Call) -> Answer:
        """What a request gets here that is no WebSocket."""
        await self._parts.resolver.present_instance(call.identity, call.path["instance_id"])
        raise PodiumError(ErrorCode.INVALID_REQUEST, "open a WebSocket here (Upgrade: websocket)")

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        return [*self._sending(), *self._reading(), *self._requests(), self._connecting()]

    def _sending(self) -> list[Endpoint]:
        return [
            _endpoint(
                "POST",
                "/messages",
                self.send_message,
                Permission.INSTANCES_WRITE,
                summary="Send a message",
                description=(
                    "202 once the message is durable. With `wait=true` 200 when the turn is over. With "
                    "`Accept: text/event-stream` the turn's events."
                ),
                query=SendQuery,
                headers=(IDEMPOTENCY, _RESUME),
                body=MessageSend,
                answers={202: MessageAccepted, 200: (TurnResult, EVENT_STREAM)},
                errors=(*REACH, *_MESSAGE_ERRORS),
                examples={"body": {"text": "Hello", "channel": "web"}},
            ),
            _endpoint(
                "POST",
                "/turns/{turn_id}/cancel",
                self.cancel_turn,
                Permission.INSTANCES_WRITE,
                summary="Cancel a turn",
                params={"turn_id": _TURN},
                answers={202: None},
                errors=(*REACH, ErrorCode.TURN_NOT_FOUND, ErrorCode.NO_TURN),
            ),
        ]

    def _reading(self) -> list[Endpoint]:
        read = Permission.INSTANCES_READ
        return [
            _endpoint(
                "GET",
                "/messages",
                self.list_messages,
                read,
                summary="Read the conversation",
                query=ListQuery,
                answers={200: Page[ConversationMessage]},
            ),
            _endpoint(
                "GET",
                "/events",
                self.list_events,
                read,
                summary="Read the journal, or follow it",
                description="With `Accept: text/event-stream` events after `after` (or Last-Event-ID), then live ones.",
                query=EventsQuery,
                headers=(_RESUME,),
                answers={200: (Page[JournalEvent], EVENT_STREAM)},
                errors=(*REACH, ErrorCode.RESUME_GONE),
            ),
            _endpoint(
                "GET",
                "/logs",
                self.read_logs,
                read,
                summary="Read the logs, or follow them",
                query=LogsQuery,
                answers={200: (LogPage, EVENT_STREAM)},
            ),
            _endpoint(
                "GET",
                "/state",
                self.read_state,
                read,
                summary="Read the state",
                query=StateQuery,
                answers={200: StateView},
                errors=(*REACH, ErrorCode.VERSION_NOT_FOUND),
            ),
        ]

    def _requests(self) -> list[Endpoint]:
        return [
            _endpoint(
                "GET",
                "/requests",
                self.list_requests,
                Permission.INSTANCES_READ,
                summary="List questions and permissions",
                query=RequestsQuery,
                answers={200: Page[PendingRequest]},
            ),
            _endpoint(
                "POST",
                "/requests/{request_id}",
                self.answer_request,
                Permission.INSTANCES_WRITE,
                summary="Answer a question or permission",
                description="The first answer wins.",
                params={"request_id": _REQUEST},
                body=RequestAnswer,
                answers={200: PendingRequest},
                errors=(*REACH, ErrorCode.REQUEST_NOT_FOUND, ErrorCode.ALREADY_RESOLVED),
            ),
        ]

    def _connecting(self) -> Endpoint:
        return _endpoint(
            "GET",
            "/connect",
            self.connect,
            Permission.INSTANCES_READ,
            summary="Connect to the stream (WebSocket)",
            description=(
                "Upgrades to a WebSocket that speaks StreamUpdate. A browser offers the subprotocols `podium.v1` and "
                "`podium.bearer.<key>`. A WebSocket that is refused is opened and closed with a close code."
            ),
            query=EventsAfter,
            answers={101: None},
            errors=(ErrorCode.INSTANCE_NOT_FOUND,),
        )


class EventsAfter(msgspec.Struct, frozen=True):
    """`after`: resume after this `seq`; without it only what happens from now on."""

    after: Number | None = None


_MESSAGE_ERRORS: Final = (
    ErrorCode.BUSY,
    ErrorCode.NO_TURN,
    ErrorCode.RATE_LIMITED,
    ErrorCode.QUOTA_EXCEEDED,
    ErrorCode.IDEMPOTENCY_CONFLICT,
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.AGENT_START_FAILED,
)


def _segment(call: Call, name: str) -> str:
    return quote(str(call.path[name]), safe="")


def _endpoint(method: str, path: str, handler: Handler, access: Permission, **more: Any) -> Endpoint:
    more.setdefault("errors", REACH)
    params = {"instance_id": INSTANCE, **more.pop("params", {})}
    return Endpoint(
        method=method, path=_BASE + path, handler=handler, access=access, tag="conversation", params=params, **more
    )
