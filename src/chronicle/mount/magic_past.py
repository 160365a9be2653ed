"""`.chronicle/at/` and `.chronicle/query/`: directories made of the history."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chronicle.model.errors import ChronicleError, NotFoundError, VersionDroppedError
from chronicle.model.iterations import Entry, Iteration, Version
from chronicle.model.paths import NAME_BYTES, joined
from chronicle.mount.magic_words import as_os_error, encoded, iteration_fields
from chronicle.mount.virtual import Deferred, VirtualAttributes, VirtualEntry, VirtualNode
from chronicle.store.history import History
from chronicle.store.pool import Pool

DIRECTORY_MODE: Final = stat.S_IFDIR | 0o555
FILE_MODE: Final = stat.S_IFREG | 0o444

SMALL_BYTES: Final = 128 << 10
"""Contents up to here are handed over as bytes: a descriptor costs more than their copy."""

MEMORY_BYTES: Final = 16 << 20
"""Contents up to here are in memory (memfd) while they are open, larger ones in a file without a name."""

QUERY_ITERATIONS: Final = 10_000
"""A query tells at most so many iterations of a path; the library pages through more."""

_LISTED_MOMENTS: Final = 1000

Later = Callable[[Callable[[], int]], "Deferred[int]"]
"""Has something done on another thread."""


class Past:
    """What the nodes here ask. `spool` is a directory on a disk, for large contents that are open."""

    def __init__(self, history: History, pool: Pool, spool: Path, later: Later) -> None:
        self.history = history
        self.pool = pool
        self.later = later
        self._spool = spool

    def content(self, path: bytes, version: Version) -> "bytes | int | Deferred[int]":
        """A file's content, verified, as `VirtualFile.open` gives it."""
        if version.digest is None:
            return b""
        if version.size <= SMALL_BYTES:
            with said(), dropped(path, version):
                return self.pool.read(version.digest)
        if version.size <= MEMORY_BYTES:
            return self._copied(path, version)
        return self.later(lambda: self._copied(path, version))

    def _copied(self, path: bytes, version: Version) -> int:
        assert version.digest is not None
        if version.size <= MEMORY_BYTES:
            fd = os.memfd_create("chronicle-past", os.MFD_CLOEXEC)
        else:
            fd = os.open(self._spool, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        try:
            with said(), dropped(path, version):
                self.pool.copy_to(version.digest, fd)
        except BaseException:
            os.close(fd)
            raise
        return fd


class Moments:
    """`at/`: answers any number up to head; lists head and the moments that have a name."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def attributes(self) -> VirtualAttributes:
        """A directory."""
        return VirtualAttributes(DIRECTORY_MODE)

    def child(self, name: bytes) -> VirtualNode | None:
        """The tree at a moment."""
        if not name.isdigit() or len(name) > 18 or (name.startswith(b"0") and name != b"0"):
            return None
        moment = int(name)
        with said():
            if moment > self._past.history.head:
                return None
            root = self._past.history.lookup(b"", moment)
        assert root is not None
        return PastDirectory(self._past, moment, b"", root)

    def entries(self) -> list[VirtualEntry]:
        """Head and checkpoints."""
        with said():
            history = self._past.history
            named = history.checkpoints(limit=_LISTED_MOMENTS)
            moments = {history.head, *(checkpoint.iteration for checkpoint in named)}
        return [VirtualEntry(b"%d" % moment, DIRECTORY_MODE) for moment in sorted(moments)]


class PastDirectory:
    """A directory of a moment."""

    def __init__(self, past: Past, moment: int, path: bytes, version: Version) -> None:
        self._past = past
        self._moment = moment
        self._path = path
        self._version = version

    def attributes(self) -> VirtualAttributes:
        """As they were."""
        return VirtualAttributes(self._version.mode, 0, self._version.mtime_ns, cached=True)

    def child(self, name: bytes) -> VirtualNode | None:
        """What had this name."""
        path = joined(self._path, name)
        with said():
            version = self._past.history.lookup(path, self._moment)
        if version is None:
            return None
        match version.type:
            case "directory":
                return PastDirectory(self._past, self._moment, path, version)
            case "symlink":
                return PastSymlink(version)
            case _:
                return PastFile(self._past, path, version)

    def entries(self) -> list[VirtualEntry]:
        """All names."""
        with said():
            found: list[Entry] = self._past.history.entries(self._path, self._moment)
        return [VirtualEntry(entry.name, entry.version.mode) for entry in found]


class PastFile:
    """A file, or something special, of a moment."""

    def __init__(self, past: Past, path: bytes, version: Version) -> None:
        self._past = past
        self._path = path
        self._version = version

    def attributes(self) -> VirtualAttributes:
        """As they were."""
        version = self._version
        return VirtualAttributes(version.mode, version.size, version.mtime_ns, cached=True)

    def open(self) -> "bytes | int | Deferred[bytes] | Deferred[int]":
        """The content as it was."""
        return self._past.content(self._path, self._version)

    def write(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        """The past can't be changed."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class PastSymlink:
    """A symbolic link of a moment."""

    def __init__(self, version: Version) -> None:
        self._version = version

    def attributes(self) -> VirtualAttributes:
        """As they were."""
        return VirtualAttributes(self._version.mode, len(self.target()), self._version.mtime_ns, cached=True)

    def target(self) -> bytes:
        """Where it pointed."""
        return self._version.target or b""


class QueryDirectory:
    """`query/` and the directories below it: they answer any path that ever was, and list what is there now."""

    def __init__(self, past: Past, path: bytes = b"") -> None:
        self._past = past
        self._path = path

    def attributes(self) -> VirtualAttributes:
        """A directory."""
        return VirtualAttributes(DIRECTORY_MODE)

    def child(self, name: bytes) -> VirtualNode | None:
        """A file's iterations; for a path that is a directory, or was one last, a directory of such."""
        if len(name) > NAME_BYTES:
            return None
        path = joined(self._path, name)
        with said():
            now = self._past.history.lookup(path)
            mode = self._last_mode(path) if now is None else now.mode
        if mode is None:
            return None
        return QueryDirectory(self._past, path) if stat.S_ISDIR(mode) else QueryFile(self._past, path)

    def entries(self) -> list[VirtualEntry]:
        """What is there now."""
        with said():
            try:
                found = self._past.history.entries(self._path)
            except NotFoundError:
                return []
        return [
            VirtualEntry(entry.name, DIRECTORY_MODE if entry.version.type == "directory" else FILE_MODE)
            for entry in found
        ]

    def _last_mode(self, path: bytes) -> int | None:
        """What was at the path last; a deletion says nothing about it, what came before does."""
        for iteration in self._past.history.history(path, limit=8):
            if iteration.mode is not None:
                return iteration.mode
        return None


class QueryFile:
    """`query/{path}`: the iterations of a path as JSON."""

    def __init__(self, past: Past, path: bytes) -> None:
        self._past = past
        self._path = path

    def attributes(self) -> VirtualAttributes:
        """A file, made when it is opened."""
        return VirtualAttributes(FILE_MODE)

    def open(self) -> bytes:
        """`{path, iterations: [newest first], complete}`."""
        with said():
            found: list[Iteration] = self._past.history.history(self._path, limit=QUERY_ITERATIONS + 1)
        answer = {
            "path": os.fsdecode(self._path),
            "iterations": [iteration_fields(iteration) for iteration in found[:QUERY_ITERATIONS]],
            "complete": len(found) <= QUERY_ITERATIONS,
        }
        return encoded(answer) + b"\n"

    def write(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        """The past can't be changed."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@contextlib.contextmanager
def said() -> Iterator[None]:
    """Chronicle's errors as those of system calls."""
    try:
        yield
    except ChronicleError as error:
        raise as_os_error(error) from error


@contextlib.contextmanager
def dropped(path: bytes, version: Version) -> Iterator[None]:
    """A content that is nowhere was given up."""
    try:
        yield
    except NotFoundError as error:
        raise VersionDroppedError(path, version.iteration) from error
