"""Loose objects: a body as the file `{hash[0:2]}/{hash}` of the pool's directory."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ARRIVING: Final = "tmp"
"""Directory of files that are being written; those that a killed process left are removed by sweeps."""

ABANDONED_S: Final = 3600.0
"""A file in `tmp/` that is older, in seconds, has nobody any more: a batch moves its files within seconds."""


class LooseFiles:
    """The files of one pool. Names become visible only by `place`, which a transaction of `objects.db` surrounds."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.fspath(directory)
        self._arriving = os.path.join(self._directory, ARRIVING)
        self._numbers = itertools.count()
        os.makedirs(self._arriving, mode=0o700, exist_ok=True)

    def path(self, digest: bytes) -> str:
        """Where the object lies, or would."""
        name = digest.hex()
        return f"{self._directory}/{name[:2]}/{name}"

    def write(self, body: bytes, *, durable: bool = False) -> str:
        """Writes the body beside, returns the path of the file; nothing is left when it fails."""
        path = f"{self._arriving}/{os.getpid()}-{id(self):x}-{next(self._numbers)}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        try:
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(fd, rest) :]
            if durable:
                os.fsync(fd)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(fd)
        return path

    def place(self, written: str, digest: bytes) -> None:
        """Gives a written file the object's name."""
        path = self.path(digest)
        try:
            os.rename(written, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.rename(written, path)

    def read(self, digest: bytes) -> bytes | None:
        """The body; None when there is no file."""
        try:
            with open(self.path(digest), "rb", buffering=0) as file:
                return file.readall()
        except FileNotFoundError:
            return None

    def stored(self, digest: bytes) -> int | None:
        """Bytes of the file; None when there is none."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return None

    def make_durable(self, digest: bytes) -> None:
        """Has the file and its name on the disk."""
        path = self.path(digest)
        for place in (path, os.path.dirname(path), self._directory):
            fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def remove(self, digest: bytes) -> None:
        """Removes the file, if there is one."""
        discard(self.path(digest))

    def all(self) -> Iterator[tuple[bytes, int]]:
        """(digest, bytes) of every file that is named as an object."""
        for first in range(256):
            try:
                entries = os.scandir(f"{self._directory}/{first:02x}")
            except FileNotFoundError:
                continue
            with entries:
                for entry in entries:
                    digest = _digest(entry.name)
                    if digest is not None and digest[0] == first and (size := self.stored(digest)) is not None:
                        yield digest, size

    def abandoned(self, now: float) -> Iterator[tuple[str, int]]:
        """(path, bytes) of files that a process began to write and never placed."""
        with os.scandir(self._arriving) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_mtime < now - ABANDONED_S:
                    yield entry.path, status.st_size

    def unexpected(self, own: set[str]) -> Iterator[str]:
        """Paths of files that are neither objects nor, at the top, among the pool's `own`."""
        for name in os.listdir(self._directory):
            path = f"{self._directory}/{name}"
            if name in own:
                continue
            if len(name) != 2 or not _is_hex(name) or not os.path.isdir(path):
                yield path
                continue
            for inner in os.listdir(path):
                if _digest(inner) is None or not inner.startswith(name):
                    yield f"{path}/{inner}"


def discard(path: str) -> None:
    """Removes a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _is_hex(name: str) -> bool:
    return all(character in "0123456789abcdef" for character in name)


def _digest(name: str) -> bytes | None:
    return bytes.fromhex(name) if len(name) == 64 and _is_hex(name) else None
