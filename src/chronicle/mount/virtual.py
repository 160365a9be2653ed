"""What the mount asks of the tree below `.chronicle/`: a protocol, so that the mount knows nothing of what is in it.

All methods are called on helper threads of the mount, never on the one that answers the kernel, several at a time. They may
take milliseconds. What waits for something else (a barrier, a restore) returns a `Deferred` instead and is answered later.
Methods raise `OSError` to say which error the caller sees.
"""

import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from chronicle.model.paths import MAGIC

__all__ = [
    "MAGIC",
    "Deferred",
    "VirtualAttributes",
    "VirtualDirectory",
    "VirtualEntry",
    "VirtualFile",
    "VirtualNode",
    "VirtualSymlink",
    "VirtualTree",
]

T = TypeVar("T")


class Deferred(Generic[T]):
    """A value that comes later. Whoever makes it calls `resolve` or `fail` once, on any thread; further calls are ignored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callback: Callable[[T | None, BaseException | None], None] | None = None

    def resolve(self, value: T) -> None:
        """The value is here."""
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        """There will be none: the caller sees the errno of an `OSError`, else `EIO`."""
        self._finish(None, error)

    def then(self, callback: Callable[[T | None, BaseException | None], None]) -> None:
        """Calls `callback(value, error)` once: now when it is done already, else on the thread that finishes it."""
        with self._lock:
            if not self._done:
                self._callback = callback
                return
        callback(self._value, self._error)

    def _finish(self, value: T | None, error: BaseException | None) -> None:
        with self._lock:
            if self._done:
                return
            self._done, self._value, self._error = True, value, error
            callback = self._callback
        if callback is not None:
            callback(value, error)


class VirtualAttributes(NamedTuple):
    """What `stat` shows. `mode` with type bits; `size` in bytes (an estimate when the content is made at open);
    `mtime_ns` 0: now. `cached`: it never changes (`at/{n}/…`), so that the kernel may keep entry, attributes and data."""

    mode: int
    size: int = 0
    mtime_ns: int = 0
    cached: bool = False


class VirtualEntry(NamedTuple):
    """One name of a directory; `mode` needs only the type bits."""

    name: bytes
    mode: int


@runtime_checkable
class VirtualFile(Protocol):
    """A file made when it is opened."""

    def attributes(self) -> VirtualAttributes:
        """What `stat` shows."""

    def open(self) -> "bytes | int | Deferred[bytes] | Deferred[int]":
        """The content, or a descriptor of it that is handed over (a memfd, read by `pread`), now or later.

        Called once for each `open(2)` for reading; all reads of that handle see this content.
        """

    def write(self, data: bytes) -> "Deferred[None] | None":
        """One `write(2)` is one command; its caller waits for the answer. `None`: done already."""


@runtime_checkable
class VirtualSymlink(Protocol):
    """A symbolic link."""

    def attributes(self) -> VirtualAttributes:
        """What `stat` shows."""

    def target(self) -> bytes:
        """Where it points."""


@runtime_checkable
class VirtualDirectory(Protocol):
    """A directory of further nodes."""

    def attributes(self) -> VirtualAttributes:
        """What `stat` shows."""

    def child(self, name: bytes) -> "VirtualNode | None":
        """What has this name; `None`: nothing."""

    def entries(self) -> list[VirtualEntry]:
        """What can be listed, in a stable order. A directory that answers any name may list none."""


VirtualNode = VirtualFile | VirtualSymlink | VirtualDirectory


class VirtualTree(Protocol):
    """The whole of `.chronicle/`."""

    def root(self) -> VirtualDirectory:
        """What `.chronicle` is."""
