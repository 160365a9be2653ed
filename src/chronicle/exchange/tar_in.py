"""A tar archive becomes part of a workspace. Archives come from anywhere: nothing is written until all of it was looked at."""

import bz2
import contextlib
import gzip
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, NamedTuple, cast

from chronicle.exchange.arriving import PIECE_BYTES, Arrived, Arriving, Attributes
from chronicle.model.errors import InvalidInputError, InvalidPathError
from chronicle.model.paths import parent_of, workspace_path

EXTENDED_HEADER_BYTES: Final = 1 << 20
"""Largest extended header (long names, attributes); it is read into memory whole."""

PATH_ATTRIBUTES: Final = "SCHILY.xattr.user."
"""Extended attributes of users, as star and GNU tar name them."""

_OVERHEAD_BYTES: Final = 4096
"""What a member may cost beside its content, on average, before the archive counts as a bomb."""

_EXTENDED: Final = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_ENDS: Final[tuple[type[Exception], ...]] = (
    tarfile.EOFHeaderError,  # type: ignore[attr-defined]
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]
)
_DAMAGED: Final = (
    tarfile.TarError,
    ValueError,
    KeyError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    OSError,
)


class Limits(NamedTuple):
    """What an archive may hold: `bytes` of contents (as files read them, holes included) and `entries`."""

    bytes: int = 64 << 30
    entries: int = 2_000_000


def import_tar(
    stream: BinaryIO, into: Path, within: bytes = b"", *, limits: Limits | None = None, links_out: bool = False
) -> Arrived:
    """Unpacks an archive (plain, gzip, bzip2, xz) into `within` of the tree at `into`. What is there of other names stays.

    Permissions without set-user-id and sticky bits, times, extended attributes of users, symbolic and hard links, fifos.
    `links_out`: symbolic links that lead out of the tree are taken too; nothing here follows them, others may.

    Raises:
        InvalidInputError: it is no archive, is damaged, or has what is refused: devices, links that lead out, hard links to what
            is not in it, entries below what is no directory, more than `limits`. Nothing was written then.
        InvalidPathError: a path is absolute, has `..`, or is too long (nothing was written); or something is in the way.
        StorageError: the disk refuses; what arrived until then stays.
    """
    with contextlib.ExitStack() as stack:
        if not stream.seekable():
            spooled = stack.enter_context(tempfile.TemporaryFile())
            _spool(stream, spooled, limits or Limits())
            stream = cast("BinaryIO", spooled)
        start = stream.tell()
        _Checking(limits or Limits(), links_out).check(stream)
        stream.seek(start)
        arriving = stack.enter_context(Arriving(into, within))
        for archive, member in _members(stream, limits or Limits()):
            _arrive(archive, member, arriving)
        return Arrived(arriving.entries, arriving.size, [])


class _Checking:
    """Goes over an archive and refuses it, or not."""

    def __init__(self, limits: Limits, links_out: bool) -> None:
        self._limits = limits
        self._links_out = links_out
        self._bytes = 0
        self._entries = 0
        self._others: dict[bytes, str] = {}
        self._links: dict[bytes, bytes] = {}

    def check(self, stream: BinaryIO) -> None:
        for _, member in _members(stream, self._limits):
            self._member(member)
        if not self._links_out:
            for path, target in self._links.items():
                self._refuse_leading_out(path, target)

    def _member(self, member: tarfile.TarInfo) -> None:
        path = _path(member.name)
        self._entries += 1
        self._bytes += member.size if member.isreg() else 0
        if self._entries > self._limits.entries:
            raise InvalidInputError(f"the archive has more than {self._limits.entries} entries")
        if self._bytes > self._limits.bytes:
            raise InvalidInputError(f"the archive holds more than {self._limits.bytes} bytes")
        above = parent_of(path)
        while above:
            if above in self._others:
                raise InvalidInputError(f"{_shown(path)}: {_shown(above)} is no directory")
            above = parent_of(above)
        if member.isdir():
            self._others.pop(path, None)
            return
        if not path:
            raise InvalidInputError("an entry that is no directory has no name")
        self._other(path, member)

    def _other(self, path: bytes, member: tarfile.TarInfo) -> None:
        if member.issym():
            self._links[path] = member.linkname.encode("utf-8", "surrogateescape")
        else:
            self._links.pop(path, None)
        if member.islnk():
            source = _path(member.linkname)
            if source not in self._others:
                raise InvalidInputError(f"{_shown(path)}: a hard link must name an earlier file of the archive")
            if source in self._links:
                self._links[path] = self._links[source]
        elif not (member.isreg() or member.issym() or member.isfifo()):
            kind = "a device" if member.isdev() else "of an unknown kind"
            raise InvalidInputError(f"{_shown(path)} is {kind}; only files, directories, links and fifos are taken")
        self._others[path] = member.name

    def _refuse_leading_out(self, path: bytes, target: bytes) -> None:
        """By its own words, and through the other links of the archive."""
        at = parent_of(path).split(b"/") if parent_of(path) else []
        todo = _parts(path, target)
        followed = 0
        while todo:
            part = todo.pop(0)
            if part == b"..":
                if not at:
                    raise InvalidInputError(f"{_shown(path)}: the link leads out of the tree")
                at.pop()
                continue
            at.append(part)
            further = self._links.get(b"/".join(at))
            if further is not None:
                followed += 1
                if followed > 40:
                    return  # a loop leads nowhere
                at.pop()
                todo = _parts(path, further) + todo


def _parts(path: bytes, target: bytes) -> list[bytes]:
    if target.startswith(b"/"):
        raise InvalidInputError(f"{_shown(path)}: the link leads out of the tree, to {_shown(target)}")
    if not target or b"\0" in target or len(target) > 4095:
        raise InvalidInputError(f"{_shown(path)}: the link leads nowhere")
    return [part for part in target.split(b"/") if part not in (b"", b".")]


def _arrive(archive: tarfile.TarFile, member: tarfile.TarInfo, arriving: Arriving) -> None:
    path = _path(member.name)
    attributes = Attributes(member.mode & 0o777, _mtime_ns(member), _xattrs(member))
    if member.isdir():
        arriving.directory(path, attributes)
    elif member.issym():
        arriving.symlink(path, member.linkname.encode("utf-8", "surrogateescape"), attributes.mtime_ns)
    elif member.islnk():
        arriving.link(path, _path(member.linkname))
    elif member.isfifo():
        arriving.fifo(path, attributes)
    else:
        content = archive.extractfile(member)
        assert content is not None
        arriving.file(path, _pieces(content), attributes)


def _members(stream: BinaryIO, limits: Limits) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members, one after the other; what is wrong with the archive is an `InvalidInputError`."""
    with contextlib.ExitStack() as stack:
        try:
            source = _Bounded(_unpacked(stream), limits.bytes + limits.entries * _OVERHEAD_BYTES)
            archive = stack.enter_context(
                tarfile.open(fileobj=cast("BinaryIO", source), mode="r|", tarinfo=_Member, errors="surrogateescape")
            )
        except RecursionError as error:  # tarfile reads each extended header inside the one before
            raise InvalidInputError("too many extended headers follow one another") from error
        except _DAMAGED as error:
            raise InvalidInputError("this is no tar archive, or it is damaged") from error
        while True:
            try:
                member = archive.next()
            except RecursionError as error:
                raise InvalidInputError("too many extended headers follow one another") from error
            except _DAMAGED as error:
                raise InvalidInputError("the tar archive is damaged") from error
            if member is None:
                return
            yield archive, member
            archive.members = []  # type: ignore[attr-defined]  # kept for questions nobody asks


class _Member(tarfile.TarInfo):
    """tarfile's own reader of headers, less lenient: what is damaged is an error and no silent end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Member":
        try:
            return super().fromtarfile(tarfile_)
        except _ENDS:
            raise
        except tarfile.HeaderError as error:
            raise InvalidInputError("the tar archive is damaged") from error

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > EXTENDED_HEADER_BYTES:
            raise InvalidInputError("an extended header is too large")
        return super()._proc_member(tarfile_)  # type: ignore[misc,no-any-return]


class _Bounded:
    """Reads at most so many unpacked bytes: headers of nothing but headers come to an end."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except _DAMAGED as error:
            raise InvalidInputError("the archive is damaged: it can't be unpacked") from error
        self._left -= len(data)
        if self._left < 0:
            raise InvalidInputError("the archive is larger, unpacked, than it may be")
        return data


def _unpacked(stream: BinaryIO) -> IO[bytes]:
    """The archive without its compression, told by its first bytes."""
    start = stream.tell()
    head = stream.read(6)
    stream.seek(start)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream, mode="rb"))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(stream, "rb"))
    if head == b"\xfd7zXZ\x00":
        return cast("IO[bytes]", lzma.LZMAFile(stream, "rb"))
    return stream


def _spool(stream: BinaryIO, into: Any, limits: Limits) -> None:
    left = limits.bytes + limits.entries * _OVERHEAD_BYTES
    while piece := stream.read(PIECE_BYTES):
        left -= len(piece)
        if left < 0:
            raise InvalidInputError("the archive is larger than it may be")
        into.write(piece)
    into.seek(0)


def _path(name: str) -> bytes:
    try:
        return workspace_path(name.rstrip("/") or ("/" if name.startswith("/") else "."))
    except UnicodeEncodeError:
        raise InvalidPathError(name, "it can't be written as bytes") from None


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            piece = content.read(PIECE_BYTES)
        except _DAMAGED as error:
            raise InvalidInputError("the archive is damaged: it ends early") from error
        if not piece:
            return
        yield piece


def _mtime_ns(member: tarfile.TarInfo) -> int | None:
    """To the nanosecond where the header says so; a number is too coarse."""
    said = member.pax_headers.get("mtime")
    if said is None:
        return int(member.mtime) * 1_000_000_000
    whole, _, fraction = said.partition(".")
    try:
        part = int((fraction + "0" * 9)[:9])
        found = int(whole) * 1_000_000_000 + (-part if whole.startswith("-") else part)
    except ValueError:
        return None
    return found if -(1 << 62) < found < 1 << 62 else None


def _xattrs(member: tarfile.TarInfo) -> dict[bytes, bytes] | None:
    found = {}
    for key, value in member.pax_headers.items():
        if key.startswith(PATH_ATTRIBUTES) and not key.startswith(PATH_ATTRIBUTES + "chronicle."):
            name = key.removeprefix("SCHILY.xattr.")
            found[name.encode("utf-8", "surrogateescape")] = value.encode("utf-8", "surrogateescape")
    return found or None


def _shown(path: bytes) -> str:
    return path.decode(errors="replace")


__all__ = ["Limits", "import_tar"]
