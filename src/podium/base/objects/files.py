"""Objects as files: how one is laid out, written whole and found again. Blocking; nothing here knows of an event loop.

A file holds the object's bytes, then a trailer: the metadata as a JSON object in UTF-8, its length as 4 bytes (big
endian), and 8 bytes that mark the format. So an object and its metadata appear in one step, and a reader that ignores
what follows (as `tar` does) can use the file as it is.
"""

import errno
import fcntl
import json
import os
import secrets
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from podium.base.objects.keys import RESERVED_SUFFIX, check_key
from podium.base.objects.port import ObjectDamagedError, ObjectExistsError, ObjectInfo, ObjectMissingError

_MARK: Final = b"PodObj\x00\x01"
"""Last bytes of every object's file; the last one is the version of the format."""

_TAIL: Final = struct.Struct(">I8s")
_METADATA_MAX_BYTES: Final = 64 * 1024

LEFTOVER_SECONDS: Final = 60.0
"""A file in the making that nobody holds and nobody wrote to for this long was left by a crash."""


class OpenObject(NamedTuple):
    """An object opened for reading: `file` stands at its first byte and holds `info.size` bytes of it."""

    file: IO[bytes]
    info: ObjectInfo


class Directory:
    """A directory of objects: `objects/{part}/…/{part}.object`, and `making/` for those not yet whole."""

    def __init__(self, root: Path) -> None:
        self._objects = root / "objects"
        self._making = root / "making"

    def prepare(self) -> None:
        """Makes what is missing and removes what crashed writers left."""
        for directory in (self._objects, self._making):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in list(self._making.iterdir()):
            _remove_if_abandoned(leftover)

    def begin(self) -> IO[bytes]:
        """A new file in the making, held by its writer until it is closed."""
        file = (self._making / secrets.token_hex(16)).open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def discard(self, file: IO[bytes]) -> None:
        """Forgets a file in the making, also one that became an object (its other name stays)."""
        file.close()
        Path(file.name).unlink(missing_ok=True)

    def finish(self, file: IO[bytes], key: str, metadata: dict[str, str], *, create: bool) -> ObjectInfo:
        """Makes the file the object `key`, durable before it is seen.

        Raises:
            ObjectExistsError: `create` and the key is taken.
        """
        body = json.dumps(metadata, separators=(",", ":")).encode()
        if len(body) > _METADATA_MAX_BYTES:
            raise ValueError(f"an object's metadata has at most {_METADATA_MAX_BYTES} bytes")
        size = file.tell()
        file.write(body + _TAIL.pack(len(body), _MARK))
        file.flush()
        os.fsync(file.fileno())
        modified_at = os.fstat(file.fileno()).st_mtime_ns // 1_000_000
        path = self._path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if create:
            try:
                os.link(file.name, path)  # fails when the name is taken: one of many racing writers wins
            except FileExistsError:
                raise ObjectExistsError(key) from None
        else:
            os.replace(file.name, path)
        self._sync_directories(path.parent)
        return ObjectInfo(key, size, metadata, modified_at)

    def open(self, key: str) -> OpenObject:
        """Opens an object.

        Raises:
            ObjectMissingError: there is none.
            ObjectDamagedError: its file is damaged.
        """
        path = self._path(key)
        try:
            file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissingError(key) from None
        try:
            info = _read_info(file, key)
            file.seek(0)
        except BaseException:  # the file must not stay open whatever stopped us
            file.close()
            raise
        return OpenObject(file, info)

    def head(self, key: str) -> ObjectInfo:
        """What is known of an object; see `open`."""
        opened = self.open(key)
        opened.file.close()
        return opened.info

    def delete(self, key: str) -> None:
        """Removes an object, durably; none is fine."""
        path = self._path(key)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        _sync(path.parent)

    def keys(self, prefix: str, after: str | None) -> list[str]:
        """Keys that begin with `prefix` and come after `after`, in order."""
        return [key for key in _walk(self._objects, "", prefix) if after is None or key > after]

    def probe(self) -> None:
        """Writes and removes a file, so that a full or read-only disk shows."""
        file = self.begin()
        try:
            file.write(_MARK)
            file.flush()
        finally:
            self.discard(file)

    def _path(self, key: str) -> Path:
        return self._objects / (check_key(key) + RESERVED_SUFFIX)

    def _sync_directories(self, directory: Path) -> None:
        """Makes the names durable, up to our own root (directories above may be new)."""
        while True:
            _sync(directory)
            if directory == self._objects:
                return
            directory = directory.parent


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems know no fsync of directories
            raise
    finally:
        os.close(descriptor)


def _read_info(file: IO[bytes], key: str) -> ObjectInfo:
    status = os.fstat(file.fileno())
    damaged = ObjectDamagedError(f"the object {key} is damaged")
    if status.st_size < _TAIL.size:
        raise damaged
    file.seek(-_TAIL.size, os.SEEK_END)
    length, mark = _TAIL.unpack(file.read(_TAIL.size))
    size = status.st_size - _TAIL.size - length
    if mark != _MARK or size < 0 or length > _METADATA_MAX_BYTES:
        raise damaged
    file.seek(size)
    try:
        metadata = json.loads(file.read(length))
    except ValueError:
        raise damaged from None
    return ObjectInfo(key, size, metadata, status.st_mtime_ns // 1_000_000)


def _walk(directory: Path, above: str, prefix: str) -> Iterator[str]:
    """Keys below `directory`, which stands for the key prefix `above`, in the order of the whole keys."""
    found: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                is_directory = entry.is_dir(follow_symlinks=False)
                if is_directory:
                    found.append(entry.name + "/")
                elif entry.name.endswith(RESERVED_SUFFIX):
                    found.append(entry.name.removesuffix(RESERVED_SUFFIX))
    except FileNotFoundError:
        return
    for name in sorted(found):
        key = above + name
        if not name.endswith("/"):
            if key.startswith(prefix):
                yield key
        elif key.startswith(prefix) or prefix.startswith(key):
            yield from _walk(directory / name, key, prefix)


def _remove_if_abandoned(path: Path) -> None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            # Age guards the moment between a writer's open and its lock.
            if not stat.S_ISREG(status.st_mode) or time.time_ns() / 1e9 - status.st_mtime < LEFTOVER_SECONDS:
                return
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except (BlockingIOError, FileNotFoundError):
        return  # somebody writes it right now, or finished it meanwhile
