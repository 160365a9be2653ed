"""Writing what comes in below a directory: the mount point, or a working tree that nobody serves. No symbolic link is followed."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from chronicle import reaching
from chronicle.model.errors import InvalidPathError, StorageError
from chronicle.model.paths import joined, parent_of

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_DIRECTORY: Final = 0o755
_IN_THE_WAY: Final = (NotADirectoryError, IsADirectoryError, FileExistsError)

PIECE_BYTES: Final = 1 << 20
"""Bytes moved at a time."""


class Arrived(NamedTuple):
    """What an import did: number of `entries`, bytes of content (`size`), and the `skipped` paths (what a workspace doesn't take)."""

    entries: int
    size: int
    skipped: list[bytes]


class Attributes(NamedTuple):
    """Permission bits, modification time in nanoseconds, extended attributes of what arrives. None: as it comes."""

    mode: int | None = None
    mtime_ns: int | None = None
    xattrs: dict[bytes, bytes] | None = None


class Arriving:
    """Makes entries below `root`, all below the directory `within` there. In `with`: directories get their times and modes at the end.

    Files replace what is there at once, by rename; a directory that is there stays and gets more. What is in the way otherwise is
    an error. As root, what is made belongs to whom `root` belongs.

    Raises, all methods:
        InvalidPathError: something that is no directory, or a directory, is in the way.
        StorageError: the disk refuses.
    """

    def __init__(self, root: Path, within: bytes = b"") -> None:
        self._root_path = root
        self._within = within
        self._root = -1
        self._walking = reaching.Walking(root, reaching.STEP)
        self._owner: tuple[int, int] | None = None
        self._directories: dict[bytes, Attributes] = {}
        self.entries = 0
        self.size = 0

    def __enter__(self) -> "Arriving":
        self._root = os.open(self._root_path, reaching.STEP & ~os.O_NOFOLLOW)
        self._walking = reaching.Walking(self._root, reaching.STEP)
        seen = os.fstat(self._root)
        if os.geteuid() == 0 and (seen.st_uid, seen.st_gid) != (0, 0):
            self._owner = seen.st_uid, seen.st_gid
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                with reaching.Walking(self._root) as walking:
                    for path, attributes in sorted(self._directories.items(), reverse=True):
                        self._close(walking, path, attributes)
        finally:
            self._walking.close()
            os.close(self._root)

    def directory(self, path: bytes, attributes: Attributes | None = None) -> None:
        """Makes a directory, with those above it. Its attributes come at the end. `b""` is `within` itself."""
        target = joined(self._within, path) if path else self._within
        with self._said(target):
            self._make(target)
        self._directories[target] = attributes or Attributes()
        self.entries += 1

    def file(self, path: bytes, pieces: Iterable[bytes | memoryview], attributes: Attributes | None = None) -> None:
        """Makes a regular file; a piece of zeros becomes a hole."""
        attributes = attributes or Attributes()
        with self._beside(path) as (here, name):
            fd = os.open(name, _NEW, 0o600, dir_fd=here)
            try:
                self.size += _fill(fd, pieces)
                if self._owner:
                    os.fchown(fd, *self._owner)
                _attribute(fd, attributes, 0o644)
            finally:
                os.close(fd)

    def symlink(self, path: bytes, target: bytes, mtime_ns: int | None = None) -> None:
        """Makes a symbolic link."""
        with self._beside(path) as (here, name):
            os.symlink(target, name, dir_fd=here)
            self._give(here, name, mtime_ns)

    def fifo(self, path: bytes, attributes: Attributes) -> None:
        """Makes a fifo."""
        with self._beside(path) as (here, name):
            os.mkfifo(name, 0o600, dir_fd=here)
            self._give(here, name, attributes.mtime_ns)
            if attributes.mode is not None:
                os.chmod(name, attributes.mode, dir_fd=here)

    def link(self, path: bytes, source: bytes) -> None:
        """Makes a further name of a file that has arrived.

        Raises:
            InvalidPathError: nothing is at `source`, or no file.
        """
        target, old = joined(self._within, path), joined(self._within, source)
        with self._said(target):
            self._make(parent_of(target))
            with reaching.place(self._root, old) as (there, old_name):
                here, name = self._walking.place(target)
                if stat.S_ISDIR(os.stat(old_name, dir_fd=there, follow_symlinks=False).st_mode):
                    raise InvalidPathError(source, "a directory has one name only")
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=here)
                os.link(old_name, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
        self.entries += 1

    @contextlib.contextmanager
    def _beside(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """A free name in the directory of `path`, which is made; what is made there is renamed to the path at the end."""
        target = joined(self._within, path)
        with self._said(target):
            self._make(parent_of(target))
            here, name = self._walking.place(target)
            with reaching.beside(here, name) as new:
                yield here, new
        self.entries += 1

    def _make(self, path: bytes) -> None:
        """Makes directories that are missing."""
        if path in self._directories:
            return
        missing = []
        while path and path not in self._directories:
            missing.append(path)
            path = parent_of(path)
        for path in reversed(missing):
            here, name = self._walking.place(path)
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, _NEW_DIRECTORY, dir_fd=here)
                self._give(here, name, None)
            self._walking.directory(path)  # something else may be there
            self._directories[path] = Attributes()

    def _close(self, walking: reaching.Walking, path: bytes, attributes: Attributes) -> None:
        if attributes == Attributes():
            return
        with self._said(path):
            _attribute(walking.directory(path), attributes, None)

    def _give(self, here: int, name: bytes, mtime_ns: int | None) -> None:
        if self._owner:
            os.chown(name, *self._owner, dir_fd=here, follow_symlinks=False)
        if mtime_ns is not None:
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=here, follow_symlinks=False)

    @contextlib.contextmanager
    def _said(self, path: bytes) -> Iterator[None]:
        try:
            yield
        except _IN_THE_WAY as error:
            raise InvalidPathError(path, f"something else is in the way ({error.strerror})") from error
        except OSError as error:
            raise StorageError(f"{path.decode(errors='replace')}: {error.strerror or error}") from error


def _attribute(fd: int, attributes: Attributes, mode: int | None) -> None:
    for name, value in (attributes.xattrs or {}).items():
        with contextlib.suppress(OSError):  # a file system without them
            os.setxattr(fd, name, value)
    if attributes.mode is not None or mode is not None:
        os.fchmod(fd, mode or 0 if attributes.mode is None else attributes.mode)
    if attributes.mtime_ns is not None:
        os.utime(fd, ns=(attributes.mtime_ns, attributes.mtime_ns))


def _fill(fd: int, pieces: Iterable[bytes | memoryview]) -> int:
    at = 0
    for piece in pieces:
        end = at + len(piece)
        if not any(piece[:1]) and not any(piece):
            at = end
            continue
        rest = memoryview(piece)
        while rest:
            written = os.pwrite(fd, rest, at)
            at, rest = at + written, rest[written:]
    os.ftruncate(fd, at)
    return at
