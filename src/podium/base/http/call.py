"""A request as a handler sees it, and what it may answer with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from podium.base.http.endpoint import Endpoint
from podium.base.http.identity import Identity
from podium.base.http.sse import HEARTBEAT, HEARTBEAT_SECONDS, SseEvent, encode_sse
from podium.wire.errors import ErrorCode, PodiumError

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

JSON: Final = "application/json"


class Headers(Mapping[str, str]):
    """Request headers by lower-case name; of repeated ones the first counts. Values are latin-1 as HTTP has them."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in raw:
            self._values.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def accepts(self, content_type: str) -> bool:
        """Whether `Accept` names the content type itself (wildcards don't count)."""
        wanted = (part.partition(";")[0].strip().lower() for part in self.get("accept", "").split(","))
        return content_type in wanted


class ClientGoneError(Exception):
    """The caller closed its connection before the request was whole; nobody waits for an answer."""


BODY_SILENT_SECONDS: Final = 60.0
"""How long a client may take for the next part of a body."""


async def receive_part(receive: Receive) -> Any:
    """The next message of a request; bounded.

    Raises:
        PodiumError: `invalid_request` when the client lets us wait too long.
    """
    try:
        async with asyncio.timeout(BODY_SILENT_SECONDS):
            return await receive()
    except TimeoutError as error:
        raise PodiumError(ErrorCode.INVALID_REQUEST, "the body did not come") from error


class Call:
    """One request. `path`, `query` and `body` are of the types the endpoint declares; `raw` is the JSON body as it came."""

    def __init__(self, endpoint: Endpoint, headers: Headers, identity: Identity, request_id: str) -> None:
        self.endpoint = endpoint
        self.headers = headers
        self.identity = identity
        self.request_id = request_id
        self.path: dict[str, Any] = {}
        self.query: Any = None
        self.query_string = b""
        self.body: Any = None
        self.raw = b""
        self.receive: Receive | None = None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in chunks as it arrives, for endpoints that read it themselves. Back-pressure reaches the client.

        Raises:
            ClientGoneError: the client went away before the end.
        """
        more = self.receive is not None
        while more and self.receive is not None:
            message = await receive_part(self.receive)
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)


class Answer(NamedTuple):
    """An answer with its status. `body` is encoded as JSON unless it is bytes; None has no body."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}
    content_type: str = JSON

    def encoded(self) -> bytes:
        """The bytes of the body."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else _ENCODER.encode(self.body)


class Streamed(NamedTuple):
    """An answer that comes in pieces. `heartbeat` is sent when nothing else was for `heartbeat_seconds`."""

    chunks: AsyncIterator[bytes]
    status: int = 200
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = {}
    heartbeat: bytes = b""
    heartbeat_seconds: float = HEARTBEAT_SECONDS


def event_stream(
    events: AsyncIterator[SseEvent],
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    headers: Mapping[str, str] | None = None,
) -> Streamed:
    """Server-sent events. When the client goes away, or the server shuts down, `events` is closed."""
    return streamed_events(_encoded(events), heartbeat_seconds=heartbeat_seconds, headers=headers)


def streamed_events(
    chunks: AsyncIterator[bytes],
    *,
    heartbeat: bytes = HEARTBEAT,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    headers: Mapping[str, str] | None = None,
) -> Streamed:
    """Server-sent events that are encoded already."""
    unbuffered = {"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})}
    return Streamed(chunks, 200, "text/event-stream", unbuffered, heartbeat, heartbeat_seconds)


async def _encoded(events: AsyncIterator[SseEvent]) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            yield encode_sse(event)
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


_ENCODER = msgspec.json.Encoder()
