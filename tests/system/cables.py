"""Connections that a test can cut: a port that leads to another one."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit


class Cable:
    """A port that leads to another one, until it is cut: then all connections break at once, and new ones can be made."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._host, self._port = address.hostname, address.port
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self.url = ""
        self.is_out = False
        """Whether new connections break as soon as they are made."""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the client's side."""
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                if self.is_out:
                    return
                far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
                self._writers.add(far_writer)
                await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.transport.abort()

    def cut(self) -> None:
        """Breaks every connection, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        """Cuts it for good; nothing of it is left."""
        self.is_out = True
        self.cut()
        await asyncio.gather(*self._carrying, return_exceptions=True)


@contextlib.asynccontextmanager
async def cable(target: str) -> AsyncIterator[Cable]:
    """A cable to the address `target`."""
    made = Cable(target)
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()


class CableBeside:
    """A cable for tests without a loop: it is carried by a thread of its own."""

    def __init__(self, made: Cable, loop: asyncio.AbstractEventLoop) -> None:
        self.url = made.url
        self._made = made
        self._loop = loop

    def cut(self) -> None:
        """See `Cable.cut`."""
        self._loop.call_soon_threadsafe(self._made.cut)

    def out(self, is_out: bool) -> None:
        """Breaks everything, and what is tried until it is called with False."""
        self._made.is_out = is_out
        if is_out:
            self.cut()


@contextlib.contextmanager
def cable_beside(target: str) -> Iterator[CableBeside]:
    """A cable to the address `target`, for tests without a loop."""
    ready, over = threading.Event(), asyncio.Event()
    made: list[CableBeside] = []

    async def carry() -> None:
        async with cable(target) as carried:
            made.append(CableBeside(carried, asyncio.get_running_loop()))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(carry(),), name="cable")
    thread.start()
    assert ready.wait(10.0), "the cable is not there"
    try:
        yield made[0]
    finally:
        made[0]._loop.call_soon_threadsafe(over.set)
        thread.join()
