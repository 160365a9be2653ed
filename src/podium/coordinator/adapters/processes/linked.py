"""A running, linked process of an instance: what it says goes to its handler, and its end is the end of its tree."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.processes.birth import Born
from podium.coordinator.adapters.processes.template import Sitter
from podium.coordinator.adapters.processes.trees import ProcessTree
from podium.coordinator.domain.ports import ExitStatus, LinkHandler
from podium.wire.rest import Resources

_log = logging.getLogger(__name__)

OUTPUT_CHUNK_BYTES: Final = 64 * 1024
"""Most printed bytes handed on in one call."""

KILL_PAUSE_SECONDS: Final = 0.002
"""First pause between two rounds of killing; doubled up to `KILL_PAUSE_MAX_SECONDS`."""

KILL_PAUSE_MAX_SECONDS: Final = 0.1
"""Longest pause between two rounds of killing."""


class Bounds(NamedTuple):
    """How long things may take (seconds), who owns the tasks, and the socket file to remove at the end."""

    kill_seconds: float
    drain_seconds: float
    tasks: TaskOwner
    socket_path: Path


class _Reader(asyncio.Protocol):
    def __init__(self, hear: Callable[[bytes], None], lost: asyncio.Future[None]) -> None:
        self._hear = hear
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        self._hear(data)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_result(None)


class LinkedProcess(Sitter):
    """An `AgentProcess`. Made by `attach`, which needs the running loop."""

    def __init__(self, born: Born, tree: ProcessTree, handler: LinkHandler, bounds: Bounds) -> None:
        loop = asyncio.get_running_loop()
        self._born = born
        self._tree = tree
        self._handler = handler
        self._bounds = bounds
        self._status: ExitStatus | None = None
        self.gone: asyncio.Future[None] = loop.create_future()
        self._silent = [loop.create_future() for _ in range(3)]
        self._link: asyncio.Transport | None = None
        self._outputs: list[asyncio.ReadTransport] = []
        self._paused = False

    async def attach(self) -> None:
        """Starts reading. Descriptors are owned from here on."""
        loop = asyncio.get_running_loop()
        link, stdout, stderr = self._silent
        for descriptor, stream, lost in ((self._born.stdout, "stdout", stdout), (self._born.stderr, "stderr", stderr)):
            hear = self._output_of("stdout" if stream == "stdout" else "stderr")
            output, _ = await loop.connect_read_pipe(partial(_Reader, hear, lost), os.fdopen(descriptor, "rb", 0))
            self._outputs.append(output)
        transport, _ = await loop.connect_accepted_socket(
            partial(_Reader, self._handler.link_received, link), self._born.link
        )
        self._link = transport

    @property
    def pid(self) -> int:
        """Pid as this host sees it."""
        return self._born.pid

    def send(self, data: bytes) -> None:
        """Writes to the agent link; dropped when the process is gone."""
        if self._link is not None and not self._link.is_closing():
            self._link.write(data)

    def pause_reading(self) -> None:
        """Stops reading the link."""
        if not self._paused and self._link is not None and not self._link.is_closing():
            self._paused = True
            self._link.pause_reading()

    def resume_reading(self) -> None:
        """Reads the link again."""
        if self._paused:
            self._paused = False
            if self._link is not None and not self._link.is_closing():
                self._link.resume_reading()

    def terminate(self) -> None:
        """SIGTERM to the first process."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    async def kill(self) -> None:
        """Ends the whole tree; on return `process_ended` was called. A caller that is cancelled leaves it dying."""
        pause = KILL_PAUSE_SECONDS
        left = self._bounds.kill_seconds
        while not self.gone.done() and left > 0:
            if self._status is None:
                self._tree.kill(with_first=True)
            await asyncio.wait({self.gone}, timeout=pause)
            left -= pause
            pause = min(pause * 2, KILL_PAUSE_MAX_SECONDS)
        if not self.gone.done():
            _log.error("tree_survives", extra={"pid": self.pid, "survivors": self._tree.members(with_first=True)})
            await self._tree.fell(self._bounds.kill_seconds)
            await asyncio.wait({self.gone}, timeout=self._bounds.kill_seconds)

    def resources(self) -> Resources:
        """What the tree uses now."""
        return Resources() if self._status is not None else self._tree.usage()

    # ── its end ─────────────────────────────────────────────────────────────────────────────────────────────

    def ended(self, status: ExitStatus) -> None:
        """The first process is gone."""
        if self._status is None:
            self._status = status
            self._bounds.tasks.start(self._finish(status), f"end of {self.pid}")

    async def _finish(self, status: ExitStatus) -> None:
        """No survivor, nothing left to read, then the last call. Cancelled only when the host closes: then at once."""
        try:
            await self._clear()
            self.resume_reading()
            await asyncio.wait(self._silent, timeout=self._bounds.drain_seconds)
        finally:
            status = status._replace(out_of_memory=self._tree.out_of_memory())
            self._close()
            self.gone.set_result(None)
            self._handler.process_ended(status)

    async def _clear(self) -> None:
        pause = KILL_PAUSE_SECONDS
        left = self._bounds.kill_seconds
        while left > 0:
            if not self._tree.kill(with_first=False):
                return
            await asyncio.sleep(pause)
            left -= pause
            pause = min(pause * 2, KILL_PAUSE_MAX_SECONDS)
        _log.error("tree_survives", extra={"pid": self.pid, "survivors": self._tree.members(with_first=False)})
        await self._tree.fell(self._bounds.kill_seconds)

    def _close(self) -> None:
        for transport in (*self._outputs, self._link):
            if transport is not None:
                transport.close()
        self._tree.release()
        with contextlib.suppress(OSError):
            self._bounds.socket_path.unlink()

    def _output_of(self, stream: Literal["stdout", "stderr"]) -> Callable[[bytes], None]:
        def hear(data: bytes) -> None:
            for at in range(0, len(data), OUTPUT_CHUNK_BYTES):
                self._handler.output_received(stream, data[at : at + OUTPUT_CHUNK_BYTES])

        return hear
