"""The supervisor: mounts on request, keeps what must outlive a worker, replaces workers that die."""

import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from chronicle.control.messages import ListMounts, Mount, Mounted, Stop, SupervisorRequest, Unmount
from chronicle.control.server import Reply, Server
from chronicle.control.sockets import listen
from chronicle.daemon import children
from chronicle.daemon.client import LOCK, SOCKET, own_directory
from chronicle.daemon.keeper import Keeper
from chronicle.daemon.notes import Notes
from chronicle.daemon.spares import Spares
from chronicle.layout import Layout
from chronicle.model.errors import InvalidInputError, NotFoundError, WorkspaceBusyError
from chronicle.mount.device import Abilities, probe

_log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 1.0
"""A supervisor that ends when idle does so when nothing was mounted and nobody connected for so long."""

_decoder: msgspec.json.Decoder[SupervisorRequest] = msgspec.json.Decoder(SupervisorRequest)


class Supervisor:
    """One per directory. Single-threaded, so that it may fork at any moment."""

    def __init__(self, directory: Path, *, until_idle: bool = False, spare: bool = False) -> None:
        """Makes the directory and takes it. `spare`: a process is kept ready for the next mount.

        Raises:
            WorkspaceBusyError: another supervisor has it.
            NotSupportedError: it is another user's.
        """
        self.directory = directory
        self._until_idle = until_idle
        own_directory(directory)
        self._lock = _taken(directory / LOCK)
        self.notes = Notes(directory / "mounts")
        self.abilities: Abilities = probe()
        self.server: Server[SupervisorRequest] = Server(listen(directory / SOCKET), _decoder, self._handle)
        self.spares = Spares(self.server, directory)
        if not spare:
            self.spares.close()
        self._keepers: dict[str, Keeper] = {}
        self._ending = False

    def run(self, ready: Callable[[], None]) -> None:
        """Serves until stopped; calls `ready` when it does. Everything is unmounted afterwards."""
        self.notes.clean_up()
        woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)  # the wake-up descriptor tells the loop

        def signalled() -> None:
            os.read(woken, 4096)
            self.end()

        self.server.look_at(woken, signalled)
        if self._until_idle:
            self.server.later(IDLE_SECONDS * 5, self._end_when_idle)
        children.warm()
        ready()
        try:
            self.server.run()
        finally:
            signal.set_wakeup_fd(-1)
            os.close(woken)
            os.close(waker)
            with contextlib.suppress(FileNotFoundError):
                (self.directory / SOCKET).unlink()
            os.close(self._lock)

    def end(self) -> None:
        """Unmounts everything, then ends the loop. Idempotent."""
        self._ending = True
        self.spares.close()
        for keeper in list(self._keepers.values()):
            keeper.leave(None)
        self._stop_when_empty()

    def gone(self, keeper: Keeper) -> None:
        """Called by a keeper whose mount is no more."""
        self._keepers.pop(str(keeper.workspace), None)
        self._stop_when_empty()
        if self._until_idle:
            self.server.later(IDLE_SECONDS, self._end_when_idle)

    def _stop_when_empty(self) -> None:
        if self._ending and not self._keepers:
            self.server.stop()

    def _end_when_idle(self) -> None:
        if self._keepers:
            return
        if self.server.connections:
            self.server.later(IDLE_SECONDS, self._end_when_idle)
            return
        self.end()

    def _handle(self, request: SupervisorRequest, reply: Reply) -> None:
        match request:
            case Mount():
                self._mount(request, reply)
            case Unmount(place=place):
                self._find(place).leave(reply)
            case ListMounts():
                reply.good(self.mounts())
            case Stop():
                reply.good(None)
                self.end()
            case _:
                raise InvalidInputError("not a request for the supervisor")

    def _mount(self, request: Mount, reply: Reply) -> None:
        if self._ending:
            raise WorkspaceBusyError("this daemon is ending; start another")
        root = Path(request.workspace).resolve()
        known = self._keepers.get(str(root))
        if known is not None:
            known.asked_again(request, reply)
            return
        Layout(root).read_settings()
        if any(str(keeper.mountpoint) == request.mountpoint for keeper in self._keepers.values()):
            raise WorkspaceBusyError(f"{request.mountpoint} shows another workspace; unmount it first")
        keeper = Keeper(self, root, request)
        keeper.start(reply)
        self._keepers[str(root)] = keeper

    def _find(self, place: str) -> Keeper:
        resolved = str(Path(place).parent.resolve() / Path(place).name)
        for keeper in self._keepers.values():
            if {place, resolved} & {str(keeper.workspace), str(keeper.mountpoint)}:
                return keeper
        raise NotFoundError(f"nothing is mounted at {place} by this daemon; `chronicle status` lists what is")

    def mounts(self) -> list[Mounted]:
        """All mounts."""
        return [keeper.mounted() for keeper in self._keepers.values()]


def _taken(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WorkspaceBusyError(f"another Chronicle daemon runs in {path.parent}") from None
    return descriptor


def say_ready(directory: Path) -> None:
    """The line that whoever started this process waits for."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"ready {directory / SOCKET}\n")
        sys.stdout.flush()
