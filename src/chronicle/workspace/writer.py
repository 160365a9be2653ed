"""Being the one who writes a workspace: the lock, the history opened for writing, the recorder, the working tree."""

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

from chronicle.layout import Layout, Settings
from chronicle.model.errors import StorageError
from chronicle.model.iterations import Iteration
from chronicle.recording import Recorder
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.workspace.marks import LOCK_SECONDS, Lock, mark_clean, mark_in_use, was_clean
from chronicle.workspace.tiers import open_pool
from chronicle.worktree import Worktree

STOP_SECONDS = 30.0
"""How long the recorder may take to write down what is noted."""


class Writer:
    """Holds the lock and everything that writing needs, from `begin` to `end`. What was noted before a crash is replayed.

    `compared`: whether the tree is known to equal head but for what is noted. False after an unclean end: call `compare`.
    """

    def __init__(self, layout: Layout, settings: Settings, lock: Lock, history: History, pool: Pool) -> None:
        """Use `begin`."""
        self.layout = layout
        self.settings = settings
        self.history = history
        self.pool = pool
        self._lock = lock
        self.compared = False
        self.recorder: Recorder
        self.worktree: Worktree

    @classmethod
    def begin(
        cls,
        layout: Layout,
        settings: Settings,
        lock: Lock | None = None,
        *,
        on_recorded: Callable[[list[Iteration]], None] | None = None,
    ) -> "Writer":
        """Takes the lock (unless it is given) and starts recording.

        Raises:
            WorkspaceBusyError: another process writes the workspace.
            StorageError: it can't be used as it is; the message says why.
        """
        lock = lock or Lock.take(layout, LOCK_SECONDS)
        opened: list[History | Pool] = []
        try:
            opened.append(history := History.open(layout.history, writable=True))
            opened.append(pool := open_pool(layout, settings))
            writer = cls(layout, settings, lock, history, pool)
            writer.compared = was_clean(layout)
            writer.worktree = Worktree(layout, history, pool)
            writer.worktree.check_copied()
            mark_in_use(layout)
            writer.recorder = Recorder(layout, settings, history, pool, on_recorded=on_recorded)
            writer.recorder.start()
        except BaseException:
            for one in reversed(opened):
                one.close()
            lock.release()
            raise
        return writer

    def compare(self, patience: float = 0.0) -> None:
        """Has what differs between tree and head recorded, before what is noted from now on; waits for that `patience` seconds.

        Whoever begins to serve before it is done risks that a version nobody noted is written over; nothing else: what comes is
        noted behind the comparison.
        """
        if not self.compared:
            # In order with what is noted, so that it can be done while the tree is served, too: what the comparison sees too early
            # is recorded then, and its own note changes nothing when its turn comes.
            self.recorder.rescan(b"")
            self.compared = True
            if patience:
                with contextlib.suppress(TimeoutError):
                    self.recorder.barrier(patience)

    def end(self) -> None:
        """Records everything, says that it ended cleanly when it did, and lets go of the lock."""
        try:
            self.recorder.stop(STOP_SECONDS)
            if self.recorder.failure is not None:
                raise StorageError(f"not everything could be recorded: {self.recorder.failure}")
            if self.compared:
                mark_clean(self.layout)
        finally:
            self.history.close()
            self.pool.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
