"""Whether anybody stores into a pool: a lock that all writers share, and that a sweep without a safe grace period needs alone."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chronicle.model.errors import StorageError
from chronicle.store.pool.catalogue import translated

LOCK: Final = "writing.lock"

WAIT_S: Final = 5.0
"""How long, in seconds, the first batch of a process waits for a sweep that has the pool to itself: as for the database."""

_POLL_S: Final = 0.01


class Presence:
    """This process among those that store. A kernel lock: it ends with the process, however that ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK
        self._lock = threading.Lock()
        self._fd: int | None = None

    def announce(self) -> None:
        """From now until `leave` this process stores.

        Raises:
            StorageError: a sweep has the pool to itself for longer than 5 s; try again.
        """
        if self._fd is not None:
            return
        with self._lock, translated(f"locking {self._path}"):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not _share(fd):
                os.close(fd)
                raise StorageError(f"{self._path.parent}: a sweep without a grace period has the pool to itself")
            self._fd = fd

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other process stores; while the block lasts none begins to, if so."""
        with self._lock, translated(f"locking {self._path}"):
            fd = self._fd
            if fd is None:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                yield _taken(fd, fcntl.LOCK_EX)
            finally:
                # Asking for more gives up what there was, so it is asked for again; the next batch does if this fails.
                if self._fd is None or not _share(fd):
                    self._fd = None
                    os.close(fd)

    def leave(self) -> None:
        """This process stores no more."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _share(fd: int) -> bool:
    end = time.monotonic() + WAIT_S
    while not _taken(fd, fcntl.LOCK_SH):
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_S)
    return True


def _taken(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
