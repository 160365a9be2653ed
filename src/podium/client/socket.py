"""The socket under a stream, as a port, and its implementation with aiohttp."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from podium.client.call import api_path
from podium.client.errors import PodiumConnectionError, problem_of, unreachable
from podium.client.transport import Transport, read_retry_after
from podium.wire.errors import ErrorCode, PodiumError

if TYPE_CHECKING:
    import aiohttp


class Closed(NamedTuple):
    """The socket ended; `code` None when it broke without a close frame."""

    code: int | None
    reason: str = ""


class StreamSocket(Protocol):
    """Text frames both ways."""

    async def send(self, frame: str) -> None:
        """Sends a frame; one that is lost because the socket is closing is not reported."""
        ...

    async def receive(self) -> str | bytes | Closed:
        """The next frame, or the end (then always the end)."""
        ...

    async def close(self) -> None:
        """Closes it; bounded."""
        ...


class Dial(Protocol):
    """Opens a socket that gives events after `after` (None: from now on)."""

    async def __call__(self, instance_id: str, after: int | None) -> StreamSocket:
        """Raises `PodiumConnectionError` when it can't be opened."""
        ...


class AiohttpSocket:
    """A WebSocket of aiohttp."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        self._socket = socket

    async def send(self, frame: str) -> None:
        """Sends a frame."""
        try:
            await self._socket.send_str(frame)
        except ConnectionError:
            # The reading side learns of it too, and decides what follows.
            return

    async def receive(self) -> str | bytes | Closed:
        """The next frame or the end."""
        import aiohttp

        message = await self._socket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        code = self._socket.close_code
        reason = message.extra if message.type is aiohttp.WSMsgType.CLOSE and message.extra else ""
        return Closed(None if code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE else code, reason)

    async def close(self) -> None:
        """Closes it, waiting a little for the peer."""
        await self._socket.close()


class Dialer:
    """Opens streams through a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __call__(self, instance_id: str, after: int | None) -> StreamSocket:
        """A socket to the instance's stream."""
        import aiohttp

        path = api_path("instances", instance_id, "connect", query={"after": after})
        try:
            return AiohttpSocket(await self._transport.open_stream(path))
        except aiohttp.WSServerHandshakeError as error:
            problem = problem_of(b"", error.status, read_retry_after(error.headers or {}))
            if error.status == 404:
                problem = PodiumError(ErrorCode.INSTANCE_NOT_FOUND, f"there is no instance {instance_id}")
            raise PodiumConnectionError("connect", problem, instance_id=instance_id, status=error.status) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            detail = f"{self._transport.settings.url}: {str(error) or type(error).__name__}"
            raise unreachable("connect", detail, error) from error
