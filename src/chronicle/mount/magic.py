"""The files in `.chronicle/`: a workspace's past for whoever has a shell. They are listed in their `README`."""

import errno
import logging
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

from chronicle.mount.magic_past import DIRECTORY_MODE, FILE_MODE, Moments, Past, QueryDirectory, said
from chronicle.mount.magic_words import README, Wish, as_os_error, encoded, iteration_line, wish
from chronicle.mount.virtual import (
    Deferred,
    VirtualAttributes,
    VirtualDirectory,
    VirtualEntry,
    VirtualNode,
)
from chronicle.store.history import History
from chronicle.store.pool import Pool

LOG_ITERATIONS: Final = 1000
"""How many changes `log` tells."""

WISH_BYTES: Final = 64 << 10
"""A restore is asked for in at most so many bytes; the longest path, escaped, has 24,576."""

_AT_ONCE: Final = 4

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Acting(Protocol):
    """Who does what the magic files are asked for. Both block until it is done, and are called on threads of their own."""

    def barrier(self) -> int:
        """Waits until all that happened before is recorded (and replicated, where that is set up); head."""

    def restore(self, iteration: int, path: bytes = b"") -> object:
        """Makes the tree, or what is at the path, as it was."""


class Magic:
    """The `VirtualTree` below `.chronicle`. `spool` is a directory for large contents while they are open (without a name)."""

    def __init__(self, history: History, pool: Pool, spool: Path) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="chronicle-magic")
        self._acting: Acting | None = None
        self._history = history
        past = Past(history, pool, spool, self.later)
        self._root = Listed(
            {
                b"README": Told(lambda: README, len(README)),
                b"at": Moments(past),
                b"barrier": BarrierFile(self),
                b"head": Told(self._head),
                b"log": Told(self._newest),
                b"query": QueryDirectory(past),
                b"restore": RestoreFile(self),
            }
        )

    def root(self) -> VirtualDirectory:
        """What `.chronicle` is."""
        return self._root

    def attach(self, acting: Acting) -> None:
        """From now on `barrier` and `restore` are done by `acting`; before, they fail with `EAGAIN`."""
        self._acting = acting

    def close(self) -> None:
        """Ends the threads, when what they do is done. What waits for its turn fails with `EIO`."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def acting(self) -> Acting:
        """Who acts. Raises `OSError` (`EAGAIN`) while nobody does."""
        if self._acting is None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self._acting

    def later(self, work: Callable[[], T]) -> Deferred[T]:
        """Has the work done on a thread of its own."""
        deferred: Deferred[T] = Deferred()

        def run() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - told to who waits
                deferred.fail(as_os_error(error))
            else:
                deferred.resolve(value)

        def gone() -> None:
            deferred.fail(OSError(errno.EIO, "the mount ends"))

        try:
            self._threads.submit(run).add_done_callback(lambda future: gone() if future.cancelled() else None)
        except RuntimeError:
            gone()
        return deferred

    def _head(self) -> bytes:
        return b"%d\n" % self._history.head

    def _newest(self) -> bytes:
        found = self._history.log(limit=LOG_ITERATIONS, newest_first=True)
        return b"".join(iteration_line(iteration) + b"\n" for iteration in found)


class Listed:
    """A directory of fixed names."""

    def __init__(self, nodes: dict[bytes, VirtualNode]) -> None:
        self._nodes = nodes

    def attributes(self) -> VirtualAttributes:
        """A directory."""
        return VirtualAttributes(DIRECTORY_MODE)

    def child(self, name: bytes) -> VirtualNode | None:
        """What has this name."""
        return self._nodes.get(name)

    def entries(self) -> list[VirtualEntry]:
        """All of them."""
        return [VirtualEntry(name, stat.S_IFMT(node.attributes().mode)) for name, node in self._nodes.items()]


class Told:
    """A file whose content is made when it is opened."""

    def __init__(self, tell: Callable[[], bytes], size: int = 0) -> None:
        self._tell = tell
        self._size = size

    def attributes(self) -> VirtualAttributes:
        """A file."""
        return VirtualAttributes(FILE_MODE, self._size)

    def open(self) -> bytes:
        """What is true now."""
        with said():
            return self._tell()

    def write(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        """Can't be."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class BarrierFile:
    """`barrier`: opening it returns once all that happened before is recorded; it holds the head then."""

    def __init__(self, magic: Magic) -> None:
        self._magic = magic

    def attributes(self) -> VirtualAttributes:
        """A file."""
        return VirtualAttributes(FILE_MODE)

    def open(self) -> Deferred[bytes]:
        """The head, later."""
        acting = self._magic.acting
        return self._magic.later(lambda: b"%d\n" % acting.barrier())

    def write(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        """Can't be."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class RestoreFile:
    """`restore`: what is written to it is a wish; the write returns when it is fulfilled. Reading it tells how the last one went."""

    def __init__(self, magic: Magic) -> None:
        self._magic = magic
        self._last = b"Nothing was restored yet.\n"

    def attributes(self) -> VirtualAttributes:
        """A file that its owner writes to."""
        return VirtualAttributes(stat.S_IFREG | 0o644)

    def open(self) -> bytes:
        """How the last restore went."""
        return self._last

    def write(self, data: bytes) -> Deferred[None]:
        """Restores."""
        try:
            if len(data) > WISH_BYTES:
                raise OSError(errno.EMSGSIZE, f"a restore is asked for in at most {WISH_BYTES} bytes")
            wished = wish(data)
            acting = self._magic.acting
        except Exception as error:
            raise self._failed(error) from error
        return self._magic.later(lambda: self._restore(acting, wished))

    def _restore(self, acting: Acting, wished: Wish) -> None:
        try:
            done = acting.restore(wished.iteration, wished.path)
        except Exception as error:
            raise self._failed(error) from error
        paths = getattr(done, "paths", None)
        told = {
            "iteration": wished.iteration,
            "path": os.fsdecode(wished.path),
            "head": getattr(done, "head", None),
            "changed": None if paths is None else len(paths),
        }
        self._last = encoded(told) + b"\n"

    def _failed(self, error: Exception) -> OSError:
        refused = as_os_error(error)
        self._last = f"error: {refused.strerror}\n".encode(errors="replace")
        return refused
