"""HTTP to the gateway: one place where requests leave and failures become `PodiumConnectionError`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from podium.client.call import Answer, Call
from podium.client.errors import PodiumConnectionError, problem_of, unreachable
from podium.client.resilience import with_retry
from podium.client.retry import CALLS, NEVER, RetryPolicy
from podium.client.settings import ClientSettings
from podium.client.timing import Timing
from podium.client.tracing import carried
from podium.wire.errors import PodiumError
from podium.wire.limits import LINK_FRAME_MAX_BYTES

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS: Final = 5.0
"""How long making a TCP connection may take."""

STREAM_SILENT_SECONDS: Final = 75.0
"""A followed answer on which nothing came for this long is lost; servers send a comment or ping every 20 s."""

STREAM_PING_SECONDS: Final = 20.0
"""How often a stream is pinged; half of it later without a pong the peer is gone."""

CLOSE_SECONDS: Final = 2.0
"""How long a closing stream waits for the peer's close frame."""


class Transport:
    """Sends calls. Made outside an event loop, used inside one; `close` when done.

    aiohttp is imported with the first request: commands that need no network should not pay for it.
    """

    def __init__(self, settings: ClientSettings, timing: Timing, policy: RetryPolicy = CALLS) -> None:
        self.settings = settings
        self.timing = timing
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None

    async def send(self, call: Call) -> Answer:
        """The answer to `call`, retried when that is safe.

        Raises:
            PodiumConnectionError: no answer, or one with status 400 or above.
        """
        policy = self._policy if call.repeatable else NEVER
        return await with_retry(policy, self.timing, lambda: self.send_once(call))

    async def send_once(self, call: Call, data: Any = None) -> Answer:
        """One try of `call`; `data` is a body in aiohttp's own terms, for uploads."""
        async with self._request(call, data) as response:
            body = await response.read()
            return Answer(response.status, response.headers, body)

    @asynccontextmanager
    async def follow(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that does not end by itself (server-sent events, followed logs)."""
        async with self._request(call, None, following=True) as response:
            yield _lines(response)

    @asynccontextmanager
    async def fetch(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of an answer in pieces, as they come, for what may be larger than memory."""
        async with self._request(call, None) as response:
            yield response.content.iter_any()

    async def open_stream(self, path: str) -> "aiohttp.ClientWebSocketResponse":
        """A WebSocket to `path`; raises what aiohttp raises."""
        import aiohttp

        return await self._opened().ws_connect(
            self.settings.url + path,
            headers=self._headers({}),
            compress=0,
            heartbeat=STREAM_PING_SECONDS,
            max_msg_size=LINK_FRAME_MAX_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
        )

    async def close(self) -> None:
        """Closes all connections of this transport."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _request(
        self, call: Call, data: Any, *, following: bool = False
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(
            total=None if following else call.seconds,
            sock_connect=CONNECT_SECONDS,
            sock_read=STREAM_SILENT_SECONDS if following else None,
        )
        try:
            async with self._opened().request(
                call.method,
                self.settings.url + call.path,
                data=call.body if data is None else data,
                headers=self._headers({**carried(), **call.headers}, with_json=call.body is not None),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    raise await _refused(call, response)
                yield response
        except aiohttp.ClientError as error:
            raise self._lost(call, error) from error
        except TimeoutError as error:
            raise self._lost(call, error, f"no answer within {call.seconds:.0f} s") from error

    def _lost(self, call: Call, error: BaseException, detail: str | None = None) -> PodiumConnectionError:
        failed = unreachable(
            call.operation, f"{self.settings.url}: {detail or str(error) or type(error).__name__}", error
        )
        failed.instance_id = call.instance_id
        return failed

    def _headers(self, extra: Mapping[str, str], *, with_json: bool = False) -> dict[str, str]:
        kind = {"Content-Type": "application/json"} if with_json else {}
        return {"Accept": "application/json", **self.settings.headers(), **kind, **extra}

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session


async def _lines(response: "aiohttp.ClientResponse") -> AsyncIterator[bytes]:
    held = b""
    async for chunk in response.content.iter_any():
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
    if held:
        yield held


async def _refused(call: Call, response: "aiohttp.ClientResponse") -> PodiumConnectionError:
    problem: PodiumError = problem_of(await response.read(), response.status, read_retry_after(response.headers))
    return PodiumConnectionError(call.operation, problem, instance_id=call.instance_id, status=response.status)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds in `Retry-After`; None when absent or given as a date."""
    given = headers.get("Retry-After", "")
    return float(given) if given.isdigit() else None
