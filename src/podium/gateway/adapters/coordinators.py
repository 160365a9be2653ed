"""Coordinators: where they are, and calls to their interface."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from podium.base.clock import Clock
from podium.base.discovery import CoordinatorRecord, Discovery
from podium.base.http import Identity, cluster_headers
from podium.base.telemetry import carried
from podium.wire.errors import ErrorCode, PodiumError

KNOWN_SECONDS: Final = 1.0
"""How long the list of coordinators is believed without asking discovery again."""

CONNECT_SECONDS: Final = 3.0
"""How long making a connection to a coordinator may take."""

CALL_SECONDS: Final = 30.0
"""How long an ordinary call to a coordinator may take."""

SILENT_SECONDS: Final = 75.0
"""A followed answer on which nothing came for this long is lost; coordinators send a comment every 15 s."""

ANSWER_MAX_BYTES: Final = 64 * 2**20
"""Largest answer read whole (a big state)."""

IDLE_SECONDS: Final = 30.0
"""How long an unused connection to a coordinator is kept; less than it keeps it itself."""

RETRY_SECONDS: Final = 1.0
"""`Retry-After` when a coordinator is away."""

EVENT_STREAM: Final = "text/event-stream"
AWAY: Final = "the coordinator of this agent does not answer"
FIRST_ERROR_STATUS: Final = 400

_T = TypeVar("_T")


class Request(NamedTuple):
    """A call to a coordinator, on behalf of `identity`. `path` begins with a slash and holds its query."""

    method: str
    path: str
    identity: Identity
    request_id: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    seconds: float = CALL_SECONDS


class Reply(NamedTuple):
    """The answer of a coordinator. `chunks` instead of `body` when it is one that does not end by itself."""

    status: int
    content_type: str
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    retry_after: float | None = None


class OpenReply:
    """The answer of a coordinator, its body still to come. Read it to its end one way or the other, or close what reads."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def content_type(self) -> str:
        """Without parameters."""
        return self._response.content_type

    @property
    def full_type(self) -> str:
        """With parameters."""
        return self.headers.get("content-type", "application/octet-stream")

    async def whole(self) -> Reply:
        """All of it, when it is not large."""
        return await _whole(self._response)

    async def chunks(self) -> AsyncIterator[bytes]:
        """What comes, as it comes. A coordinator that goes away in the middle ends a stream of events, and breaks any other
        body off, so that nobody takes a part of a file for the whole.

        Raises:
            ConnectionError: it went away.
        """
        if self.content_type == EVENT_STREAM:
            async for chunk in _chunks(self._response):
                yield chunk
            return
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError("the coordinator went away in the middle of its answer") from error
        finally:
            self._response.close()


class NotConnectedError(PodiumError):
    """`coordinator_unreachable`, and certain that the coordinator has not seen the call."""


class Coordinators:
    """Calls coordinators; `open` inside the event loop first, `close` at the end."""

    def __init__(self, discovery: Discovery, clock: Clock, cluster_key: str) -> None:
        self._discovery = discovery
        self._clock = clock
        self._cluster_key = cluster_key
        self._session: aiohttp.ClientSession | None = None
        self._known: list[CoordinatorRecord] = []
        self._known_until = -1.0

    async def open(self) -> None:
        """Gets ready to call."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS, force_close=False)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def close(self) -> None:
        """Ends all connections."""
        if self._session is not None:
            await self._session.close()

    async def all(self, *, fresh: bool = False) -> list[CoordinatorRecord]:
        """The coordinators that announced themselves."""
        now = self._clock.monotonic()
        if fresh or now >= self._known_until:
            self._known = await self._discovery.coordinators()
            self._known_until = now + KNOWN_SECONDS
        return self._known

    async def find(self, coordinator_id: str, *, fresh: bool = False) -> CoordinatorRecord:
        """One coordinator.

        Raises:
            PodiumError: `coordinator_unreachable` when it has not announced itself lately.
        """
        for record in await self.all(fresh=fresh):
            if record.coordinator_id == coordinator_id:
                return record
        if not fresh:
            return await self.find(coordinator_id, fresh=True)
        raise away()

    async def call(self, coordinator: CoordinatorRecord, request: Request) -> Reply:
        """Calls a coordinator. An answer of 400 and above is returned, not raised.

        Raises:
            PodiumError: `coordinator_unreachable`, `agent_timeout`.
        """
        with _failures():
            async with asyncio.timeout(request.seconds):
                response = await self._send(coordinator, request, request.body)
                if response.content_type == EVENT_STREAM:
                    return Reply(response.status, EVENT_STREAM, chunks=_chunks(response))
                return await _whole(response)

    async def begin(
        self, coordinator: CoordinatorRecord, request: Request, body: AsyncIterator[bytes] | None = None
    ) -> OpenReply:
        """Calls a coordinator and returns when its answer begins. `body`: sent as it comes, instead of that of the request.

        Raises:
            PodiumError: as `call`.
        """
        with _failures():
            async with asyncio.timeout(request.seconds):
                return OpenReply(await self._send(coordinator, request, request.body if body is None else body))

    async def _send(
        self, coordinator: CoordinatorRecord, request: Request, body: bytes | AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None, "open() comes first"
        follows = EVENT_STREAM in request.headers.get("accept", "")
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS if follows else request.seconds
        )
        return await self._session.request(
            request.method,
            URL(coordinator.url + request.path, encoded=True),
            data=body,
            headers={
                **request.headers,
                **carried(),
                **cluster_headers(request.identity, self._cluster_key, request.request_id),
            },
            timeout=timeout,
            allow_redirects=False,
        )


@contextmanager
def _failures() -> Iterator[None]:
    """What can go wrong on the way to a coordinator, as callers know it."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise NotConnectedError(ErrorCode.COORDINATOR_UNREACHABLE, AWAY, retry_after=RETRY_SECONDS) from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise away() from error
    except TimeoutError as error:
        raise PodiumError(ErrorCode.AGENT_TIMEOUT, "no answer came in time", retry_after=RETRY_SECONDS) from error


def away() -> PodiumError:
    """The error of a coordinator that can't be reached."""
    return PodiumError(ErrorCode.COORDINATOR_UNREACHABLE, AWAY, retry_after=RETRY_SECONDS)


def refusal(reply: Reply) -> PodiumError:
    """The error a coordinator answered with."""
    return PodiumError.from_problem(reply.body, reply.status, reply.retry_after)


def decode(reply: Reply, kind: type[_T]) -> _T:
    """The body of a good answer.

    Raises:
        PodiumError: what the coordinator answered with, or `coordinator_unreachable` when it talks nonsense.
    """
    if reply.status >= FIRST_ERROR_STATUS:
        raise refusal(reply)
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.DecodeError as error:
        raise away() from error


async def _whole(response: aiohttp.ClientResponse) -> Reply:
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > ANSWER_MAX_BYTES:
                raise PodiumError(ErrorCode.INTERNAL, f"the answer is larger than {ANSWER_MAX_BYTES} bytes")
    finally:
        response.release()
    return Reply(response.status, response.content_type, b"".join(parts), retry_after=_retry_after(response))


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """What comes, as it comes; a coordinator that goes away ends it, and the client resumes with `Last-Event-ID`."""
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, ConnectionError, TimeoutError):
        return
    finally:
        response.close()
