"""A git repository becomes part of a workspace, commit by commit."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from chronicle import reaching
from chronicle.exchange import git
from chronicle.exchange.arriving import PIECE_BYTES, Arrived, Arriving, Attributes
from chronicle.model.errors import DamagedError, InvalidInputError, StorageError
from chronicle.model.paths import MAGIC, is_within, joined, parent_of, workspace_path

_LINK: Final = b"120000"
_SUBMODULE: Final = b"160000"
_EXECUTABLE: Final = b"100755"
_LONGEST_TARGET: Final = 4095


class GitCommit(NamedTuple):
    """A commit that has just been written into the tree. `timestamp` in milliseconds, of the committer."""

    id: str
    timestamp: int
    subject: str


Record = Callable[[GitCommit, list[bytes]], None]
"""Called after each commit with the paths that it wrote or removed: record them and name the moment."""


def import_git(repository: Path, into: Path, record: Record, within: bytes = b"", *, revision: str = "HEAD") -> Arrived:
    """Writes each commit of the first-parent line of `revision`, oldest first, into `within` of the tree at `into`.

    Only what a commit changes is written. What is there of other names stays. Submodules are skipped, and a `.chronicle` at the top.

    Raises:
        NotSupportedError: git is not installed.
        InvalidInputError: `repository` is none, or the revision is not in it.
        InvalidPathError: a tree has a path that no file system could have, or something is in the way.
        StorageError: git failed, or the disk refuses; commits that were recorded stay.
        DamagedError: an object of the repository can't be read.
    """
    commits = _commits(repository, revision)
    entries = written = 0
    skipped: set[bytes] = set()
    with tempfile.TemporaryFile() as said, git.Piped(*_at(repository), "cat-file", "--batch", stderr=said) as contents:
        before: str | None = None
        for commit in commits:
            changes = list(_changes(repository, before, commit.id))
            with Arriving(into, within) as arriving:
                applying = _Applying(arriving, contents, into, within, commit.timestamp * 1_000_000)
                touched = applying.apply(changes)
                entries, written = entries + arriving.entries, written + arriving.size
                skipped |= applying.skipped
            record(commit, touched)
            before = commit.id
    return Arrived(entries, written, sorted(skipped))


class _Change(NamedTuple):
    path: bytes
    mode: bytes
    object: bytes
    gone: bool


def _at(repository: Path) -> tuple[str | Path, ...]:
    # Whoever asks has chosen the repository, whomever it belongs to; it can't make git run or fetch anything.
    return ("-c", "safe.directory=*", "--no-replace-objects", "-C", repository)


def _commits(repository: Path, revision: str) -> list[GitCommit]:
    try:
        git.run(*_at(repository), "rev-parse", "--git-dir")
    except StorageError as error:
        raise InvalidInputError(f"{repository} is not a git repository") from error
    try:
        git.run(*_at(repository), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except StorageError as error:
        if revision == "HEAD":
            return []  # nothing was committed yet
        raise InvalidInputError(f"{repository} has no commit {revision!r}") from error
    told = git.run(
        *_at(repository),
        "log",
        "-z",
        "--first-parent",
        "--reverse",
        "--encoding=UTF-8",
        "--format=%H%x09%ct%x09%s",
        "--end-of-options",
        revision,
        "--",
    )
    commits = []
    for line in told.split(b"\0"):
        if line:
            name, seconds, subject = line.decode(errors="replace").split("\t", 2)
            commits.append(GitCommit(name.strip(), int(seconds) * 1000, subject))
    return commits


def _changes(repository: Path, before: str | None, after: str) -> Iterator[_Change]:
    trees = ("--root", after) if before is None else (before, after)
    told = git.run(*_at(repository), "diff-tree", "-r", "-z", "--no-renames", "--no-commit-id", *trees, "--")
    fields = iter(told.split(b"\0"))
    for about in fields:
        if about:
            _, mode, _, name, status = about.removeprefix(b":").split(b" ")
            yield _Change(next(fields), mode, name, status == b"D")


class _Applying:
    """One commit's changes."""

    def __init__(self, arriving: Arriving, contents: git.Piped, into: Path, within: bytes, mtime_ns: int) -> None:
        self._arriving = arriving
        self._contents = contents
        self._into = into
        self._within = within
        self._mtime_ns = mtime_ns
        self.skipped: set[bytes] = set()

    def apply(self, changes: list[_Change]) -> list[bytes]:
        """Does them: what goes first, since something else may come where it was. The paths in the workspace."""
        touched = []
        taken = [change for change in changes if self._is_taken(change)]
        for change in sorted(taken, key=lambda change: (not change.gone, change.path)):
            path = workspace_path(change.path)
            if change.gone or change.mode == _SUBMODULE:
                touched += self._remove(path)
            else:
                self._write(path, change)
                touched.append(joined(self._within, path))
        return touched

    def _is_taken(self, change: _Change) -> bool:
        if change.mode == _SUBMODULE or (not self._within and is_within(change.path, MAGIC)):
            self.skipped.add(change.path)
        return change.path not in self.skipped or change.mode == _SUBMODULE

    def _write(self, path: bytes, change: _Change) -> None:
        size = self._ask(change)
        if change.mode == _LINK:
            if size > _LONGEST_TARGET:
                raise InvalidInputError(f"{path.decode(errors='replace')}: the link's target is too long")
            target = b"".join(_pieces(self._contents.stdout, size))
            self._arriving.symlink(path, target, self._mtime_ns)
        else:
            mode = 0o755 if change.mode == _EXECUTABLE else 0o644
            self._arriving.file(path, _pieces(self._contents.stdout, size), Attributes(mode, self._mtime_ns))
        self._contents.stdout.read(1)

    def _ask(self, change: _Change) -> int:
        self._contents.stdin.write(change.object + b"\n")
        self._contents.stdin.flush()
        answer = self._contents.stdout.readline().split()
        if len(answer) != 3 or answer[1] != b"blob":
            shown = change.path.decode(errors="replace")
            raise DamagedError(f"{shown}: object {change.object.decode()} can't be read from the repository")
        return int(answer[2])

    def _remove(self, path: bytes) -> list[bytes]:
        """Removes a file and the directories that are empty then, as git does."""
        target = joined(self._within, path)
        removed = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            with reaching.place(self._into, target) as (here, name):
                os.unlink(name, dir_fd=here)
            removed.append(target)
            above = parent_of(target)
            while above != self._within:
                with contextlib.suppress(OSError), reaching.place(self._into, above) as (here, name):
                    os.rmdir(name, dir_fd=here)
                    removed.append(above)
                    above = parent_of(above)
                    continue
                break
        return removed


def _pieces(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = source.read(min(size, PIECE_BYTES))
        if not piece:
            raise StorageError("git ended before all of a file was read")
        size -= len(piece)
        yield piece
