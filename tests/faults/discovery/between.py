"""A wire between a daemon and its server that a test can cut without a word: what was connected stays so and carries nothing."""

import asyncio
import contextlib


class Wire:
    """Listens on a free port of the loopback and carries bytes to another port."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._carried: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> "Wire":
        """Begins to carry."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> int:
        """What is connected now carries nothing any more; new connections do. Returns how many directions were cut."""
        cut, self._carried = self._carried, set()
        for task in cut:
            task.cancel()
        return len(cut)

    async def close(self) -> None:
        """Ends everything."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for end in self._ends:
            end.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                await end.wait_closed()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._ends |= {writer, back}
        loop = asyncio.get_running_loop()
        for source, sink in ((reader, back), (there, writer)):
            task = loop.create_task(_carry(source, sink))
            self._carried.add(task)
            task.add_done_callback(self._carried.discard)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
        sink.close()
