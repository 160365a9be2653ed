"""The recorder: takes note of changes without making anybody wait, and writes them into pool and history a moment later."""

import contextlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from chronicle import reaching
from chronicle.layout import Layout, Settings
from chronicle.model.changes import Change
from chronicle.model.iterations import Checkpoint, Iteration
from chronicle.model.paths import BESIDE, MAGIC
from chronicle.page import Page
from chronicle.recording.batches import BatchWriter
from chronicle.recording.comparing import Comparison
from chronicle.recording.contents import WHOLE_BYTES
from chronicle.recording.excluding import Excluded
from chronicle.recording.journal import Journal
from chronicle.recording.notes import ChangeNote, CheckpointNote, RescanNote, WroteNote, encode
from chronicle.recording.queue import Item, Limits, Queue, overfull
from chronicle.recording.replay import replay
from chronicle.recording.settling import Settler
from chronicle.recording.tokens import Token
from chronicle.store.history import History
from chronicle.store.pool import Pool

_log = logging.getLogger(__name__)

LARGE_PAUSE: Final = 10
"""A large file that stays open is read again after this many times what reading it took, and a second at least."""

_LARGE_PAUSE_LEAST: Final = 1.0
_REMEMBERED: Final = 1024
_NOT_NOW: Final = float("inf")


class Recorder:
    """Records a workspace's changes in the order in which they are noted.

    Notes may come from any thread; those of one path from one at a time (the mount's). `failure` is what keeps recording from
    going on, None while it goes on; what was noted waits then, in the journal too, and is tried again each second.
    `on_recorded` is called on the recorder's thread after each commit, with the new iterations.
    """

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        history: History,
        pool: Pool,
        *,
        on_recorded: Callable[[list[Iteration]], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Opens the journal and reads what a crash left in it.

        Raises:
            OSError: the journal or `pending/` can't be opened.
            InvalidInputError: a pattern of `settings.exclude` is malformed.
        """
        self.failure: Exception | None = None
        self.layout = layout
        self._history = history
        self._on_recorded = on_recorded
        self._limits = limits or Limits.of_process()
        self._tree = os.fsencode(layout.tree)
        self.excluded = Excluded(settings.exclude)
        recorded = history.position()
        self._queue = Queue(Journal(layout.journal, recorded), self._limits, lambda: _room(layout.root))
        try:
            self._queue.items.extend(replay(layout, self._queue.journal, recorded))
            self._settler = Settler(layout, self._queue, self._limits)
        except BaseException:
            self._queue.journal.close()
            raise
        self.comparison = Comparison(layout, history, self.excluded)
        self._writer = BatchWriter(
            layout, self._queue, history, pool, self.comparison, self._measured, durable=settings.durability == "sync"
        )
        self._turn: str | None = None
        self._turn_number = 0
        self._due: dict[int, float] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Records what the journal holds from before a crash, then starts the thread.

        While the disk is full, that waits, before what is noted from now on.
        """
        batch: list[Item] = []
        while not batch and (batch := self._queue.take()):
            if self._attempt(batch):
                batch = []
        self._thread = threading.Thread(target=self._run, args=(batch,), name="chronicle-recorder", daemon=True)
        self._thread.start()

    # Noting: quick, never raises.

    def wrote(self, path: bytes, fd: int, mode: int, seen: os.stat_result | None = None) -> Token:
        """The regular file at `path` has the content that `fd` reads now. Takes ownership of the descriptor.

        `mode` as `st_mode`; `seen` what `fstat` says of it now, if the caller knows. The token is to be settled before the content is changed in place.
        """
        try:
            if (self.excluded.any or BESIDE in path) and self.excluded(path):
                os.close(fd)
                return Token(None, 0)
            seen = seen or os.fstat(fd)
        except OSError:
            return Token(None, 0)
        at = time.time_ns() // 1_000_000
        note = WroteNote(path, at, mode, seen.st_mtime_ns, seen.st_ino, seen.st_size, self._whose())
        token = Token(note, 0, fd)
        if note.size > WHOLE_BYTES:
            self._due[note.inode] = _NOT_NOW
        self._put(note, token)
        if self._queue.held > self._limits.held:
            self._settler.release_descriptor(token, may_wait=self._may_wait())
        return token

    def due(self, inode: int) -> bool:
        """Whether a file that stays open should be noted again now (`wrote`), after an fsync or a look for changed files.

        A large file (over 4 MiB) whose reading took t seconds is due again after `LARGE_PAUSE`·t, at least a second; whoever
        closes or settles a file notes it anyway. Leave it changed in your books when it isn't due, and ask later.
        """
        return not self._due or time.monotonic() >= self._due.get(inode, 0)

    def settle(self, token: Token) -> bool:
        """Makes the content safe before it is changed in place; call it from a helper thread when `token.size > SETTLE_INLINE`.

        False: the disk took no copy (`failure` says why); what is written next replaces a version that is not recorded.
        """
        if token.done:
            return True
        refused = self._settler.settle(token)
        if refused is not None:
            self._fail(refused)
        return refused is None

    def keep(self, token: Token, path_in_tree: bytes) -> None:
        """Before a name of the file goes (unlink, rename over it): settles it, or gives it a name in `pending/` if it is large."""
        self._settler.keep(token, path_in_tree)

    def changed(self, change: Change) -> None:
        """Notes a change without content."""
        if (
            self.excluded.any
            or change.path.startswith(MAGIC)
            or BESIDE in change.path
            or BESIDE in (change.source or b"")
        ):
            self._changed_among_excluded(change)
        else:
            self._put(ChangeNote(change, self._whose()), None)

    def annotate(self, turn_id: str | None) -> None:
        """Changes noted from now on are this turn's doing; None: nobody's."""
        page = self._queue.page
        if page is not None:
            self._turn_number = page.turn_number
        self._turn = turn_id

    def give_way(self, asked: Callable[[], int]) -> None:
        """Records when nobody else is at work, as far as that can wait; `asked` counts what they did."""
        self._queue.give_way(asked)

    def share(self, page: Page) -> None:
        """Counts notes on the page from now on, and takes turns from it as well as from `annotate`; the later one holds."""
        self._turn_number = page.turn_number
        self._queue.share(page)
        self.when_recorded(lambda _: None)  # so that it is said on the page that there is nothing, if there is nothing

    def _whose(self) -> str | None:
        page = self._queue.page
        if page is not None and page.turn_number != self._turn_number:
            found = page.turn()
            if found is not None:
                number, self._turn = found
                self._turn_number = number
        return self._turn

    def checkpoint(self, *, label: str | None, turn_id: str | None, done: Callable[[Checkpoint], None]) -> None:
        """Names the moment between what was noted before and what is noted after. `done` is called on the recorder's thread."""
        note = CheckpointNote(time.time_ns() // 1_000_000, label, turn_id)
        refused = self._queue.put(encode(note), note, None, done)
        if refused is not None:
            self._fail(refused)

    def rescan(self, path: bytes, since: int | None = None) -> None:
        """Lets the recorder compare what is at and below the path with what it has recorded, in order with the changes. `since` as of
        `RescanNote`."""
        self._put(RescanNote(path, time.time_ns() // 1_000_000, self._whose(), since), None)

    def when_recorded(self, done: Callable[[int], None]) -> None:
        """Calls `done(head)` on the recorder's thread once everything noted before is on disk."""
        self._queue.wait_for(done)

    def barrier(self, timeout: float) -> int:
        """Waits until everything noted before is on disk; the number of the newest iteration.

        Raises:
            TimeoutError: not within `timeout` seconds; `failure` may say why.
        """
        passed = threading.Event()
        head = 0

        def done(newest: int) -> None:
            nonlocal head
            head = newest
            passed.set()

        self.when_recorded(done)
        if not passed.wait(timeout):
            raise TimeoutError(f"not recorded within {timeout} s" + (f": {self.failure}" if self.failure else ""))
        return head

    def stop(self, timeout: float = 10) -> None:
        """Records everything, then ends the thread. What can't be recorded in time stays in the journal for the next start."""
        self._ending.set()
        self._queue.hurry()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                _log.error("the recorder does not end", extra={"timeout": timeout})
                return
            self._thread = None
        for item in self._queue.items:
            if item.token is not None:
                item.token.close()
        self._queue.items.clear()
        self._settler.close()
        self._queue.journal.close()

    def _put(self, note: ChangeNote | WroteNote | RescanNote, token: Token | None) -> None:
        queue = self._queue
        if queue.pressed and not self._has_room():
            queue.miss()
            if token is not None and token.note is not None:
                token.close()
                token.done = True
                self._due.pop(token.note.inode, None)
            return
        refused = queue.put(encode(note), note, token)
        if refused is not None:
            self._fail(refused)

    def _has_room(self) -> bool:
        """Waits for the recorder to catch up; not for one that can't, and not on its own thread."""
        if not self._may_wait():
            return False
        if self._queue.wait_until(lambda: not self._queue.pressed, self._limits.pressure_s):
            return True
        self._fail(overfull())
        return False

    def _may_wait(self) -> bool:
        return self._thread is not None and threading.current_thread() is not self._thread and self.failure is None

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            _log.error("changes can't be recorded; they wait", extra={"reason": str(error)})
        self.failure = error

    def _changed_among_excluded(self, change: Change) -> None:
        """A rename over the border of the excluded is a rescan of the side that has a history."""
        excluded = self._is_excluded_now(change.path)
        if change.source is None or change.kind == "link":
            if not excluded:
                self._put(ChangeNote(change, self._whose()), None)
            return
        source_excluded = self._was_excluded(change)
        if not excluded and not source_excluded:
            self._put(ChangeNote(change, self._whose()), None)
            if self.excluded.anchored:  # below it, other patterns may hold now
                self.rescan(change.path)
            return
        for path in (change.source, change.path):
            if not self.excluded(path):
                self.rescan(path)

    def _is_excluded_now(self, path: bytes) -> bool:
        if self.excluded(path):
            return True
        if not self.excluded(path, True):
            return False
        with contextlib.suppress(OSError):
            return stat.S_ISDIR(reaching.look(self._tree, path).st_mode)
        return False

    def _was_excluded(self, change: Change) -> bool:
        """Whether what a rename moved was excluded where it came from: it is at the new path now."""
        if change.source is None or self.excluded(change.source):
            return True
        if not self.excluded(change.source, True):
            return False
        with contextlib.suppress(OSError):
            return stat.S_ISDIR(reaching.look(self._tree, change.path).st_mode)
        return False

    def _measured(self, inode: int, size: int, seconds: float) -> None:
        """Remembers when a large file is due again; forgets what is past."""
        if size <= WHOLE_BYTES:
            self._due.pop(inode, None)
            return
        now = time.monotonic()
        if len(self._due) > _REMEMBERED:
            for known, when in list(self._due.items()):
                if when <= now:
                    self._due.pop(known, None)
        self._due[inode] = now + max(_LARGE_PAUSE_LEAST, LARGE_PAUSE * seconds)

    # Recording: the recorder's thread.

    def _run(self, batch: list[Item]) -> None:
        while True:
            if batch:
                if self._attempt(batch):
                    batch = []
                elif self._ending.is_set():
                    for item in batch:
                        if item.token is not None:
                            item.token.close()
                    return
                else:
                    self._ending.wait(self._limits.retry_s)
                continue
            if self._ending.is_set() and not self._queue.items:
                with contextlib.suppress(OSError):
                    self._queue.settle_down()
                return
            self._queue.wait()
            if not self._ending.is_set():
                self._queue.gather()
            batch = self._queue.take()

    def _attempt(self, batch: list[Item]) -> bool:
        """Records a batch; False when it has to be tried again."""
        try:
            outcome = self._writer.record([item for item in batch if item.note is not None])
        except Exception as error:  # noqa: BLE001 - whatever it is: what was noted waits, and is not lost
            self._fail(error)
            return False
        self._queue.recorded(batch[-1].end, self._history.head)
        if self.failure is not None:
            _log.info("changes are recorded again")
            self.failure = None
        if outcome.iterations and self._on_recorded is not None:
            _tell(self._on_recorded, outcome.iterations)
        for told, checkpoint in outcome.checkpoints:
            _tell(told, checkpoint)
        waiting = [item.waiting for item in batch if item.waiting is not None]
        if waiting:
            head = self._history.head
            for done in waiting:
                _tell(done, head)
        if self._queue.missed and not self._queue.items:
            self._queue.missed = False
            self.rescan(b"")
        return True


def _room(directory: Path) -> int:
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


_T = TypeVar("_T")


def _tell(told: Callable[[_T], None], what: _T) -> None:
    """Calls who waits for news; what they do wrong doesn't end the recorder."""
    try:
        told(what)
    except Exception:  # noqa: BLE001 - theirs, logged with its traceback
        _log.exception("who was told of recorded changes failed")
