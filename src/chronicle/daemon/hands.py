"""Hands: processes that change a workspace through its mount, for the worker that serves it.

A worker must not use its own mount. If it were killed while one of its threads waits for an answer of the kernel that only the worker
can give, that thread could not end, the process would never be gone, and nobody would see that it has to be replaced. So the supervisor
forks a hand when a worker asks for one; it ends when it was idle for a while, or when its worker ends.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chronicle.control.failures import error_of, failure_of
from chronicle.control.messages import HolderRequest, Put, Remove, Restore, Restored
from chronicle.daemon.lines import Done, Job, NeedHand, hear, pair, tell
from chronicle.layout import Layout
from chronicle.model.errors import InvalidInputError, QuotaExceededError, StorageError
from chronicle.store.history import History
from chronicle.workspace import applying
from chronicle.workspace.here import translated
from chronicle.workspace.tiers import open_pool
from chronicle.worktree import restore

_log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 20.0
"""A hand with nothing to do ends; the next job gets another, within milliseconds."""

JOB_SECONDS: Final = 3600.0
"""Longest job: a restore of a whole tree."""


def hand(line: socket.socket, workspace: Path, mountpoint: Path) -> int:
    """The process: jobs from `line`, one after the other."""
    os.umask(0)
    line.settimeout(IDLE_SECONDS)
    while True:
        try:
            job, _ = hear(line)
        except TimeoutError:
            return 0
        if not isinstance(job, Job):
            return 0
        try:
            done = Done(restored=_do(job, workspace, mountpoint))
        except Exception as error:  # noqa: BLE001 - told to the worker, which tells who asked
            done = Done(failure=failure_of(error))
        if not tell(line, done):
            return 0


@contextlib.contextmanager
def _held(mountpoint: Path) -> Iterator[Path]:
    """The root of the mount, held open: if the mount is taken away meanwhile, what is below it is not written to instead.

    Raises:
        StorageError: it is not mounted any more.
    """
    root = os.open(mountpoint, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(root).st_dev == mountpoint.parent.stat().st_dev:
            raise StorageError(f"{mountpoint} is not mounted any more")
        yield Path(f"/proc/self/fd/{root}")
    finally:
        os.close(root)


def _do(job: Job, workspace: Path, place: Path) -> Restored | None:
    with _held(place) as mountpoint:
        return _done(job, workspace, mountpoint)


def _done(job: Job, workspace: Path, mountpoint: Path) -> Restored | None:
    match job.request:
        case Put(path=path, source=source, mode=mode):
            with translated(path), applying.source(source) as content:
                _require_room(mountpoint, path, os.fstat(content).st_size)
                applying.put(mountpoint, path, content, mode)
        case Remove(path=path):
            with translated(path):
                applying.remove(mountpoint, path)
        case Restore(iteration=iteration, path=path):
            return _restore(Layout(workspace), mountpoint, job.head, iteration, path)
        case _:
            raise InvalidInputError("not a job for a hand")
    return None


def _require_room(mountpoint: Path, path: bytes, size: int) -> None:
    """The kernel writes past the mount when it passes data through, so the quota is asked before, not found out about afterwards."""
    room = os.statvfs(mountpoint)
    if size > room.f_bavail * room.f_frsize:
        raise QuotaExceededError(
            f"{os.fsdecode(path)} has {size} bytes; there is room for {room.f_bavail * room.f_frsize}"
        )


def _restore(layout: Layout, mountpoint: Path, head: int, iteration: int, path: bytes) -> Restored:
    history = History.open(layout.history)
    try:
        pool = open_pool(layout, layout.read_settings())
        try:
            with translated(path):
                return Restored(head, restore(history, pool, mountpoint, iteration, path))
        finally:
            pool.close()
    finally:
        history.close()


class Hands:
    """The worker's side: one hand at a time, one job after the other. Thread-safe."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._line: socket.socket | None = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing else is done by hands meanwhile."""
        with self._lock:
            yield

    def do(self, request: HolderRequest, head: int) -> Restored | None:
        """Has it done; call it within `alone`.

        Raises:
            StorageError: the hand died over it.
            ChronicleError: what the hand ran into.
        """
        for _ in range(2):  # one that was idle may end at this moment: it took nothing on then
            line = self._line = self._line or self._fetch()
            line.settimeout(JOB_SECONDS)
            if tell(line, Job(request, head)):
                done, _none = hear(line)
                if isinstance(done, Done):
                    if done.failure is not None:
                        raise error_of(done.failure)
                    return done.restored
            line.close()
            self._line = None
        raise StorageError("the process that works through the mount ended over this; try again")

    def close(self) -> None:
        """Lets the hand end."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _fetch(self) -> socket.socket:
        ours, theirs = pair()
        with theirs:
            if not tell(self._supervisor, NeedHand(), theirs.fileno()):
                ours.close()
                raise StorageError("the supervisor is gone")
        return ours
