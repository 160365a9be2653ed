"""A directory becomes part of a workspace."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chronicle import reaching
from chronicle.exchange.arriving import PIECE_BYTES, Arrived, Arriving, Attributes
from chronicle.model.errors import InvalidInputError
from chronicle.model.paths import MAGIC, joined

_OWN: Final = "user.chronicle."


def import_tree(source: Path, into: Path, within: bytes = b"") -> Arrived:
    """Copies everything below `source` into `within` of the tree at `into` (the mount point, or the tree of nobody's mount).

    Modes, times, extended attributes, symbolic links as they are, names of one file as one file, fifos, holes. Sockets and
    devices are skipped, and `.chronicle` at the top of `source`. What is there of other names stays.

    Raises:
        InvalidInputError: `source` is no directory, or `into` lies in it.
        InvalidPathError: something else is in the way at the target.
        StorageError: reading or writing is refused; what arrived until then stays.
    """
    if not source.is_dir():
        raise InvalidInputError(f"{source} is not a directory")
    if into.resolve().is_relative_to(source.resolve()):
        raise InvalidInputError(f"{into} lies in {source}: it would be copied into itself")
    with Arriving(into, within) as arriving:
        copying = _Copying(arriving)
        top = os.open(source, reaching.LIST & ~os.O_NOFOLLOW)
        try:
            copying.directory(top)
        finally:
            os.close(top)
        return Arrived(arriving.entries, arriving.size, sorted(copying.skipped))


class _Copying:
    def __init__(self, arriving: Arriving) -> None:
        self._arriving = arriving
        self._first: dict[tuple[int, int], bytes] = {}
        self.skipped: list[bytes] = []

    def directory(self, top: int) -> None:
        """Copies what is in a directory, and below it, one after the other: any depth needs three descriptors."""
        pending = [b""]
        with reaching.Walking(top) as walking:
            while pending:
                path = pending.pop()
                here = walking.directory(path)
                with os.scandir(here) as listing:
                    names = sorted(os.fsencode(entry.name) for entry in listing)
                for name in names:
                    inside = joined(path, name)
                    if inside != MAGIC and self._entry(here, name, inside):
                        pending.append(inside)

    def _entry(self, here: int, name: bytes, path: bytes) -> bool:
        """Copies an entry; True for a directory, whose own entries are to be copied then."""
        try:
            seen = os.stat(name, dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            return False  # gone meanwhile
        if stat.S_ISDIR(seen.st_mode):
            self._arriving.directory(path, Attributes(stat.S_IMODE(seen.st_mode), seen.st_mtime_ns))
            return True
        if seen.st_nlink > 1:
            first = self._first.setdefault((seen.st_dev, seen.st_ino), path)
            if first != path:
                self._arriving.link(path, first)
                return False
        if stat.S_ISREG(seen.st_mode):
            self._file(here, name, path)
        elif stat.S_ISLNK(seen.st_mode):
            self._arriving.symlink(path, os.readlink(name, dir_fd=here), seen.st_mtime_ns)
        elif stat.S_ISFIFO(seen.st_mode):
            self._arriving.fifo(path, Attributes(stat.S_IMODE(seen.st_mode), seen.st_mtime_ns))
        else:
            self.skipped.append(path)
        return False

    def _file(self, here: int, name: bytes, path: bytes) -> None:
        fd = os.open(name, reaching.READ, dir_fd=here)
        try:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode):  # exchanged meanwhile
                self.skipped.append(path)
                return
            attributes = Attributes(stat.S_IMODE(seen.st_mode), seen.st_mtime_ns, _xattrs(fd))
            self._arriving.file(path, _pieces(fd), attributes)
        finally:
            os.close(fd)


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, PIECE_BYTES):
        yield piece


def _xattrs(fd: int) -> dict[bytes, bytes]:
    try:
        names = [name for name in os.listxattr(fd) if name.startswith("user.") and not name.startswith(_OWN)]
        return {os.fsencode(name): os.getxattr(fd, name) for name in names}
    except OSError:
        return {}
