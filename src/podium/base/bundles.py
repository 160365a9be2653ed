"""Bundles: tar.gz archives of agent code. Packed reproducibly, refused whole when anything in them could leave its directory.

One walk over the archive (`_Walk`) decides for both the check at upload and the unpacking on a host, so that the two
can't disagree about what an archive holds.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Final

from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import BUNDLE_MAX_MEMBERS, BUNDLE_UNPACKED_MAX_BYTES
from podium.wire.manifest import MANIFEST_MAX_BYTES, MANIFEST_NAME, Manifest, ManifestError, parse_manifest

CHUNK_BYTES: Final = 256 * 1024
"""Bytes moved at a time."""

NAME_MAX_BYTES: Final = 255
"""Longest part of a path, as file systems have it."""

PATH_MAX_BYTES: Final = 1024
"""Longest path of a member or target of a link."""

EXTENDED_HEADER_MAX_BYTES: Final = 64 * 1024
"""Largest extended header (long names, attributes); it would be read into memory whole."""

HEADERS_MAX_BYTES: Final = 512 * 2**20
"""What headers and padding may add to the unpacked size before the archive counts as a bomb."""

LINKS_FOLLOWED_MAX: Final = 40
"""Links followed while a link is resolved; more is a loop."""

COMPRESS_LEVEL: Final = 6
"""gzip level of packed bundles."""

_EXTENDED: Final = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_SPECIAL: Final = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}

Path_ = tuple[str, ...]


class BundleRefusedError(PodiumError):
    """`invalid_bundle`: why, and because of which member (empty: the archive itself)."""

    def __init__(self, reason: str, member: str = "") -> None:
        shown = member.encode("utf-8", "replace").decode()[:200]
        super().__init__(ErrorCode.INVALID_BUNDLE, f"{shown!r}: {reason}" if member else reason)
        self.member = member


def check_bundle(file: BinaryIO) -> Manifest:
    """Reads a whole bundle from where `file` stands, and returns its manifest. Blocking; constant memory per member.

    Raises:
        BundleRefusedError: the bundle is refused; nothing of it may be used.
    """
    walk = _Walk(file, lambda _info, _path, _data: None)
    walk.run()
    if walk.manifest is None:
        raise BundleRefusedError(f"there is no {MANIFEST_NAME} at the root of the bundle")
    try:
        return parse_manifest(walk.manifest)
    except ManifestError as error:
        raise BundleRefusedError(str(error), MANIFEST_NAME) from error


def check_manifest(manifest: Manifest, agent_type: str, version: str) -> None:
    """Checks that a bundle is what its uploader says it is.

    Raises:
        BundleRefusedError: type or version differ.
    """
    if (manifest.agent_type, manifest.version) != (agent_type, version):
        found = f"{manifest.agent_type}:{manifest.version}"
        raise BundleRefusedError(f"the manifest says {found}, the upload {agent_type}:{version}", MANIFEST_NAME)


def unpack(file: BinaryIO, directory: Path) -> None:
    """Unpacks a bundle into the empty `directory`. Blocking. Links are made last, so that nothing is written through one.

    Raises:
        BundleRefusedError: the bundle is refused; what was unpacked so far is left for the caller to remove.
        OSError: the directory can't be written.
    """
    links: list[tuple[str, Path]] = []

    def write(info: tarfile.TarInfo, path: Path_, data: IO[bytes] | None) -> None:
        target = directory.joinpath(*path)
        if info.isdir():
            target.mkdir(mode=0o755, parents=True, exist_ok=True)
            return
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if info.issym():
            links.append((info.linkname, target))
        elif info.islnk():
            os.link(directory.joinpath(*_path_of(info.linkname)), target, follow_symlinks=False)
        else:
            assert data is not None
            _write_file(target, 0o755 if info.mode & 0o111 else 0o644, data)

    _Walk(file, write).run()
    for linkname, target in links:
        target.symlink_to(linkname)


def pack(directory: Path, out: BinaryIO, paths: Iterable[PurePosixPath] | None = None) -> None:
    """Packs `paths` (relative to `directory`; None: everything in it) so that the same files give the same bytes.

    Kept are content, whether a file may be executed, and links; not times, owners or order. Blocking.
    """
    chosen = set(_everything(directory) if paths is None else paths)
    with (
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=COMPRESS_LEVEL, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(chosen, key=lambda path: path.parts):
            _pack_one(archive, directory / path, str(path))


Take = Callable[[tarfile.TarInfo, Path_, IO[bytes] | None], None]


class _Walk:
    """Goes over an archive once, refuses what is not allowed, and hands each member to `take`."""

    def __init__(self, file: BinaryIO, take: Take) -> None:
        self.manifest: bytes | None = None
        self._reader: Any = _Unpacked(file)
        self._take = take
        self._bytes = 0
        self._members = 0
        self._directories: set[Path_] = {()}
        self._files: set[Path_] = set()
        self._links: dict[Path_, str] = {}

    def run(self) -> None:
        try:
            with tarfile.open(fileobj=self._reader, mode="r|", tarinfo=_Member) as archive:
                while (info := archive.next()) is not None:
                    self._member(archive, info)
                    archive.members = []  # type: ignore[attr-defined]  # kept for lookups we never do
            self._reader.drain()
        except (tarfile.TarError, ValueError, KeyError) as error:
            raise BundleRefusedError("this is no tar archive inside gzip, or it is damaged") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BundleRefusedError("this is no gzip file, or it is damaged") from error
        except RecursionError as error:  # tarfile reads each extended header inside the one before
            raise BundleRefusedError("too many extended headers follow one another") from error
        for path, target in self._links.items():
            self._check_inside(path, target)

    def _member(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._members += 1
        if self._members > BUNDLE_MAX_MEMBERS:
            raise BundleRefusedError(f"more than {BUNDLE_MAX_MEMBERS} members", info.name)
        path = _path_of(info.name)
        self._check_place(info, path)
        self._bytes += info.size if info.isreg() else 0
        if self._bytes > BUNDLE_UNPACKED_MAX_BYTES:
            raise BundleRefusedError(f"more than {BUNDLE_UNPACKED_MAX_BYTES} bytes when unpacked", info.name)
        data = archive.extractfile(info) if info.isreg() else None
        if path == (MANIFEST_NAME,):
            data = self._read_manifest(info, data)
        self._take(info, path, data)

    def _check_place(self, info: tarfile.TarInfo, path: Path_) -> None:
        if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
            raise BundleRefusedError(f"it is {_SPECIAL.get(info.type, 'no file, directory or link')}", info.name)
        for end in range(1, len(path)):
            if path[:end] in self._files or path[:end] in self._links:
                raise BundleRefusedError("its parent is no directory", info.name)
            self._directories.add(path[:end])
        if info.isdir():
            taken = path in self._files or path in self._links
            self._directories.add(path)
        else:
            taken = path in self._files or path in self._links or path in self._directories
        if taken:
            raise BundleRefusedError("the name is there twice", info.name)
        if info.issym():
            self._links[path] = info.linkname
        elif not info.isdir():
            self._check_hard_link(info)
            self._files.add(path)

    def _check_hard_link(self, info: tarfile.TarInfo) -> None:
        if info.islnk() and _path_of(info.linkname, info.name) not in self._files:
            raise BundleRefusedError("a hard link must name an earlier file of the bundle", info.name)

    def _read_manifest(self, info: tarfile.TarInfo, data: IO[bytes] | None) -> IO[bytes]:
        if data is None or info.size > MANIFEST_MAX_BYTES:
            raise BundleRefusedError(f"it must be a file of at most {MANIFEST_MAX_BYTES} bytes", info.name)
        self.manifest = data.read()
        return io.BytesIO(self.manifest)

    def _check_inside(self, path: Path_, target: str) -> None:
        """Refuses a link that leads, through whatever other links, out of the bundle."""
        name = "/".join(path)
        at: list[str] = list(path[:-1])
        todo = _link_parts(target, name)
        followed = 0
        while todo:
            part = todo.pop(0)
            if part == "..":
                if not at:
                    raise BundleRefusedError("the link leads out of the bundle", name)
                at.pop()
                continue
            at.append(part)
            further = self._links.get(tuple(at))
            if further is not None:
                followed += 1
                if followed > LINKS_FOLLOWED_MAX:
                    raise BundleRefusedError("the link leads nowhere: it is a loop", name)
                at.pop()
                todo = _link_parts(further, name) + todo


_PROPER_ENDS: Final[tuple[type[Exception], ...]] = (
    tarfile.EOFHeaderError,  # type: ignore[attr-defined]
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]
)
"""How tarfile tells itself that the archive is over: its two zero blocks, or simply no more bytes."""


class _Member(tarfile.TarInfo):
    """tarfile's own reader of headers, less lenient: what is damaged is an error and no silent end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Member":
        try:
            return super().fromtarfile(tarfile_)
        except _PROPER_ENDS:
            raise
        except tarfile.HeaderError as error:
            raise BundleRefusedError("the tar archive is damaged") from error

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > EXTENDED_HEADER_MAX_BYTES:
            raise BundleRefusedError("an extended header is too large")
        if self.type in _SPECIAL:
            raise BundleRefusedError(f"it is {_SPECIAL[self.type]}", self.name)
        return super()._proc_member(tarfile_)  # type: ignore[misc,no-any-return]


class _Unpacked:
    """What is inside the gzip file, up to the most a bundle may hold."""

    def __init__(self, file: BinaryIO) -> None:
        self._zipped = gzip.GzipFile(fileobj=file, mode="rb")
        self._left = BUNDLE_UNPACKED_MAX_BYTES + HEADERS_MAX_BYTES

    def read(self, size: int) -> bytes:
        data = self._zipped.read(min(size, CHUNK_BYTES))
        self._left -= len(data)
        if self._left < 0:
            raise BundleRefusedError(f"more than {BUNDLE_UNPACKED_MAX_BYTES} bytes when unpacked")
        return data

    def drain(self) -> None:
        """Reads to the end, where gzip keeps its checksum."""
        while self.read(CHUNK_BYTES):
            pass


def _path_of(name: str, member: str | None = None) -> Path_:
    """The parts of a member's name, checked to stay inside."""
    shown = name if member is None else member
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BundleRefusedError("its name is no UTF-8", shown) from error
    if name.startswith("/"):
        raise BundleRefusedError("its path is absolute", shown)
    if len(encoded) > PATH_MAX_BYTES or any(ord(c) < 0x20 or ord(c) == 0x7F for c in name):
        raise BundleRefusedError("its path is too long or has control characters", shown)
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise BundleRefusedError("its path has '..'", shown)
    if any(len(part.encode()) > NAME_MAX_BYTES for part in parts):
        raise BundleRefusedError("a part of its path is too long", shown)
    return parts


def _link_parts(target: str, member: str) -> list[str]:
    if target.startswith("/") or not target:
        raise BundleRefusedError("the link leads out of the bundle", member)
    if len(target.encode("utf-8", "replace")) > PATH_MAX_BYTES or "\0" in target:
        raise BundleRefusedError("the target of the link is too long", member)
    return [part for part in target.split("/") if part not in {"", "."}]


def _write_file(target: Path, mode: int, data: IO[bytes]) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(descriptor, mode)
        while chunk := data.read(CHUNK_BYTES):
            out.write(chunk)


def _everything(directory: Path) -> Iterable[PurePosixPath]:
    for root, directories, files in os.walk(directory):
        for name in [*directories, *files]:
            yield PurePosixPath((Path(root) / name).relative_to(directory).as_posix())


def _pack_one(archive: tarfile.TarFile, source: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    if source.is_symlink():
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(source), 0o777
        archive.addfile(info)
    elif source.is_dir():
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(info)
    else:
        with source.open("rb") as file:
            status = os.fstat(file.fileno())
            info.size, info.mode = status.st_size, 0o755 if status.st_mode & 0o111 else 0o644
            archive.addfile(info, file)
