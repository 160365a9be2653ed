"""A workspace as tar.gz (POSIX.1-2001 `pax`), made piece by piece: nothing larger than a piece of a file is held."""

import stat
import tarfile
import zlib
from collections.abc import Iterator
from typing import Final

from chronicle.model.iterations import Entry
from podium.coordinator.domain.ports import WorkspaceLibrary

LEVEL: Final = 3
"""Of gzip: most of what 9 gains, several times as fast."""

OUT_BYTES: Final = 64 * 1024
"""Compressed bytes that are given out at once, at least, but for the last ones."""

_KINDS: Final = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE}
_END: Final = bytes(2 * tarfile.BLOCKSIZE)


def gzipped_tar(library: WorkspaceLibrary, moment: int, path: bytes) -> Iterator[bytes]:
    """The tree below `path` at a moment. Special files (sockets, devices) are left out; owners are nobody's."""
    packer = zlib.compressobj(LEVEL, wbits=31)
    held = bytearray()
    for block in _blocks(library, moment, path):
        held += packer.compress(block)
        if len(held) >= OUT_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held + packer.flush())


def _blocks(library: WorkspaceLibrary, moment: int, path: bytes) -> Iterator[bytes]:
    for entry in library.tree(moment, path):
        head = _head(entry, path)
        if head is None:
            continue
        yield head.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if head.isreg() and head.size:
            yield from _exactly(head.size, library.pieces(entry.path, moment))
            yield bytes(-head.size % tarfile.BLOCKSIZE)
    yield _END


def _exactly(size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """As many bytes as the head says. A file of a plain directory may have changed since; a past moment never has."""
    left = size
    for piece in pieces:
        yield piece[:left]
        left -= min(left, len(piece))
    yield bytes(left)


def _head(entry: Entry, base: bytes) -> tarfile.TarInfo | None:
    kind = _KINDS.get(entry.version.type)
    if kind is None:
        return None
    relative = entry.path[len(base) :].lstrip(b"/") if base else entry.path
    head = tarfile.TarInfo(relative.decode("utf-8", "surrogateescape"))
    head.type = kind
    head.mode = stat.S_IMODE(entry.version.mode)
    head.mtime = entry.version.mtime_ns // 1_000_000_000
    head.size = entry.version.size if kind == tarfile.REGTYPE else 0
    head.linkname = (entry.version.target or b"").decode("utf-8", "surrogateescape")
    return head
