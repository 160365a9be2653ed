"""Small files in a workspace that say how it stands: ended cleanly, held by whom, mounted where.

`clean` is written when a writer has recorded everything and ends, and removed before the next one changes anything. Without it the
working tree may differ from head and is compared.

`lock` is held (flock) by the one process that writes. `mount.json` says where the workspace is mounted; the supervisor holds a flock on it as
long as it keeps the mount up, also while a process that died is being replaced, so that nobody writes behind the mount.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Final, Literal

import msgspec

from chronicle.layout import Layout
from chronicle.model.errors import WorkspaceBusyError

LOCK_SECONDS: Final = 5.0
"""How long to wait for a writer that is at work for a moment (another library call)."""

_POLL_SECONDS: Final = 0.005


class MountNote(msgspec.Struct, frozen=True):
    """`mount.json`."""

    mountpoint: str
    backend: Literal["fuse", "watch"]
    supervisor: str
    """The supervisor's directory; its socket is `chronicled.sock` there."""


class Lock:
    """The right to write a workspace: a flock on its `lock` file. Ends with the process at the latest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, layout: Layout, timeout: float = LOCK_SECONDS) -> "Lock":
        """Waits up to `timeout` seconds.

        Raises:
            WorkspaceBusyError: someone else holds it.
        """
        end = time.monotonic() + timeout
        while True:
            lock = cls.try_take(layout)
            if lock is not None:
                return lock
            if time.monotonic() >= end:
                raise WorkspaceBusyError(f"{layout.root} is written by another process; try again when it is done")
            time.sleep(_POLL_SECONDS)

    @classmethod
    def try_take(cls, layout: Layout) -> "Lock | None":
        """The lock, or None when someone holds it."""
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Lets others write. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def clean_mark(layout: Layout) -> Path:
    """The file that says that the tree equals head."""
    return layout.root / "clean"


def was_clean(layout: Layout) -> bool:
    """Whether the last writer ended in order."""
    return clean_mark(layout).exists()


def mark_clean(layout: Layout) -> None:
    """The tree equals head, everything is recorded."""
    clean_mark(layout).touch(mode=0o600)


def mark_in_use(layout: Layout) -> None:
    """The tree may differ from head from now on."""
    clean_mark(layout).unlink(missing_ok=True)


def read_mount(layout: Layout) -> MountNote | None:
    """Where the workspace is mounted; None when it is not, also when a supervisor that was killed left its note."""
    try:
        descriptor = os.open(layout.mount_file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if _is_free(descriptor):
            return None
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(os.read(descriptor, 65536), type=MountNote)
        return None
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_mount(layout: Layout, note: MountNote) -> int:
    """Writes `mount.json`. Returns the descriptor whose lock makes it count; closing it ends that."""
    beside = layout.mount_file.with_name(".mount.json")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, msgspec.json.encode(note))
        os.replace(beside, layout.mount_file)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_mount(layout: Layout, descriptor: int) -> None:
    """The workspace is not mounted any more."""
    layout.mount_file.unlink(missing_ok=True)
    os.close(descriptor)
