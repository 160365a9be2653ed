"""ACP on stdin and stdout, one message a line: what an editor starts. Whatever else is printed goes to stderr."""

import asyncio
import hashlib
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from diminuendo.acp.agent import AcpAgent
from diminuendo.acp.keeper import Keeper
from diminuendo.acp.local import LocalKeeper
from diminuendo.acp.rpc import messages
from diminuendo.acp.rpc.lines import Line, Lines
from diminuendo.acp.rpc.messages import AUTH_REQUIRED, INVALID_PARAMS, RpcError
from diminuendo.acp.rpc.peer import Peer
from diminuendo.acp.shelf import Shelf
from diminuendo.acp.translation.params import Authenticate
from podium.base.clock import SystemClock
from podium.client import ClientSettings, PodiumClient

METHOD_ID: Final = "podium-key"
"""The way to authenticate: Podium's key is looked for again."""

LAST_WORDS_SECONDS: Final = 5.0
"""How long the answers that are on their way may take when stdin has ended."""

READ_BYTES: Final = 64 * 1024
WRITE_AHEAD_BYTES: Final = 256 * 1024
"""More than this unread by the editor: the agent's events wait."""


class NoKeyError(Exception):
    """There is no key for Podium; the message says what to do."""


class Launch(NamedTuple):
    """How `podium acp` was called. `settings` finds address and key (raises `NoKeyError`); it may wait, and runs in a thread.
    `sessions` is the directory in which the lists of sessions lie, one for each address and agent type."""

    deployment: str
    settings: Callable[[], ClientSettings]
    sessions: Path


class LocalDoor:
    """A `Door` that is open as soon as there is a key."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._keeper: LocalKeeper | None = None
        self._opening = asyncio.Lock()

    @property
    def methods(self) -> list[dict[str, Any]]:
        """See `Door`."""
        text = "Start the platform with `podium up`, or set PODIUM_API_KEY and PODIUM_URL in the editor's settings."
        return [] if self._keeper is not None else [{"id": METHOD_ID, "name": "Podium's key", "description": text}]

    async def authenticate(self, wanted: Authenticate) -> None:
        """See `Door`."""
        if wanted.method_id != METHOD_ID:
            raise RpcError(INVALID_PARAMS, f"there is no method {wanted.method_id!r}", {"methods": [METHOD_ID]})
        await self.keeper()

    async def keeper(self) -> Keeper:
        """See `Door`."""
        async with self._opening:
            return self._keeper or await self._opened()

    async def _opened(self) -> Keeper:
        try:
            settings = await asyncio.to_thread(self._launch.settings)
            shelf = Shelf(_directory(self._launch, settings.url))
        except NoKeyError as error:
            raise RpcError(AUTH_REQUIRED, str(error)) from error
        self._keeper = LocalKeeper(shelf, PodiumClient(settings), self._launch.deployment, SystemClock())
        return self._keeper

    async def close(self) -> None:
        """Closes what was opened."""
        if self._keeper is not None:
            await self._keeper.podium.close()


def _directory(launch: Launch, url: str) -> Path:
    """Where the sessions with agents of this type on the Podium at `url` are listed: agents of one Podium are unknown to another."""
    return launch.sessions / hashlib.sha256(url.encode()).hexdigest()[:16] / launch.deployment.partition(":")[0]


class _Stdin(asyncio.Protocol):
    """Gives the lines that come to `peer`; `over` is set when they end."""

    def __init__(self, peer: Peer, over: asyncio.Event) -> None:
        self._lines = Lines()
        self._peer = peer
        self._over = over

    def data_received(self, data: bytes) -> None:
        self._take(self._lines.feed(data))

    def connection_lost(self, _: Exception | None) -> None:
        self._take(self._lines.end())
        self._over.set()

    def _take(self, lines: list[Line]) -> None:
        for line in lines:
            if line.data is None:
                self._peer.refuse(messages.too_large())
            else:
                self._peer.receive(line.data)


class _Stdout(asyncio.BaseProtocol):
    """An `Outlet`. Written to a pipe by the loop, to a file at once; `over` is set when nobody reads any more."""

    def __init__(self, fd: int, over: asyncio.Event) -> None:
        self._fd = fd
        self._over = over
        self._transport: asyncio.WriteTransport | None = None
        self._gone = False
        self._free = asyncio.Event()
        self._free.set()

    async def open(self) -> None:
        if not _is_file(self._fd):
            file = os.fdopen(self._fd, "wb", buffering=0)
            transport, _ = await asyncio.get_running_loop().connect_write_pipe(lambda: self, file)
            transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)
            self._transport = transport

    def write(self, message: bytes) -> None:
        line = message + b"\n"
        if self._transport is None:
            os.write(self._fd, line)
        elif not self._gone:
            self._transport.write(line)

    async def room(self) -> None:
        await self._free.wait()

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    def connection_lost(self, _: Exception | None) -> None:
        self._gone = True
        self._free.set()
        self._over.set()

    async def close(self) -> None:
        """Sends what is left, as long as somebody reads it."""
        if self._transport is None:
            os.close(self._fd)
            return
        if not self._gone and self._transport.get_write_buffer_size():
            self._free.clear()
            self._transport.set_write_buffer_limits(high=0)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self._free.wait()
        if not self._gone:
            self._transport.abort()


def _is_file(fd: int) -> bool:
    """Whether `fd` is what a loop can't wait for: a file, or a device such as `/dev/null`."""
    mode = os.fstat(fd).st_mode
    return not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd))


async def serve(launch: Launch) -> None:
    """Speaks ACP until stdin ends, or SIGTERM or SIGINT comes. Turns that run go on: their agents live in Podium."""
    over = asyncio.Event()
    outlet = _Stdout(_private_stdout(), over)
    await outlet.open()
    door = LocalDoor(launch)
    peer = Peer(outlet)
    agent = AcpAgent(peer, door)
    peer.handler = agent
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await _read(_Stdin(peer, over), over)
        agent.hang_up()
        if not stopped.is_set():
            await peer.drained(LAST_WORDS_SECONDS)
    finally:
        agent.hang_up()
        await peer.close()
        await agent.close()
        await door.close()
        await outlet.close()


async def _read(reading: _Stdin, over: asyncio.Event) -> None:
    """Reads stdin until it ends or `over` is set."""
    if _is_file(0):
        while not over.is_set() and (data := os.read(0, READ_BYTES)):
            reading.data_received(data)
            await asyncio.sleep(0)
        reading.connection_lost(None)
        return
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: reading, sys.stdin)
    await over.wait()
    transport.close()


def _private_stdout() -> int:
    """A descriptor of our own for stdout; descriptor 1 becomes stderr, so that nothing else is ever printed among the messages."""
    private = os.dup(1)
    os.dup2(2, 1)
    return private
