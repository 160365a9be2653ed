"""A workspace as a git repository: its checkpoints, and head, are the commits of one branch."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, NamedTuple

from chronicle.exchange import git
from chronicle.model.errors import InvalidInputError, NotFoundError, StorageError, VersionDroppedError
from chronicle.model.iterations import Checkpoint, Difference, Version
from chronicle.model.paths import name_of
from chronicle.store.history import History
from chronicle.store.pool import Pool

BRANCH: Final = "main"
"""The branch that has the commits."""

COMMITTER: Final = b"Chronicle <chronicle@localhost>"
"""Who commits: the history doesn't know people."""

_ALL: Final = 1 << 31
_IGNORED_BY_HFS: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DOT_GIT: Final = re.compile(r"(\.git|git~1)[ .]*($|[\\:])", re.IGNORECASE)
_EXECUTABLE: Final = 0o100


class Exported(NamedTuple):
    """What an export did: `commits`, and the `skipped` paths (bytes, sorted) that git takes no file at.

    That are `.git` and what looks like it to some file system, with all below, and special files.
    """

    commits: int
    skipped: list[bytes]


class _Moment(NamedTuple):
    iteration: int
    timestamp: int
    message: str


def export_git(history: History, pool: Pool, into: Path, *, bare: bool = False) -> Exported:
    """Makes a git repository at `into`, which is missing or empty.

    One commit for each checkpoint, oldest first, and one for head when something happened after the last. Messages are labels or
    turns, dates when it happened (UTC), executable bits and symbolic links are kept; empty directories are not, as git has none.
    Without any iteration it is an empty repository. Unless `bare`, the newest commit is checked out.

    Raises:
        NotSupportedError: git is not installed.
        InvalidInputError: `into` holds something.
        VersionDroppedError, DamagedError: a content can't be had; what is at `into` is unfinished.
        StorageError: git failed, with its words.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InvalidInputError(f"{into} exists and is not empty; choose another place")
    moments = _moments(history)
    options = ("--bare",) if bare else ()
    git.run("init", "--quiet", "--template=", f"--initial-branch={BRANCH}", *options, into)
    if not moments:
        return Exported(0, [])
    with tempfile.TemporaryFile() as said:
        with git.Piped("-C", into, "fast-import", "--quiet", "--done", stderr=said) as importing:
            stream = _Stream(history, pool, importing.stdin)
            stream.write(moments)
    if not bare:
        git.run("-C", into, "reset", "--quiet", "--hard", BRANCH)
    return Exported(len(moments), sorted(stream.skipped))


def _moments(history: History) -> list[_Moment]:
    head = history.head
    checkpoints = history.checkpoints(newest_first=False, limit=_ALL)
    moments = [_Moment(one.iteration, one.timestamp, _message(one)) for one in checkpoints]
    if head and (not moments or moments[-1].iteration < head):
        moments.append(_Moment(head, history.iteration(head).timestamp, f"Head\n\nIteration: {head}\n"))
    return moments


def _message(checkpoint: Checkpoint) -> str:
    title = checkpoint.label or (f"Turn {checkpoint.turn_id}" if checkpoint.turn_id else "Checkpoint")
    turn = f"Turn: {checkpoint.turn_id}\n" if checkpoint.turn_id else ""
    return f"{title}\n\nIteration: {checkpoint.iteration}\n{turn}"


class _Stream:
    """The language of `git fast-import`."""

    def __init__(self, history: History, pool: Pool, out: IO[bytes]) -> None:
        self._history = history
        self._pool = pool
        self._write = out.write
        self._flush = out.flush
        self._marks: dict[bytes, int] = {}
        self.skipped: set[bytes] = set()

    def write(self, moments: Iterable[_Moment]) -> None:
        before = 0
        for moment in moments:
            differences = [one for one in self._history.differences(before, moment.iteration) if self._is_taken(one)]
            for one in differences:
                if one.after is not None and one.after.type == "file":
                    self._blob(one.path, one.after)
            self._commit(moment)
            for one in differences:
                if one.before is not None and (one.after is None or one.after.type != one.before.type):
                    self._write(b"D %s\n" % quoted(one.path))
            for one in differences:
                if one.after is not None:
                    self._entry(one.path, one.after)
            self._write(b"\n")
            before = moment.iteration
        self._write(b"done\n")
        self._flush()

    def _is_taken(self, difference: Difference) -> bool:
        after = difference.after
        refused = is_refused(difference.path) or (after is not None and after.type == "special")
        if after is not None and after.type == "symlink" and name_of(difference.path).lower() == b".gitmodules":
            refused = True  # git refuses to check out such a link
        if refused and after is not None and after.type != "directory":
            self.skipped.add(difference.path)
        # What is special now may have been a file before, which has to go.
        return not refused or (not is_refused(difference.path) and difference.before is not None)

    def _blob(self, path: bytes, version: Version) -> None:
        digest = version.digest
        if digest is None or digest in self._marks:
            return
        self._marks[digest] = mark = len(self._marks) + 1
        self._write(b"blob\nmark :%d\ndata %d\n" % (mark, version.size))
        written = 0
        try:
            for piece in self._pool.pieces(digest):
                self._write(piece)
                written += len(piece)
        except NotFoundError as error:
            raise VersionDroppedError(path, version.iteration) from error
        if written != version.size:
            raise StorageError(f"{path.decode(errors='replace')}: its content has {written} bytes, not {version.size}")
        self._write(b"\n")

    def _commit(self, moment: _Moment) -> None:
        message = moment.message.encode(errors="replace").replace(b"\0", b"\xef\xbf\xbd")
        self._write(
            b"commit refs/heads/%s\ncommitter %s %d +0000\ndata %d\n%s\n"
            % (BRANCH.encode(), COMMITTER, max(moment.timestamp, 0) // 1000, len(message), message)
        )

    def _entry(self, path: bytes, version: Version) -> None:
        match version.type:
            case "file" if version.digest is not None:
                mode = b"100755" if version.mode & _EXECUTABLE else b"100644"
                self._write(b"M %s :%d %s\n" % (mode, self._marks[version.digest], quoted(path)))
            case "symlink":
                target = version.target or b""
                self._write(b"M 120000 inline %s\ndata %d\n%s\n" % (quoted(path), len(target), target))


def is_refused(path: bytes) -> bool:
    """Whether git takes no file at this path: a component is `.git`, or is on HFS+ or NTFS."""
    shown = path.decode(errors="surrogateescape")
    return any(_DOT_GIT.match(_IGNORED_BY_HFS.sub("", name)) for name in shown.split("/"))


def quoted(path: bytes) -> bytes:
    """The path as `fast-import` reads it: in quotes, with what is not plain as octal numbers."""
    return b'"' + b"".join(_QUOTED[byte] for byte in path) + b'"'


_QUOTED: Final = [
    bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b'"\\' else b"\\%03o" % byte for byte in range(256)
]
