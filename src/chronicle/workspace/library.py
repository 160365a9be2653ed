"""`chronicle.Workspace`: everything a program does with a versioned directory, mounted or not."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from chronicle import exchange
from chronicle.control.messages import HolderStatus, Restored
from chronicle.layout import Durability, Layout, Retention, Settings
from chronicle.model.errors import (
    NotFoundError,
)
from chronicle.model.findings import Finding
from chronicle.model.iterations import Checkpoint, Iteration
from chronicle.model.paths import workspace_path
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.workspace import collecting, configuring, erasing, forking, places, verifying
from chronicle.workspace.collecting import GRACE_SECONDS, Collected, collect
from chronicle.workspace.following import Watch
from chronicle.workspace.importing import entrance
from chronicle.workspace.reading import PathLike, Reading
from chronicle.workspace.status import Status, Usage, status_of, usage_of
from chronicle.workspace.tiers import open_pool
from chronicle.workspace.writing import Writing

BARRIER_SECONDS = 30.0
"""How long `barrier` waits unless it is told."""

RESTORE_SECONDS = 3600.0
"""How long a restore may take: it writes what differs, which can be a whole tree."""


class Workspace(Reading):
    """A directory that remembers every version of every file.

    Reading needs neither the mount nor a lock, and sees everything that is recorded; `barrier()` waits until everything that
    happened is. Writing goes to the process that serves the workspace, when one does, else it is done here under the lock.
    Thread-safe. Use it in `with`, or `close()` it.

    Paths are relative to the workspace, as str or bytes (a str stands for bytes as `os.fsencode` has it); answers have bytes.
    A *moment* is the number of an iteration: the tree as it was when that had happened. None is now; 0 is before everything.
    """

    def __init__(self, layout: Layout, settings: Settings, history: History, pool: Pool) -> None:
        """Use `open` or `create`."""
        super().__init__(settings, history, pool)
        self._layout = layout
        self._writing = Writing(layout)
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, place: Path | str, *, create: bool = False) -> "Workspace":
        """Opens the workspace at `place`: its own directory, where it is mounted, or any path inside either.

        Args:
            place: where.
            create: make a workspace with default settings when `place` is none; `place` is then its own directory.

        Raises:
            WorkspaceNotFoundError: there is none.
            DamagedError: its settings or its history can't be read.
        """
        try:
            root = places.find(place).root
        except NotFoundError:
            if not create:
                raise
            return cls.create(place)
        layout = Layout(root)
        settings = layout.read_settings()
        history = History.open(layout.history)
        try:
            pool = open_pool(layout, settings)
        except BaseException:
            history.close()
            raise
        return cls(layout, settings, history, pool)

    @classmethod
    def create(
        cls,
        root: Path | str,
        *,
        pool: Path | str | None = None,
        exclude: tuple[str, ...] = (),
        durability: Durability = "queued",
        quota_bytes: int | None = None,
        retention: Retention | None = None,
        workspace_id: str | None = None,
    ) -> "Workspace":
        """Makes a new, empty workspace and opens it.

        Args:
            root: its own directory; missing, or empty.
            pool: directory of the contents, shared with other workspaces of the same owner; None: its own, inside `root`.
            exclude: gitignore patterns of paths that work and have no history.
            durability: `sync`: a change is on disk in the history before the call that ended it returns.
            quota_bytes: how much the tree may hold; None: as much as the disk has.
            retention: which moments stay readable; None: all.
            workspace_id: a name that is unique in the pool; None: one is made up.

        Raises:
            InvalidInputError: `root` is a workspace already, or holds something else.
        """
        settings = Settings(
            workspace_id=workspace_id or secrets.token_hex(8),
            pool="pool" if pool is None else os.path.abspath(pool),
            exclude=exclude,
            durability=durability,
            quota_bytes=quota_bytes,
            retention=retention or Retention(),
            created_at=time.time_ns() // 1_000_000,
        )
        return cls.open(forking.make(Path(os.path.abspath(root)), settings))

    # --- what it is

    @property
    def root(self) -> Path:
        """The workspace's own directory."""
        return self._layout.root

    @property
    def settings(self) -> Settings:
        """What `workspace.json` said when it was opened."""
        return self._settings

    def status(self) -> Status:
        """How it stands: mounted where, by what, how much history there is."""
        return status_of(self._layout, self._settings, self._history, self._writing.holder_status())

    def usage(self) -> Usage:
        """What it takes on disk; walks its files."""
        return usage_of(self._layout, self._settings)

    def watch(self, after: int | None = None) -> Watch:
        """A stream of the iterations after `after` (head when None), as they are recorded."""
        return Watch(self._history, self._writing.holder, self.head if after is None else after)

    # --- writing

    def barrier(self, timeout: float = BARRIER_SECONDS) -> int:
        """Waits until all that happened before is on disk in the history. Returns head.

        Raises:
            TimeoutError: it was not, within `timeout` seconds.
        """
        return self._writing.barrier(timeout)

    def put(
        self,
        path: PathLike,
        data: bytes | None = None,
        *,
        source: Path | None = None,
        mode: int | None = None,
        if_hash: str | None = None,
    ) -> Iteration:
        """Writes a file, making its parent directories, and returns the iteration of its newest version.

        Bytes equal to what is there make no new iteration; the one that made them is returned.

        Args:
            path: where.
            data: the content; or
            source: a file that has it.
            mode: permission bits; None keeps what there is (0644 for a new file).
            if_hash: write only when this (BLAKE3, hex) is what is there now; the empty string: only when nothing is.

        Raises:
            ChangedMeanwhileError: the precondition does not hold.
            InvalidPathError: the path leads through a link, or something that is no regular file is there.
            WorkspaceBusyError: another process holds the workspace and does not answer.
        """
        raw = workspace_path(path)
        self._writing.put(raw, data if data is not None else source, mode, if_hash)
        return self._history.history(raw, limit=1)[0]

    def remove(self, path: PathLike, *, if_hash: str | None = None) -> int:
        """Removes a file, or a directory with all it holds. Returns head.

        Raises:
            FileNotFoundInHistoryError: nothing is there.
            ChangedMeanwhileError: as in `put`.
        """
        return self._writing.remove(workspace_path(path), if_hash)

    def restore(self, iteration: int, path: PathLike = b"", *, timeout: float = RESTORE_SECONDS) -> Restored:
        """Makes the tree, or what is at `path`, as it was at a moment. Writes only what differs; is recorded, so it can be undone.

        Raises:
            IterationNotFoundError: the moment lies beyond head.
            VersionDroppedError: a content it needs was given up.
        """
        self._moment(iteration)
        return self._writing.restore(iteration, workspace_path(path), timeout)

    def checkpoint(self, label: str | None = None, turn_id: str | None = None) -> Checkpoint:
        """Names the moment after all that happened before. A label that exists is given to the new moment too; the newest wins."""
        return self._writing.checkpoint(label, turn_id)

    def annotate(self, turn_id: str | None) -> None:
        """Changes from now on, through the mount, carry this turn id, until the next call. None: none."""
        self._writing.annotate(turn_id)

    def fork(self, into: Path | str, iteration: int | None = None, *, workspace_id: str | None = None) -> "Workspace":
        """Makes a new workspace that begins as this one was at a moment, and opens it. Takes as long whatever the size.

        History up to there and contents are shared on disk; from then on neither notices the other.

        Args:
            into: the new workspace's own directory, on the same file system; missing, or empty.
            iteration: the moment; None: now.
            workspace_id: its id; None: one is made up.
        """
        self._moment(iteration)
        target = Path(os.path.abspath(into))
        forking.fork(
            self._layout, self._settings, target, workspace_id, lambda history: self._writing.fork(history, iteration)
        )
        return Workspace.open(target)

    # --- going out and coming in

    def export_tar(self, out: BinaryIO, at: int | None = None, *, path: PathLike = b"", gzip: bool = False) -> int:
        """Writes what is below `path` at a moment as a tar archive; returns the number of entries."""
        return exchange.export_tar(
            self._history, self._pool, self._moment(at), out, gzip=gzip, path=workspace_path(path)
        )

    def export_git(self, into: Path | str, *, bare: bool = False) -> exchange.Exported:
        """Makes a git repository whose commits are the checkpoints, and head.

        Raises:
            InvalidInputError: `into` holds something.
            NotSupportedError: git is not installed.
        """
        return exchange.export_git(self._history, self._pool, Path(into), bare=bare)

    def import_tree(self, source: Path | str, within: PathLike = b"") -> exchange.Arrived:
        """Copies a directory into the workspace; what is there of other names stays."""
        raw = workspace_path(within)
        with entrance(self._layout, self._writing) as way:
            arrived = exchange.import_tree(Path(source), way.root, raw)
            way.record([raw], None)
        return arrived

    def import_tar(self, stream: BinaryIO, within: PathLike = b"") -> exchange.Arrived:
        """Unpacks an archive into the workspace.

        Raises:
            InvalidInputError, InvalidPathError: it is damaged, or holds what leads out of the workspace; nothing was written.
        """
        raw = workspace_path(within)
        with entrance(self._layout, self._writing) as way:
            arrived = exchange.import_tar(stream, way.root, raw)
            way.record([raw], None)
        return arrived

    def import_git(self, repository: Path | str, within: PathLike = b"", *, revision: str = "HEAD") -> exchange.Arrived:
        """Records each commit of the first-parent line as changes and a checkpoint, labelled with its subject."""
        with entrance(self._layout, self._writing) as way:
            return exchange.import_git(
                Path(repository),
                way.root,
                lambda commit, paths: way.record(paths, commit.subject),
                workspace_path(within),
                revision=revision,
            )

    # --- keeping it in order

    def gc(
        self,
        *,
        grace_s: float = GRACE_SECONDS,
        dry_run: bool = False,
        now: float | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Collected:
        """Gives up contents that no workspace of the pool needs under its retention policy.

        Args:
            grace_s: contents used within so many seconds stay whatever the policies say.
            dry_run: only tell.
            now: the time, in seconds since 1970.
            progress: told in words what is being done.
        """
        return collect(
            self._pool, grace_s=grace_s, dry_run=dry_run, now=time.time() if now is None else now, progress=progress
        )

    def fsck(self) -> Iterator[Finding]:
        """Checks contents, history and, when nobody writes, the tree. Nothing yielded: all is well."""
        return verifying.verify(self._layout, self._settings, self._history, self._pool)

    def repair(self, findings: Iterable[Finding]) -> list[Finding]:
        """Puts right what findings of `fsck` are about, as far as that loses nothing; those that were put right."""
        return verifying.repair(self._layout, self._settings, self._pool, findings)

    def configure(self, **changes: object) -> None:
        """Changes settings: `exclude`, `durability`, `quota_bytes`, `retention` as in `create`. What they were before stays recorded.

        Raises:
            WorkspaceBusyError: it is mounted or being written.
            InvalidInputError: there is no such setting, or it can't be changed.
        """
        self._settings = configuring.configure(self._layout, changes)

    def forget_user(self, workspace_id: str) -> None:
        """Tells the pool that a workspace which used it was removed by other means than `erase`.

        Raises:
            InvalidInputError: that workspace is there.
        """
        collecting.forget(self._pool, workspace_id)

    def erase(self) -> None:
        """Removes the workspace with its history, for good, and closes it. Contents that others share stay for them.

        Raises:
            WorkspaceBusyError: it is mounted or being written.
            InvalidInputError: other workspaces keep their contents inside this one.
        """
        self.close()
        erasing.erase(self._layout, self._settings)

    def close(self) -> None:
        """Gives back what reading needed. Nothing that was written depends on it. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._writing.close()
        self._history.close()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def holder(self) -> HolderStatus | None:
        """What the process that serves the workspace says; None when none does."""
        return self._writing.holder_status()
