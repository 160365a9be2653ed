"""Two ends of a connection each: opened, encrypted, relayed, closed."""

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from typing import Final, NamedTuple

CHUNK_BYTES: Final = 64 * 1024
"""Read at once, and held at most for a slow reader."""


class Stream(NamedTuple):
    """What is read from, and what is written to."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self, seconds: float) -> bytes:
        """What came, at most `CHUNK_BYTES`; empty at the end.

        Raises:
            TimeoutError: nothing came for so long.
            OSError: the connection broke.
        """
        async with asyncio.timeout(seconds):
            return await self.reader.read(CHUNK_BYTES)

    async def write(self, data: bytes, seconds: float) -> None:
        """Sends, at the pace of whoever reads.

        Raises:
            TimeoutError: nobody read for so long.
            OSError: the connection broke.
        """
        self.writer.write(data)
        async with asyncio.timeout(seconds):
            await self.writer.drain()

    def close(self) -> None:
        """Ends the connection; what was written before is still sent."""
        self.writer.close()


async def connect(host: str, port: int, encryption: ssl.SSLContext | None, seconds: float) -> Stream:
    """A connection to a host, encrypted if it should be.

    Raises:
        TimeoutError: it was not there in time.
        OSError: it can't be reached; `ssl.SSLError` is one.
    """
    async with asyncio.timeout(seconds):
        return Stream(*await asyncio.open_connection(host, port, ssl=encryption, limit=CHUNK_BYTES))


async def encrypted(plain: Stream, encryption: ssl.SSLContext, before: bytes, seconds: float) -> Stream:
    """The same connection after a handshake as the server. `before` is sent in clear ahead of it: no other task may run in between, or
    the first words of the handshake would be read as clear text.

    Raises:
        OSError: the handshake failed.
    """
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    plain.writer.write(before)
    transport = await loop.start_tls(
        plain.writer.transport, protocol, encryption, server_side=True, ssl_handshake_timeout=seconds
    )
    if transport is None:
        raise ConnectionResetError("it was closed during the handshake")
    protocol.connection_made(transport)
    return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


async def relay(one: Stream, other: Stream, seconds: float) -> None:
    """Passes bytes both ways until both ends said all, or nothing moved for so long."""
    await together(_pump(one, other, seconds), _pump(other, one, seconds))


async def together(*works: Coroutine[None, None, None]) -> None:
    """Does several things at once. The first that fails ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _pump(source: Stream, target: Stream, seconds: float) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        while data := await source.read(seconds):
            await target.write(data, seconds)
    if target.writer.can_write_eof():
        with contextlib.suppress(OSError):
            target.writer.write_eof()
    else:  # TLS knows no half-closed connection
        target.writer.close()
