"""A worker ahead: forked, and warmed up, before somebody asks for the mount that it will serve.

Half of what a new worker does until it serves is copying pages that it shares with the supervisor and writes to for the first time. A
spare has done that: it has served a workspace of nobody once, from its beginning to its end, and waits for an order.

It is made when a mount has begun to serve and no other is about to, so that many mounts at once, which it could not keep up with, are not
held up by it; and ends when nothing was mounted for a while, so that it costs memory only where workspaces are opened.
"""

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from chronicle.daemon import children
from chronicle.daemon.fronts import Order
from chronicle.daemon.lines import Ready, hear, pair, tell
from chronicle.daemon.worker import Worker, work
from chronicle.layout import Layout, Settings
from chronicle.mount.options import MountOptions
from chronicle.mount.takeover import TakeoverMemory
from chronicle.removing import remove_tree
from chronicle.workspace import forking

PAUSE_SECONDS: Final = 0.005
"""How long after a mount has begun to serve the next spare is made: who asked for the mount goes first."""

KEPT_SECONDS: Final = 300.0
"""How long a spare waits for a mount."""

REHEARSAL: Final = "rehearsal"
"""The workspace of nobody, in the supervisor's directory."""

_ORDER_BYTES: Final = 64 * 1024
"""Longest order: three paths, and some words."""

_log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder(enc_hook=os.fsencode)
_decoder = msgspec.msgpack.Decoder(Order, dec_hook=lambda _kind, path: Path(os.fsdecode(path)))


class Loop(Protocol):
    """What spares need of the supervisor's loop, as of `chronicle.control.server.Server`."""

    def look_at(self, descriptor: int, work: Callable[[], None]) -> None:
        """Has `work` done whenever the descriptor can be read."""

    def look_away(self, descriptor: int) -> None:
        """Ends that."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Has `work` done once, after `seconds`."""


class Spare(NamedTuple):
    """A process that waits: its id, a descriptor that can be read when it is gone, and the line to it."""

    pid: int
    pidfd: int
    line: socket.socket


class Spares:
    """Keeps at most one. All methods are called in the supervisor's loop."""

    def __init__(self, loop: Loop, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`directory` is the supervisor's."""
        self._loop = loop
        self._clock = clock
        self._scratch = directory / REHEARSAL
        self._spare: Spare | None = None
        self._ready = False
        self._mounted = 0.0
        self._beginning = 0
        self._looking = False
        self._retiring = False
        self._closed = False

    def give(self, order: Order) -> Spare | None:
        """Hands an order to the spare, which is the caller's from then on; None: there is none, or it can't take it. Either way
        `begun` is to be called once when the order's worker serves, or has failed."""
        self._mounted = self._clock()
        self._beginning += 1
        spare = self._spare
        if spare is None or not self._ready or not _send(spare.line, order):
            return None
        self._loop.look_away(spare.line.fileno())
        self._loop.look_away(spare.pidfd)
        self._spare = None
        return spare

    def begun(self) -> None:
        """A worker is not about to begin any more."""
        self._beginning -= 1
        if not self._looking and not self._closed:
            self._looking = True
            self._loop.later(PAUSE_SECONDS, self._look)

    def close(self) -> None:
        """There is none any more, nor will be. Idempotent."""
        self._closed = True
        self._dismiss()

    def _look(self) -> None:
        """Makes a spare, unless another worker is about to begin."""
        self._looking = False
        if self._spare is None and not self._beginning and not self._closed:
            self._make()
            self._retire_later(KEPT_SECONDS)

    def _retire_later(self, seconds: float) -> None:
        if not self._retiring:
            self._retiring = True
            self._loop.later(seconds, self._retire)

    def _retire(self) -> None:
        """Ends the spare if nobody needed it for long."""
        self._retiring = False
        left = KEPT_SECONDS - (self._clock() - self._mounted)
        if left <= 0:
            self._dismiss()
        elif self._spare is not None:
            self._retire_later(left)

    def _make(self) -> None:
        ours, theirs = pair()
        try:
            with theirs:
                pid, pidfd = children.start("chronicle-spare", lambda: wait(theirs, self._scratch), {theirs.fileno()})
        except OSError as error:
            ours.close()
            _log.warning("no spare process can be started", extra={"reason": str(error)})
            return
        ours.setblocking(False)
        self._spare, self._ready = Spare(pid, pidfd, ours), False
        self._loop.look_at(ours.fileno(), self._told)
        self._loop.look_at(pidfd, self._dismiss)

    def _told(self) -> None:
        assert self._spare is not None
        message, _ = hear(self._spare.line)
        self._ready = isinstance(message, Ready)
        if not self._ready:
            self._dismiss()  # it failed, and has said why

    def _dismiss(self) -> None:
        """It ends when its line does; one that has ended is reaped."""
        spare, self._spare = self._spare, None
        if spare is None:
            return
        self._loop.look_away(spare.line.fileno())
        self._loop.look_away(spare.pidfd)
        spare.line.close()
        os.kill(spare.pid, signal.SIGKILL)
        os.waitpid(spare.pid, 0)
        os.close(spare.pidfd)


def wait(line: socket.socket, scratch: Path) -> int:
    """The process: warms up, waits for an order, and is its worker. Returns the exit code."""
    rehearse(scratch)
    gc.collect()
    tell(line, Ready())
    order = _receive(line)
    if order is None:
        return 0
    children.name_process("chronicle-mount")
    return work(order, line)


def rehearse(scratch: Path) -> None:
    """Serves a workspace of nobody, at `scratch`, from the beginning to the end, as `work` does. Only its mount is none: it is gone as soon as
    it is looked at."""
    if not Layout(scratch).exists():
        remove_tree(scratch, ignore_errors=True)
        forking.make(scratch, Settings(workspace_id=REHEARSAL))
    memory = TakeoverMemory.new()
    device = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)  # it can't be read, as the device of a mount that is gone
    options = MountOptions(mountpoint=scratch / "mounted", source=REHEARSAL)
    order = Order(scratch, options.mountpoint, "fuse", options, device, memory.fd)
    ours, theirs = pair()
    with ours, theirs:
        Worker(order, theirs).run()
    os.close(device)
    memory.close_descriptor()


def _send(line: socket.socket, order: Order) -> bool:
    """Sends an order with its descriptors; False when that can't be done."""
    try:
        socket.send_fds(line, [_encoder.encode(order)], [each for each in (order.device, order.memory) if each >= 0])
    except (OSError, UnicodeEncodeError):  # it died; or a path is none of Unicode, which the order's texts can't hold
        return False
    return True


def _receive(line: socket.socket) -> Order | None:
    """The order, with descriptors of this process; None when nobody will send one any more."""
    raw, descriptors, _, _ = socket.recv_fds(line, _ORDER_BYTES, 2)
    if not raw:
        return None
    order = _decoder.decode(raw)
    if not descriptors:
        return order
    device, memory = descriptors
    return msgspec.structs.replace(order, device=device, memory=memory)
