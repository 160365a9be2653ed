"""Something between a client and the S3 server that does what networks and busy servers do."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

import msgspec

from podium.base.objects.s3_settings import S3Settings

_BUSY_BODY: Final = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_BUSY: Final = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_BUSY_BODY),
    _BUSY_BODY,
)

Strike = Callable[["Between", asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[bool]]
"""May deal with a connection whose first bytes were read; whether it has."""


def swallow(method: str, times: int) -> Strike:
    """The server gets the first `times` requests of that method whole, and its answers are lost with the connection."""

    async def strike(between: "Between", _reader: object, _writer: object, head: bytes) -> bool:
        if between.struck >= times or not head.startswith(method.encode()):
            return False
        between.struck += 1
        reader, writer = await between.server()
        try:
            writer.write(head)
            await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()
        return True

    return strike


def hold(part: bytes) -> Strike:
    """Requests that have `part` in their first line get no answer as long as the connection is there."""

    async def strike(between: "Between", reader: asyncio.StreamReader, _writer: object, head: bytes) -> bool:
        if part not in head.split(b"\r\n", 1)[0]:
            return False
        between.struck += 1
        while await reader.read(2**16):
            pass
        return True

    return strike


async def pass_on(_between: "Between", _reader: object, _writer: object, _head: bytes) -> bool:
    """A strike that does nothing."""
    return False


def tell_busy(times: int) -> Strike:
    """The first `times` requests are refused as a server does that has too much to do."""

    async def strike(between: "Between", _reader: object, writer: asyncio.StreamWriter, _head: bytes) -> bool:
        if between.struck >= times:
            return False
        between.struck += 1
        writer.write(_BUSY)
        await writer.drain()
        return True

    return strike


class Between:
    """Listens on a port of its own and passes connections on, but for those that `strike` deals with."""

    def __init__(self, settings: S3Settings, strike: Strike) -> None:
        self._to = settings
        self.strike = strike
        self._listener: asyncio.Server | None = None
        self._serving: set[asyncio.Task[object] | None] = set()
        self.struck = 0
        self.asked = bytearray()
        """What clients have sent, while it was passed on."""

    async def __aenter__(self) -> "Between":
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._listener is not None
        self._listener.close()
        tasks = {task for task in self._serving if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    @property
    def settings(self) -> S3Settings:
        """Settings that lead here."""
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        return msgspec.structs.replace(self._to, endpoint=f"http://127.0.0.1:{port}")

    async def server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server."""
        where = urlsplit(self._to.endpoint or "")
        return await asyncio.open_connection(where.hostname, where.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            head = await reader.read(2**20)
            if head and not await self.strike(self, reader, writer, head):
                theirs, ours = await self.server()
                ours.write(head)
                self.asked += head
                try:
                    await asyncio.gather(_carry(reader, ours, self.asked), _carry(theirs, writer))
                finally:
                    ours.close()
        except (OSError, asyncio.CancelledError):
            return  # either side went away, or the test is over
        finally:
            writer.close()
            self._serving.discard(asyncio.current_task())


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, heard: bytearray | None = None) -> None:
    while data := await source.read(2**16):
        if heard is not None:
            heard += data
        target.write(data)
        await target.drain()
    target.close()
