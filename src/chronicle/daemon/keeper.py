"""One mount, kept by the supervisor: what must outlive its worker, and the worker that serves it at the moment."""

import contextlib
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from chronicle.control.failures import error_of
from chronicle.control.messages import Mount, Mounted, Unmounted
from chronicle.control.server import Reply, Server
from chronicle.daemon import children
from chronicle.daemon.fronts import Order
from chronicle.daemon.hands import hand
from chronicle.daemon.lines import Ended, Failed, Leave, NeedHand, Ready, hear, pair, tell
from chronicle.daemon.notes import Note, Notes
from chronicle.daemon.replacing import DEATHS, WITHIN_SECONDS, pause_before_next
from chronicle.daemon.spares import Spare, Spares
from chronicle.daemon.worker import work
from chronicle.layout import Layout
from chronicle.model.errors import (
    ChronicleError,
    InvalidInputError,
    NotSupportedError,
    StorageError,
    WorkspaceBusyError,
)
from chronicle.mount import device
from chronicle.mount.device import Abilities
from chronicle.mount.options import MountOptions
from chronicle.mount.takeover import TakeoverMemory
from chronicle.workspace.marks import MountNote, read_mount, remove_mount, write_mount
from chronicle.workspace.places import SOURCE_PREFIX

if TYPE_CHECKING:
    from chronicle.control.messages import SupervisorRequest

_log = logging.getLogger(__name__)

LEAVE_SECONDS: Final = 50.0
"""How long a worker may take to record everything and unmount; then it is killed, and its journal keeps the rest."""

BEGIN_SECONDS: Final = 300.0
"""How long a worker may take to begin: it replays what a crash left in the journal. One that hangs is killed, and counts as dead."""

State = Literal["starting", "ready", "replacing", "ending"]


class House(Protocol):
    """What a keeper needs of the supervisor."""

    directory: Path
    notes: Notes
    abilities: Abilities
    server: "Server[SupervisorRequest]"
    spares: Spares

    def gone(self, keeper: "Keeper") -> None:
        """The mount is no more."""


class Keeper:
    """A mount from the request to its end. All methods are called in the supervisor's loop."""

    def __init__(self, house: House, workspace: Path, request: Mount) -> None:
        """Decides how it is to be mounted. Raises NotSupportedError when FUSE is demanded and can't be had."""
        self._house = house
        self.workspace = workspace
        self.mountpoint = Path(request.mountpoint).parent.resolve() / Path(request.mountpoint).name
        self._layout = Layout(workspace)
        self._options = MountOptions(
            mountpoint=self.mountpoint,
            source=f"{SOURCE_PREFIX}{workspace}",
            passthrough=request.passthrough,
            io_uring=request.io_uring,
            keep_awake=request.keep_awake,
            allow_other=request.allow_other,
        )
        self._backend, self._why_watch = _backend(request.backend, house.abilities)
        self._state: State = "starting"
        self._passthrough = self._backend == "fuse" and request.passthrough and house.abilities.passthrough
        self._deaths: list[float] = []
        self._device: int | None = None
        self._memory: TakeoverMemory | None = None
        self._note: int | None = None
        self._pid = 0
        self._pidfd = -1
        self._line: socket.socket | None = None
        self._failure: Exception | None = None
        self._ended: Ended | None = None
        self._is_beginning = False
        self._generation = 0
        self._to_mount: list[Reply] = []
        self._to_unmount: list[Reply] = []

    def mounted(self) -> Mounted:
        """What there is to tell."""
        return Mounted(
            workspace=str(self.workspace),
            mountpoint=str(self.mountpoint),
            backend=self._backend,
            pid=self._pid,
            state=self._state,
            deaths=len(self._deaths),
            passthrough=self._passthrough,
            why_watch=self._why_watch,
        )

    # --- beginning

    def start(self, reply: Reply) -> None:
        """Mounts and starts the first worker; the reply comes when it serves.

        Raises:
            WorkspaceBusyError: another supervisor has it mounted.
            InvalidInputError: the mount point is not an empty directory.
            NotSupportedError, StorageError: it can't be mounted.
        """
        other = read_mount(self._layout)
        if other is not None:
            raise WorkspaceBusyError(
                f"{self.workspace} is mounted at {other.mountpoint} by the daemon of {other.supervisor}"
            )
        if device.is_dead(self.mountpoint):
            device.unmount(self.mountpoint, lazy=True)
        self._require_empty()
        self._house.notes.add(Note(str(self.workspace), str(self.mountpoint)))
        try:
            self._note = write_mount(
                self._layout, MountNote(str(self.mountpoint), self._backend, str(self._house.directory))
            )
            self._open()
            self._start_worker()
        except BaseException:
            self._let_go()
            raise
        self._to_mount.append(reply)
        if self._why_watch is not None:
            _log.warning(
                "not mounted with FUSE: changes are watched instead",
                extra={"mountpoint": str(self.mountpoint), "reason": self._why_watch},
            )

    def asked_again(self, request: Mount, reply: Reply) -> None:
        """The workspace is mounted already: the same again is no error, anything else is."""
        wanted = Path(request.mountpoint).parent.resolve() / Path(request.mountpoint).name
        if wanted != self.mountpoint or self._state == "ending":
            raise WorkspaceBusyError(f"{self.workspace} is mounted at {self.mountpoint}; unmount it there first")
        if request.backend not in ("auto", self._backend):
            raise WorkspaceBusyError(f"{self.workspace} is mounted with backend {self._backend}; unmount it first")
        if self._state == "ready":
            reply.good(self.mounted())
        else:
            self._to_mount.append(reply)

    def _require_empty(self) -> None:
        try:
            names = os.listdir(self.mountpoint)
        except OSError as error:
            raise InvalidInputError(f"{self.mountpoint} can't be mounted on: {error.strerror}") from error
        returning = self._layout.tree.is_symlink() and self._layout.tree.resolve() == self.mountpoint
        if names and not returning:
            raise InvalidInputError(
                f"{self.mountpoint} is not empty; mount on an empty directory, or adopt what is in it (`--adopt`)"
            )

    def _open(self) -> None:
        if self._backend == "fuse":
            self._device = device.open_device(self._options)
            self._memory = TakeoverMemory.new()

    def _start_worker(self) -> None:
        order = Order(
            workspace=self.workspace,
            mountpoint=self.mountpoint,
            backend=self._backend,
            options=self._options,
            device=-1 if self._device is None else self._device,
            memory=-1 if self._memory is None else self._memory.fd,
        )
        self._is_beginning = True
        try:
            self._pid, self._pidfd, self._line = self._house.spares.give(order) or _forked(order)
        except OSError:
            self._has_begun()
            raise
        self._ended = None
        self._generation += 1
        self._house.server.look_at(self._line.fileno(), self._told)
        self._house.server.look_at(self._pidfd, self._died)
        self._kill_unless(BEGIN_SECONDS, lambda: self._state in ("starting", "replacing"))

    def _kill_unless(self, seconds: float, stuck: "Predicate") -> None:
        """Kills this worker if `stuck()` holds after so many seconds."""
        generation = self._generation

        def look() -> None:
            if generation == self._generation and self._line is not None and stuck():
                _log.error("a worker takes too long and is killed", extra={"mountpoint": str(self.mountpoint)})
                os.kill(self._pid, signal.SIGKILL)

        self._house.server.later(seconds, look)

    def _has_begun(self) -> None:
        """The worker serves, or never will."""
        if self._is_beginning:
            self._is_beginning = False
            self._house.spares.begun()

    # --- serving

    def _told(self) -> None:
        assert self._line is not None
        message, descriptor = hear(self._line)
        match message:
            case None:
                self._house.server.look_away(self._line.fileno())  # it dies; that is seen by itself
            case Ready():
                self._ready()
            case Failed(failure=failure):
                self._failure = error_of(failure)
            case Ended():
                self._ended = message
            case NeedHand():
                if descriptor is not None:
                    self._give_hand(descriptor)
            case _:
                _log.warning("a worker says what is not its to say")

    def _ready(self) -> None:
        self._has_begun()
        if self._state == "ending":
            self._send_leave()
            return
        _log.info(
            "mounted" if self._state == "starting" else "mounted again",
            extra={"mountpoint": str(self.mountpoint), "backend": self._backend, "worker": self._pid},
        )
        self._state = "ready"
        self._answer_mount()

    def _answer_mount(self, error: Exception | None = None) -> None:
        waiting, self._to_mount = self._to_mount, []
        for reply in waiting:
            if error is None:
                reply.good(self.mounted())
            else:
                reply.bad(error)

    def _give_hand(self, descriptor: int) -> None:
        # Closing the line tells the worker that there is no hand; it tells who asked.
        with socket.socket(fileno=descriptor) as line:
            try:
                pid, pidfd = children.start(
                    "chronicle-hand", lambda: hand(line, self.workspace, self.mountpoint), {descriptor}
                )
            except OSError as error:
                facts = {"mountpoint": str(self.mountpoint), "reason": str(error)}
                _log.error("a process that works through the mount can't be started", extra=facts)
                return

        def reap() -> None:
            self._house.server.look_away(pidfd)
            os.close(pidfd)
            os.waitpid(pid, 0)

        self._house.server.look_at(pidfd, reap)

    # --- ending

    def leave(self, reply: Reply | None) -> None:
        """Has everything recorded and the mount taken away; the reply comes when it is gone."""
        if reply is not None:
            self._to_unmount.append(reply)
        if self._state == "ending":
            return
        was_ready = self._state == "ready"
        self._state = "ending"
        self._answer_mount(WorkspaceBusyError(f"{self.mountpoint} is being unmounted"))
        self._kill_unless(LEAVE_SECONDS, lambda: True)
        if was_ready:
            self._send_leave()

    def _send_leave(self) -> None:
        if self._line is not None:
            tell(self._line, Leave())

    def _died(self) -> None:
        """The worker is gone, however."""
        self._drain()
        self._has_begun()
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._forget_worker()
        if self._ended is not None:
            self._gone(self._ended.lazy)
        elif self._state == "starting":
            self._answer_mount(
                self._failure or StorageError(f"the mount's process ended with {code}; the log says why")
            )
            self._gone(None)
        else:
            self._deaths.append(time.monotonic())
            self._replace(code)

    def _drain(self) -> None:
        """What it said last."""
        assert self._line is not None
        with contextlib.suppress(BlockingIOError, KeyError):
            for _ in range(16):
                self._told()

    def _replace(self, code: int) -> None:
        pause = pause_before_next(self._deaths)
        facts = {"mountpoint": str(self.mountpoint), "code": code, "reason": str(self._failure or "")}
        if pause is None:
            _log.error(
                f"a mount is given up: its process died {DEATHS} times within {WITHIN_SECONDS:.0f} s", extra=facts
            )
            self._gone("its process died again and again; what was noted is kept and recorded at the next mount")
            return
        _log.warning("a mount's process died and is replaced", extra=facts)
        if self._state != "ending":
            self._state = "replacing"
        self._house.server.later(pause, self._begin_again)

    def _begin_again(self) -> None:
        self._failure = None
        try:
            if self._backend == "fuse" and not self._house.abilities.resend:
                self._mount_anew()
            self._start_worker()
        except (ChronicleError, OSError) as error:
            self._failure = error
            self._deaths.append(time.monotonic())
            self._replace(-1)

    def _mount_anew(self) -> None:
        """The kernel can't send again what the dead worker had taken on: the mount goes, and comes back. Open files are lost."""
        self._unmount_here()
        self._open()

    def _forget_worker(self) -> None:
        assert self._line is not None
        with contextlib.suppress(KeyError, ValueError):
            self._house.server.look_away(self._line.fileno())
        self._house.server.look_away(self._pidfd)
        self._line.close()
        self._line = None
        os.close(self._pidfd)

    def _gone(self, lazy: str | None) -> None:
        self._let_go()
        if self._deaths and pause_before_next(self._deaths) is None:
            self._answer_mount(StorageError(f"{self.mountpoint} was given up: its process died again and again"))
        _log.info("unmounted", extra={"mountpoint": str(self.mountpoint), **({"lazy": lazy} if lazy else {})})
        for reply in self._to_unmount:
            reply.good(Unmounted(str(self.workspace), str(self.mountpoint), lazy))
        self._house.gone(self)

    def _let_go(self) -> None:
        self._unmount_here()
        if self._note is not None:
            remove_mount(self._layout, self._note)
            self._note = None
        self._house.notes.remove(str(self.mountpoint))

    def _unmount_here(self) -> None:
        """Makes sure that nothing is mounted by us. The connection ends with the device: no user hangs, whoever still holds a file."""
        if self._device is None:
            return
        try:
            device.unmount(self.mountpoint, lazy=True)
        except ChronicleError as error:
            _log.error("a mount can't be taken away", extra={"mountpoint": str(self.mountpoint), "reason": str(error)})
        os.close(self._device)
        self._device = None
        if self._memory is not None:
            self._memory.close_descriptor()
            self._memory = None


class Predicate(Protocol):
    """A question without arguments."""

    def __call__(self) -> bool:
        """Its answer."""


def _forked(order: Order) -> Spare:
    """A new process with this order."""
    ours, theirs = pair()
    keep = {theirs.fileno(), *(number for number in (order.device, order.memory) if number >= 0)}
    try:
        with theirs:
            pid, pidfd = children.start("chronicle-mount", lambda: work(order, theirs), keep)
    except OSError:
        ours.close()
        raise
    ours.setblocking(False)
    return Spare(pid, pidfd, ours)


def _backend(wanted: str, abilities: Abilities) -> tuple[Literal["fuse", "watch"], str | None]:
    """Which backend it is, and why it is `watch` when that was not asked for."""
    if wanted == "watch":
        return "watch", None
    if abilities.fuse:
        return "fuse", None
    if wanted == "fuse":
        raise NotSupportedError(f"FUSE can't be had here: {abilities.how}")
    return "watch", abilities.how
