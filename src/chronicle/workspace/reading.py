"""What can be asked of a workspace: needs neither the mount nor a lock."""

import os
from collections.abc import Iterator

from chronicle.layout import Settings
from chronicle.model.errors import (
    FileNotFoundInHistoryError,
    InvalidInputError,
    IterationNotFoundError,
    NotFoundError,
    VersionDroppedError,
)
from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration, Version
from chronicle.model.paths import workspace_path
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.workspace.texts import unified

PathLike = str | bytes
"""A path in a workspace: relative to it; a str stands for bytes as `os.fsencode` has it."""

SIGN_OF_LIFE = 1000
"""`diff_text` yields something at least every so many paths it looks at."""


class Reading:
    """The reading side of a `Workspace`. Thread-safe."""

    def __init__(self, settings: Settings, history: History, pool: Pool) -> None:
        self._settings = settings
        self._history = history
        self._pool = pool

    @property
    def head(self) -> int:
        """The number of the newest recorded iteration; 0 when nothing ever happened."""
        return self._history.head

    def log(
        self,
        path: PathLike = b"",
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Iteration]:
        """Iterations of everything at or below `path`, with numbers over `after` and below `before`, at most `limit`."""
        return self._history.log(
            after=after, before=before, limit=limit, newest_first=newest_first, within=workspace_path(path)
        )

    def history(self, path: PathLike, *, before: int | None = None, limit: int = 100) -> list[Iteration]:
        """Iterations of one path, newest first, through renames and through removal and return; [] when it never was."""
        return self._history.history(workspace_path(path), before=before, limit=limit)

    def version(self, path: PathLike, iteration: int | None = None) -> Version:
        """What was at `path` at a moment.

        Raises:
            FileNotFoundInHistoryError: nothing.
            IterationNotFoundError: the moment lies beyond head.
        """
        raw = workspace_path(path)
        found = self._history.lookup(raw, self._moment(iteration))
        if found is None:
            raise FileNotFoundInHistoryError(raw, iteration)
        return found

    def read(self, path: PathLike, iteration: int | None = None) -> bytes:
        """The content of a file at a moment, whole and verified; of a symbolic link, its target (it is not followed).

        Raises:
            FileNotFoundInHistoryError, IterationNotFoundError: as `version`.
            InvalidInputError: it is a directory or a special file.
            VersionDroppedError: the retention policy gave the content up.
            DamagedError: what is stored is not what was written, and no other tier has it.
        """
        return b"".join(self.pieces(path, iteration))

    def pieces(self, path: PathLike, iteration: int | None = None) -> Iterator[bytes]:
        """As `read`, for contents too large to hold: in pieces, each verified before it is given out."""
        found = self.version(path, iteration)
        if found.type == "symlink":
            return iter((found.target or b"",))
        if found.type != "file" or found.digest is None:
            raise InvalidInputError(f"{os.fsdecode(workspace_path(path))} is a {found.type}; only files have content")
        return self._content(workspace_path(path), found, found.digest)

    def _content(self, path: bytes, version: Version, digest: bytes) -> Iterator[bytes]:
        try:
            yield from self._pool.pieces(digest)
        except NotFoundError as error:
            if self._settings.retention.keeps_all:
                raise
            raise VersionDroppedError(path, version.iteration) from error

    def entries(
        self, path: PathLike = b"", at: int | None = None, *, after: PathLike = b"", limit: int | None = None
    ) -> list[Entry]:
        """What a directory held at a moment, sorted by name, with names after `after`, at most `limit`.

        Raises:
            FileNotFoundInHistoryError: nothing was there.
            InvalidInputError: it was no directory.
        """
        raw = workspace_path(path)
        if raw and self.version(raw, at).type != "directory":
            raise InvalidInputError(f"{os.fsdecode(raw)} is not a directory")
        return self._history.entries(raw, self._moment(at), after=os.fsencode(after), limit=limit)

    def tree(self, at: int | None = None, path: PathLike = b"") -> Iterator[Entry]:
        """Everything below `path` at a moment, parents before children, sorted."""
        return self._history.walk(self._moment(at), workspace_path(path))

    def diff(self, before: int, after: int | None = None, path: PathLike = b"") -> list[Difference]:
        """What differs between two moments below `path`. Takes as long as there are changes between them, however large the tree."""
        first, second = self._moment(before), self._moment(after)
        return self._history.differences(
            self.head if first is None else first, self.head if second is None else second, workspace_path(path)
        )

    def diff_text(self, before: int, after: int | None = None, path: PathLike = b"") -> Iterator[str]:
        """The same as unified diff (`git apply` reads it), file by file, in the order of `compare`; of contents that are no text it is said
        that they differ. Where nothing does for long, an empty text comes now and then.
        """
        for looked, (_, difference) in enumerate(self.compare(before, after, path), 1):
            if difference is not None:
                yield unified(difference, lambda found: b"" if found.digest is None else self._pool.read(found.digest))
            elif looked % SIGN_OF_LIFE == 0:
                yield ""

    def compare(
        self, before: int, after: int | None = None, path: PathLike = b"", *, behind: PathLike | None = None
    ) -> Iterator[tuple[bytes, Difference | None]]:
        """As `diff`, one path after the other, and without holding what was found: every path that is looked at, with how it differs
        (None: it does not), a directory before what it holds, sorted by name in each.

        Args:
            before: a moment.
            after: another; None: now.
            path: only what lies there, or below it.
            behind: only what comes behind this path: one that an earlier comparison of the same moments told.

        Raises:
            IterationNotFoundError: a moment lies beyond head.
            InvalidInputError: `behind` does not lie within `path`.
        """
        first, second = self._moment(before), self._moment(after)
        return self._history.compare(
            self.head if first is None else first,
            self.head if second is None else second,
            workspace_path(path),
            behind=None if behind is None else workspace_path(behind),
        )

    def checkpoints(self, *, newest_first: bool = True, limit: int = 100) -> list[Checkpoint]:
        """Named moments."""
        return self._history.checkpoints(newest_first=newest_first, limit=limit)

    def moment(self, name: int | str) -> int:
        """The moment a person means: a number, `head`, a checkpoint's label or turn.

        Raises:
            CheckpointNotFoundError: no checkpoint has this name.
            IterationNotFoundError: the number lies beyond head.
        """
        if isinstance(name, str) and name == "head":
            return self.head
        number = int(name) if isinstance(name, int) or name.isdecimal() else self._history.checkpoint(name).iteration
        return self._moment(number) or 0

    def moment_of(self, timestamp: int) -> int:
        """The tree as it was at a time, in milliseconds since 1970: the newest iteration that is not younger; 0 before the first."""
        low, high = 0, self.head
        while low < high:
            middle = (low + high + 1) // 2
            if self._history.iteration(middle).timestamp <= timestamp:
                low = middle
            else:
                high = middle - 1
        return low

    def _moment(self, iteration: int | None) -> int | None:
        if iteration is not None and not 0 <= iteration <= (head := self.head):
            raise IterationNotFoundError(iteration, head)
        return iteration
