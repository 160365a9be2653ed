"""A plain directory with the face of a versioned workspace: one moment, number 0, which is now."""

import contextlib
import os
import re
import stat
import time
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
    InvalidPathError,
    IterationNotFoundError,
)
from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration, Version
from chronicle.model.paths import joined, name_of, parent_of, workspace_path
from chronicle.workspace import applying
from podium.coordinator.domain.tags import WEAK, StampedVersion, tag_of

STEP_SECONDS: Final = 0.03
"""Longer than the steps in which times of files advance: the kernel's tick, at most 10 ms (inode_set_ctime_current, CONFIG_HZ=100)."""

_FRESH_NS: Final = int(STEP_SECONDS * 1e9)
_SETTLE_TRIES: Final = 3
"""How often a file that changes all the time is looked at until its tag is weak."""

_HASH: Final = re.compile("[0-9a-f]{64}")
_PIECE: Final = 1024 * 1024
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PlainLibrary:
    """A `WorkspaceLibrary` over a directory. No symbolic link is ever followed. Versions have stamps instead of hashes (see `tag_of`):
    nothing that is only looked at is read.
    """

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
            return _version(self._root.lstat(), None)
        for _ in range(_SETTLE_TRIES):
            with self._parent(raw) as parent:
                found = self._version_in(parent, raw)
            if not isinstance(found, StampedVersion) or not found.is_fresh:
                break
            time.sleep(STEP_SECONDS)  # then it is told apart from whatever comes
        return found

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
        """What the directory holds now."""
        self._check(at)
        raw, behind = workspace_path(path), os.fsencode(after)
        if self.version(raw).type != "directory":
            raise InvalidInputError(f"{os.fsdecode(raw)} is not a directory")
        with applying.directory(self._root, raw) as here:
            names = sorted(name for name in map(os.fsencode, os.listdir(here)) if name > behind)[:limit]
            found = []
            for name in names:
                try:
                    found.append(Entry(name, joined(raw, name), self._version_in(here, name)))
                except FileNotFoundInHistoryError:
                    continue  # it went meanwhile
            return found

    def tree(self, at: int | None = None, path: str | bytes = b"") -> Iterator[Entry]:
        """Everything below `path`, however deep. What goes meanwhile, or can't be named by a path, is left out."""
        pending = [iter(self.entries(path, at))]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
                continue
            yield entry
            if entry.version.type == "directory":
                with contextlib.suppress(FileNotFoundInHistoryError, InvalidPathError, InvalidInputError):
                    pending.append(iter(self.entries(entry.path, at)))

    def compare(
        self, before: int, after: int | None = None, path: str | bytes = b"", *, behind: str | bytes | None = None
    ) -> Iterator[tuple[bytes, Difference | None]]:
        """There is one moment."""
        self._check(before)
        self._check(after)
        for each in (path, behind or b""):
            workspace_path(each)
        return iter(())

    def diff_text(self, before: int, after: int | None = None, path: str | bytes = b"") -> Iterator[str]:
        """There is one moment."""
        self.compare(before, after, path)
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
        """Writes a file; the answer tells size and hash of what was written, under number 0. `if_hash`: as in `remove`."""
        raw = workspace_path(path)
        self._expect(raw, if_hash)
        if source is None:
            source_fd = os.memfd_create("content")
            os.write(source_fd, data or b"")
        else:
            source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            applying.put(self._root, raw, source_fd, mode)
            # Of what was written, not of what is there by now, which may be another's.
            digest, size = _digest(source_fd), os.fstat(source_fd).st_size
        finally:
            os.close(source_fd)
        return Iteration(0, raw, "modify", time.time_ns() // 1_000_000, size, digest.hex())

    def remove(self, path: str | bytes, *, if_hash: str | None = None) -> int:
        """Removes what is at `path`, directories with what they hold. `if_hash`: only when the file has this tag or hash; the empty
        string: only when nothing is there. Between that look and the write another may come: nothing can be locked here.
        """
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
        actual = ""
        with contextlib.suppress(FileNotFoundInHistoryError), self._parent(path) as parent:
            found = self._version_in(parent, path)
            if found.type == "file" and _HASH.fullmatch(if_hash):
                descriptor = os.open(name_of(path), _READING, dir_fd=parent)
                try:
                    actual = _digest(descriptor).hex()
                finally:
                    os.close(descriptor)
            else:
                # Whatever has this strong tag had it when it was told, and was left alone since.
                actual = tag_of(found).text.removeprefix(WEAK) or found.type
        if actual != if_hash:
            raise ChangedMeanwhileError(path, if_hash, actual or None)

    def _parent(self, path: bytes) -> AbstractContextManager[int]:
        return applying.directory(self._root, parent_of(path))

    def _version_in(self, parent: int, path: bytes) -> Version:
        name = name_of(path)
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(there.st_mode) else None
        except FileNotFoundError:
            raise FileNotFoundInHistoryError(path, None) from None
        return _version(there, target)

    def _content(self, path: bytes) -> Iterator[bytes]:
        with self._parent(path) as parent:
            descriptor = os.open(name_of(path), _READING, dir_fd=parent)
        try:
            while piece := os.read(descriptor, _PIECE):
                yield piece
        finally:
            os.close(descriptor)


def _digest(descriptor: int) -> bytes:
    hasher, position = blake3(), 0
    while piece := os.pread(descriptor, _PIECE, position):
        hasher.update(piece)
        position += len(piece)
    return hasher.digest()


def _version(there: os.stat_result, target: bytes | None) -> Version:
    if not stat.S_ISREG(there.st_mode):
        return Version(there.st_ino, 0, there.st_mode, there.st_mtime_ns, 0, None, target, None)
    return StampedVersion(
        *(there.st_ino, 0, there.st_mode, there.st_mtime_ns, there.st_size, None, None, None),
        changed_ns=there.st_ctime_ns,
        is_fresh=time.time_ns() - there.st_ctime_ns < _FRESH_NS,
    )
