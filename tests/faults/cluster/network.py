"""A network that can fail: each link is a TCP proxy on a port of the loopback, whose directions can be delayed, cut or reset.

The links live in a thread with a loop of its own, so that they go on while a test waits for a process. What is cut silently is held,
not dropped, as TCP does it: what was sent before, and not delivered, arrives when the cut is over, however late that is. One thing is
unlike a real cut: a new connection is accepted (and then hears nothing), for the kernel answers before the proxy is asked.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

Way = Literal["up", "down"]
"""`up`: from the one who connects to the server; `down`: back."""

Result = TypeVar("Result")

WAYS: Final[tuple[Way, ...]] = ("up", "down")

CALL_SECONDS: Final = 10.0
"""How long a change of a link may take; it is done as soon as the loop comes to it."""

CHUNK: Final = 65_536

_LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""`SO_LINGER` with no time: closing sends a reset."""


class _Direction:
    """What happens to bytes that go one way."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.delay = 0.0


class Link:
    """A way to one server. Make it with `Network.link`; every method may be called from any thread."""

    def __init__(self, network: "Network", to_port: int) -> None:
        self.to_port = to_port
        self.port = 0
        self._network = network
        self._ways: dict[Way, _Direction] = {way: _Direction() for way in WAYS}
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()
        self._ends: set[asyncio.StreamWriter] = set()

    def cut(self, *ways: Way) -> None:
        """Silence in these directions (both when none is named), for what is connected and what will be."""

        async def change() -> None:
            for way in ways or WAYS:
                self._ways[way].is_open.clear()

        self._network.run(change())

    def delay(self, seconds: float, *ways: Way) -> None:
        """Every piece arrives so much later in these directions (both when none is named)."""

        async def change() -> None:
            for way in ways or WAYS:
                self._ways[way].delay = seconds

        self._network.run(change())

    def reset(self) -> int:
        """Every connection there is ends with a reset on both sides; returns how many ends that were."""

        async def change() -> int:
            ends, self._ends = self._ends, set()
            for end in ends:
                _reset(end)
            return len(ends)

        return self._network.run(change())

    def heal(self) -> None:
        """All passes again, at once; what was held arrives now."""

        async def change() -> None:
            for way in self._ways.values():
                way.delay = 0.0
                way.is_open.set()

        self._network.run(change())

    async def serve(self) -> None:
        """Begins to listen; the network's own."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends everything; the network's own."""
        if self._server is not None:
            self._server.close()
        for task in list(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(set(self._serving))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        ends = {writer}
        try:
            for way in WAYS:
                await self._ways[way].is_open.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
            ends.add(back)
            self._ends |= ends
            await asyncio.gather(self._carry("up", reader, back), self._carry("down", there, writer))
        except (OSError, asyncio.CancelledError):
            for end in ends:
                _reset(end)
        finally:
            self._ends -= ends
            self._serving.discard(task)
            for end in ends:
                end.close()

    async def _carry(self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        direction = self._ways[way]
        while chunk := await source.read(CHUNK):
            if direction.delay:
                await asyncio.sleep(direction.delay)
            await direction.is_open.wait()
            sink.write(chunk)
            await sink.drain()
        await direction.is_open.wait()
        with suppress(OSError, RuntimeError):
            sink.write_eof()


class Network:
    """The thread of the links; a context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._links: list[Link] = []

    def __enter__(self) -> "Network":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links:
            self.run(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def link(self, to_port: int) -> Link:
        """A new way to the server at a port."""
        made = Link(self, to_port)
        self.run(made.serve())
        self._links.append(made)
        return made

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Does something in the loop of the links, and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)


def _reset(end: asyncio.StreamWriter) -> None:
    raw = end.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    end.transport.abort()
