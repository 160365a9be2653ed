"""A plain directory with the face of a versioned workspace: one moment, number 0, which is now."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from blake3 import blake3

from chronicle.control.failures import ChangedMeanwhileError
from chronicle.model.errors import (
    CheckpointNotFoundError,
    FileNotFoundInHistoryError,
    InvalidInputError,
    IterationNotFoundError,
)
from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration, Version
from chronicle.model.paths import joined, name_of, parent_of, workspace_path
from chronicle.workspace import applying

_PIECE: Final = 1024 * 1024
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PlainLibrary:
    """A `WorkspaceLibrary` over a directory. No symbolic link is ever followed; hashes are computed when they are asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def head(self) -> int:
        """Always 0."""
        return 0

    def log(
        self,
        path: str | bytes = b"",
        *,
        after: int = 0,  # noqa: ARG002 - the port has them
        before: int | None = None,  # noqa: ARG002
        limit: int = 100,  # noqa: ARG002
        newest_first: bool = False,  # noqa: ARG002
    ) -> list[Iteration]:
        """Nothing was recorded."""
        workspace_path(path)
        return []

    def history(self, path: str | bytes, *, before: int | None = None, limit: int = 100) -> list[Iteration]:  # noqa: ARG002
        """Nothing was recorded."""
        workspace_path(path)
        return []

    def version(self, path: str | bytes, iteration: int | None = None) -> Version:
        """What is at `path`.

        Raises:
            FileNotFoundInHistoryError: nothing.
            IterationNotFoundError: a moment was asked for.
        """
        self._check(iteration)
        raw = workspace_path(path)
        if not raw:
            return _version(self._root.lstat(), None, None)
        with self._parent(raw) as parent:
            return self._version_in(parent, raw)

    def read(self, path: str | bytes, iteration: int | None = None) -> bytes:
        """A file, whole; of a symbolic link, its target."""
        return b"".join(self.pieces(path, iteration))

    def pieces(self, path: str | bytes, iteration: int | None = None) -> Iterator[bytes]:
        """A file in pieces."""
        found, raw = self.version(path, iteration), workspace_path(path)
        if found.type == "symlink":
            return iter((found.target or b"",))
        if found.type != "file":
            raise InvalidInputError(f"{os.fsdecode(raw)} is a {found.type}; only files have content")
        return self._content(raw)

    def entries(
        self, path: str | bytes = b"", at: int | None = None, *, after: str | bytes = b"", limit: int | None = None
    ) -> list[Entry]:
        """What the directory holds now; without hashes, which would read every file."""
        self._check(at)
        raw, behind = workspace_path(path), os.fsencode(after)
        if self.version(raw).type != "directory":
            raise InvalidInputError(f"{os.fsdecode(raw)} is not a directory")
        with applying.directory(self._root, raw) as here:
            names = sorted(name for name in map(os.fsencode, os.listdir(here)) if name > behind)[:limit]
            found = []
            for name in names:
                try:
                    found.append(Entry(name, joined(raw, name), self._version_in(here, name, hashed=False)))
                except FileNotFoundInHistoryError:
                    continue  # it went meanwhile
            return found

    def tree(self, at: int | None = None, path: str | bytes = b"") -> Iterator[Entry]:
        """Everything below `path`."""
        for entry in self.entries(path, at):
            yield entry
            if entry.version.type == "directory":
                yield from self.tree(at, entry.path)

    def diff(self, before: int, after: int | None = None, path: str | bytes = b"") -> list[Difference]:
        """There is one moment."""
        self._check(before)
        self._check(after)
        workspace_path(path)
        return []

    def diff_text(self, before: int, after: int | None = None, path: str | bytes = b"") -> Iterator[str]:
        """There is one moment."""
        self.diff(before, after, path)
        return iter(())

    def checkpoints(self, *, newest_first: bool = True, limit: int = 100) -> list[Checkpoint]:  # noqa: ARG002
        """There are none."""
        return []

    def moment(self, name: int | str) -> int:
        """0, for `0` and `head`."""
        if name == "head":
            return 0
        if isinstance(name, str) and not name.isdecimal():
            raise CheckpointNotFoundError(name)
        self._check(int(name))
        return 0

    def barrier(self, timeout: float = 30.0) -> int:  # noqa: ARG002 - the port has it
        """There is nothing to wait for."""
        return 0

    def put(
        self,
        path: str | bytes,
        data: bytes | None = None,
        *,
        source: Path | None = None,
        mode: int | None = None,
        if_hash: str | None = None,
    ) -> Iteration:
        """Writes a file; the answer tells its size and hash, under number 0."""
        raw = workspace_path(path)
        self._expect(raw, if_hash)
        if source is None:
            source_fd = os.memfd_create("content")
            os.write(source_fd, data or b"")
        else:
            source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            applying.put(self._root, raw, source_fd, mode)
        finally:
            os.close(source_fd)
        made = self.version(raw)
        digest = made.digest.hex() if made.digest is not None else None
        return Iteration(0, raw, "modify", made.mtime_ns // 1_000_000, made.size, digest, made.mode)

    def remove(self, path: str | bytes, *, if_hash: str | None = None) -> int:
        """Removes what is at `path`, directories with what they hold."""
        raw = workspace_path(path)
        self._expect(raw, if_hash)
        applying.remove(self._root, raw)
        return 0

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, moment: int | None) -> None:
        if moment:
            raise IterationNotFoundError(moment, 0)

    def _expect(self, path: bytes, if_hash: str | None) -> None:
        if if_hash is None:
            return
        try:
            digest = self.version(path).digest
        except FileNotFoundInHistoryError:
            digest = None
        actual = digest.hex() if digest is not None else None
        if (actual or "") != if_hash:
            raise ChangedMeanwhileError(path, if_hash, actual)

    def _parent(self, path: bytes) -> AbstractContextManager[int]:
        return applying.directory(self._root, parent_of(path))

    def _version_in(self, parent: int, path: bytes, *, hashed: bool = True) -> Version:
        name = name_of(path)
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(there.st_mode) else None
        except FileNotFoundError:
            raise FileNotFoundInHistoryError(path, None) from None
        digest = _digest(parent, name) if hashed and stat.S_ISREG(there.st_mode) else None
        return _version(there, digest, target)

    def _content(self, path: bytes) -> Iterator[bytes]:
        with self._parent(path) as parent:
            descriptor = os.open(name_of(path), _READING, dir_fd=parent)
        try:
            while piece := os.read(descriptor, _PIECE):
                yield piece
        finally:
            os.close(descriptor)


def _digest(parent: int, name: bytes) -> bytes:
    descriptor = os.open(name, _READING, dir_fd=parent)
    try:
        hasher = blake3()
        while piece := os.read(descriptor, _PIECE):
            hasher.update(piece)
        return hasher.digest()
    finally:
        os.close(descriptor)


def _version(there: os.stat_result, digest: bytes | None, target: bytes | None) -> Version:
    size = there.st_size if stat.S_ISREG(there.st_mode) else 0
    return Version(there.st_ino, 0, there.st_mode, there.st_mtime_ns, size, digest, target, None)
