"""A moment of the tree as a tar archive. The same moment is the same bytes, whenever and wherever it is written."""

import contextlib
import gzip as gzip_format
import stat
import tarfile
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Final, cast

from chronicle.model.errors import NotFoundError, VersionDroppedError
from chronicle.model.iterations import Entry, Version
from chronicle.model.paths import parent_of
from chronicle.store.history import History
from chronicle.store.pool import Pool

GZIP_LEVEL: Final = 6
"""gzip's own default: the usual balance."""

_PAGE: Final = 1000
_XATTR: Final = "SCHILY.xattr."
"""How star and GNU tar (`--xattrs`) name extended attributes."""

_TYPES: Final = {stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE}


def export_tar(
    history: History, pool: Pool, at: int | None, out: BinaryIO, *, gzip: bool = False, path: bytes = b""
) -> int:
    """Writes what was below `path` at a moment (None: now) to `out`, in pieces; a file itself when `path` is one.

    POSIX (pax) format: modes, times to the nanosecond, symbolic and hard links, fifos, extended attributes, names of any bytes.
    Everything belongs to nobody in particular (0:0). Sockets are left out: tar has no word for them. Names are relative to
    `path` (of a file: its name). Returns the number of entries.

    Raises:
        FileNotFoundInHistoryError, IterationNotFoundError: there is nothing to write.
        VersionDroppedError, DamagedError: a content can't be had; what was written so far is no whole archive.
        OSError: `out` refuses.
    """
    moment = history.head if at is None else at
    if not gzip:
        return _Archive(history, pool, moment, path).write(out)
    with gzip_format.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=out, mtime=0) as packed:
        return _Archive(history, pool, moment, path).write(cast("BinaryIO", packed))


class _Archive:
    def __init__(self, history: History, pool: Pool, moment: int, path: bytes) -> None:
        self._history = history
        self._pool = pool
        self._moment = moment
        self._path = path
        self._base = path
        self._first: dict[int, str] = {}

    def write(self, out: BinaryIO) -> int:
        count = 0
        with tarfile.open(
            fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            entries = self._entries()
            while page := list(islice(entries, _PAGE)):
                linked = self._history.links(
                    [entry.version.node for entry in page if entry.version.type == "file"], self._moment
                )
                for entry in page:
                    count += self._add(archive, entry, entry.version.node in linked)
                archive.members = []  # type: ignore[attr-defined]  # kept for questions nobody asks
        return count

    def _entries(self) -> Iterator[Entry]:
        version = self._history.lookup(self._path, self._moment)
        if version is not None and version.type != "directory":
            self._base = parent_of(self._path)
            return iter([Entry(self._path.rpartition(b"/")[2], self._path, version)])
        return self._history.walk(self._moment, self._path)

    def _add(self, archive: tarfile.TarFile, entry: Entry, linked: bool) -> bool:
        version = entry.version
        relative = entry.path[len(self._base) + 1 :] if self._base else entry.path
        head = _head(relative.decode("utf-8", "surrogateescape"), version)
        if head is None:
            return False
        if linked:
            first = self._first.setdefault(version.node, head.name)
            if first != head.name:
                head.type, head.linkname, head.size = tarfile.LNKTYPE, first, 0
                head.pax_headers = {"mtime": head.pax_headers["mtime"]}
                archive.addfile(head)
                return True
        if head.type != tarfile.REGTYPE or version.digest is None:
            archive.addfile(head)
            return True
        with _dropped(entry):
            archive.addfile(head, cast("BinaryIO", _Reader(self._pool.pieces(version.digest))))
        return True


def _head(name: str, version: Version) -> tarfile.TarInfo | None:
    head = tarfile.TarInfo(name)
    head.mode = stat.S_IMODE(version.mode)
    seconds, nanoseconds = divmod(abs(version.mtime_ns), 1_000_000_000)
    sign = "-" if version.mtime_ns < 0 else ""
    head.mtime = max(version.mtime_ns, 0) // 1_000_000_000
    head.pax_headers = {"mtime": f"{sign}{seconds}.{nanoseconds:09}"}
    for key, value in sorted((version.xattrs or {}).items()):
        attribute = _XATTR + key.decode("utf-8", "surrogateescape")
        head.pax_headers[attribute] = value.decode("utf-8", "surrogateescape")
    match version.type:
        case "file":
            head.type, head.size = tarfile.REGTYPE, version.size
        case "directory":
            head.type = tarfile.DIRTYPE
        case "symlink":
            head.type, head.mode = tarfile.SYMTYPE, 0o777
            head.linkname = (version.target or b"").decode("utf-8", "surrogateescape")
        case _:
            kind = _TYPES.get(stat.S_IFMT(version.mode))
            if kind is None:
                return None
            head.type = kind
    return head


class _Reader:
    """What `tarfile` reads a content from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        if self._at >= len(self._piece):
            self._piece, self._at = next(self._pieces, b""), 0
        found = self._piece[self._at : self._at + size]
        self._at += len(found)
        missing = size - len(found)
        return found + self.read(missing) if missing and found else found


@contextlib.contextmanager
def _dropped(entry: Entry) -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise VersionDroppedError(entry.path, entry.version.iteration) from error
