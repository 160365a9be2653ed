"""What is noted and not recorded yet, in order: in memory for the recorder, and in the journal for the time after a crash."""

import contextlib
import resource
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from chronicle.model.errors import StorageError
from chronicle.model.iterations import Checkpoint
from chronicle.page import Page
from chronicle.recording.journal import Journal
from chronicle.recording.notes import ChangeNote, CheckpointNote, RescanNote, WroteNote
from chronicle.recording.tokens import Token

_NEVER: Final = 1 << 62
_ITEM_BYTES: Final = 512
"""About what an item costs in memory; for the bound of the queue, not for accounting."""

CUT_BYTES: Final = 1 << 20
"""A journal larger than this is cut to what is not recorded yet."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds of a recorder.

    `batch_items`, `batch_bytes` (of contents): what is recorded in one commit. Recording shares an interpreter with the
    thread that answers the kernel, so it begins when nothing was asked or noted for `quiet_s`. Without such a moment, what waits is
    recorded each `late_s`, and sooner when `gather_items` or `gather_bytes` (of contents) wait, or contents for an eighth of the room
    on the disk: what is not recorded when that is full can only be recorded where something else goes.
    `held`: contents held by descriptors; above it, noting waits for the recorder; two thirds of it end gathering, too. `queue_bytes`: journal and memory that
    wait; `pending_bytes`: copies in `pending/`. Above either, who notes or settles waits up to `pressure_s`.
    `retry_s`: pause between attempts while the disk is full.
    """

    batch_items: int = 256
    batch_bytes: int = 8 << 20
    quiet_s: float = 0.01
    late_s: float = 2.0
    gather_items: int = 20_000
    gather_bytes: int = 256 << 20
    held: int = 30_000
    queue_bytes: int = 64 << 20
    pending_bytes: int = 1 << 30
    pressure_s: float = 5.0
    retry_s: float = 1.0

    @classmethod
    def of_process(cls) -> "Limits":
        """The defaults, with no more descriptors held than three quarters of what this process may open."""
        may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return cls(held=min(cls().held, may_open * 3 // 4))


class Item(NamedTuple):
    """One thing to record. `end`: the journal's position behind it. Without a note it is somebody who waits."""

    end: int
    note: ChangeNote | WroteNote | CheckpointNote | RescanNote | None
    token: Token | None = None
    told: Callable[[Checkpoint], None] | None = None
    waiting: Callable[[int], None] | None = None


class Queue:
    """Items in order. Any thread puts, one takes. `lock` also protects the journal's end."""

    def __init__(self, journal: Journal, limits: Limits, room: Callable[[], int] = lambda: _NEVER) -> None:
        """`room`: bytes that are free on the disk."""
        self.journal = journal
        self.lock = threading.Lock()
        self.items: deque[Item] = deque()
        self.consumed = journal.first
        self.missed = False
        self.held = 0
        self.latest: dict[int, Token] = {}
        self.copied = 0
        self.page: Page | None = None
        self._limits = limits
        self._bytes = 0
        self._bell = threading.Lock()
        self._bell.acquire()
        self._ring_at = _NEVER
        self._urgent = False
        self._puts = 0
        self._asked: Callable[[], int] = lambda: 0
        self._room = room
        self._much = limits.gather_bytes
        self._quiet_at = (-1, -1)
        self._breathed = 0
        self._late_at = 0.0
        self._overdue = 0
        self._moved = threading.Condition()
        self._unwritten = 0

    # Putting: what the mount's thread does.

    def put(
        self,
        payload: bytes,
        note: ChangeNote | WroteNote | CheckpointNote | RescanNote,
        token: Token | None = None,
        told: Callable[[Checkpoint], None] | None = None,
    ) -> OSError | None:
        """Writes the note into the journal and queues it. When the disk refuses, it is queued all the same; says why."""
        refused: OSError | None = None
        with self.lock:
            try:
                position = self.journal.append(payload)
            except OSError as error:
                refused = error
                self._unwritten += 1
                position = -self._unwritten
            if token is not None:
                token.position = position
                self._follow(token)
                self._bytes += token.size
                self.held += token.fd >= 0
            self.items.append(Item(self.journal.end, note, token, told))
            self._puts += 1
            if self.page is not None:
                self.page.noted()
            if told is not None or len(self.items) >= self._ring_at or self._is_much:
                self._ring(urgent=told is not None)
        return refused

    def miss(self) -> None:
        """There was no room for a note: everything is to be compared once there is."""
        with self.lock:
            self.missed = True
            if self.page is not None:
                self.page.noted()

    def share(self, page: Page) -> None:
        """Counts on the page from now on."""
        with self.lock:
            self.page = page
            page.noted()

    def give_way(self, asked: Callable[[], int]) -> None:
        """Recording waits also while others are at work: `asked` counts what they did."""
        self._asked = asked

    def _follow(self, token: Token) -> None:
        """Ties a token to an earlier one of the same file that is neither recorded nor settled."""
        if token.note is None:
            return
        before = self.latest.get(token.note.inode)
        if before is not None and not before.settled:
            before.later = token
            token.lock = before.lock
        self.latest[token.note.inode] = token

    def wait_for(self, waiting: Callable[[int], None]) -> None:
        """Queues somebody who is told when everything before is recorded."""
        with self.lock:
            self.items.append(Item(self.journal.end, None, None, None, waiting))
            self._ring(urgent=True)

    def hurry(self) -> None:
        """Lets the taker return now, with what there is."""
        with self.lock:
            self._ring(urgent=True)

    def _ring(self, *, urgent: bool) -> None:
        self._urgent = self._urgent or urgent
        if self._ring_at != _NEVER:
            self._ring_at = _NEVER
            self._bell.release()

    # Taking: what the recorder does.

    def wait(self) -> None:
        """Returns when there is something to take, or `hurry` was called. No wake-ups meanwhile."""
        with self.lock:
            if self._urgent or self.items:
                return
            self._ring_at = 1
        self._bell.acquire()
        self._late_at = time.monotonic() + self._limits.late_s
        self._much = min(self._limits.gather_bytes, self._room() // 8)

    def gather(self) -> None:
        """Returns when it is time to record what there is: nothing came for a moment, or enough, or it is late."""
        while self._overdue <= 0 and self._quiet_at != (self._puts, self._asked()):
            with self.lock:
                if self._urgent or self._is_much or len(self.items) >= self._limits.gather_items:
                    return
                before, self._ring_at = (self._puts, self._asked()), self._limits.gather_items
            left = self._late_at - time.monotonic()
            if self._rung_within(min(self._limits.quiet_s, max(left, 0.0))):
                return
            if before == (self._puts, self._asked()):
                self._quiet_at = before
                self._late_at = time.monotonic() + self._limits.late_s
            elif left <= 0:
                self._overdue = len(self.items)

    def breathe(self) -> None:
        """Between two contents of a batch: waits while others are at work, as far as what there is may wait."""
        asked = self._asked()
        if asked == self._breathed:
            return
        while self._overdue <= 0 and time.monotonic() < self._late_at:
            with self.lock:
                if self._urgent or self._is_much:
                    break
                before, self._ring_at = self._asked(), self._limits.gather_items
            if self._rung_within(self._limits.quiet_s) or before == self._asked():
                break
        self._breathed = self._asked()

    def _rung_within(self, seconds: float) -> bool:
        if self._bell.acquire(timeout=seconds):
            return True
        with self.lock:
            if self._ring_at == _NEVER:  # rung between the timeout and now
                self._bell.acquire()
                return True
            self._ring_at = _NEVER
        return False

    @property
    def _is_much(self) -> bool:
        return self._bytes >= self._much or self.held * 3 >= self._limits.held * 2

    def take(self) -> list[Item]:
        """The next batch: up to the bounds; a rescan is always a batch of its own."""
        batch: list[Item] = []
        size = 0
        with self.lock:
            items = self.items
            while items and len(batch) < self._limits.batch_items and size < self._limits.batch_bytes:
                if isinstance(items[0].note, RescanNote) and batch:
                    break
                item = items.popleft()
                batch.append(item)
                if item.token is not None:
                    size += item.token.size
                    self._bytes -= item.token.size
                if isinstance(item.note, RescanNote):
                    break
            if not items:
                self._urgent = False
        if self._overdue > 0:
            self._overdue -= len(batch)
            if self._overdue <= 0:
                self._late_at = time.monotonic() + self._limits.late_s
        return batch

    def recorded(self, position: int, head: int) -> None:
        """Everything up to the position is in the history, whose head is `head`: the journal is cut when that is worth it, who waits
        is woken."""
        with self.lock:
            self.consumed = max(self.consumed, position)
            if not self.items:
                self.consumed = self.journal.end
                if self.page is not None and not self.missed:
                    self.page.recorded(head)
            journal = self.journal
            if journal.size > CUT_BYTES and (journal.end - self.consumed) * 4 <= journal.size:
                with contextlib.suppress(OSError):  # the disk is full: it stays longer than it need be
                    journal.cut(self.consumed)
        with self._moved:
            self._moved.notify_all()

    def settle_down(self) -> None:
        """Empties the journal of what is recorded, whatever its size: at a stop."""
        with self.lock:
            if not self.items and self.journal.size:
                self.journal.cut(self.journal.end)

    # Bounds.

    def let_go(self, token: Token) -> None:
        """Closes the token's descriptor; again does nothing."""
        with self.lock:
            self.held -= token.fd >= 0
            token.close()

    def finish(self, token: Token) -> None:
        """The token's content is recorded, or never will be. Waits for who is settling it now: they read the descriptor."""
        with token.lock, self.lock:
            token.done = True
            if token.note is not None and self.latest.get(token.note.inode) is token:
                del self.latest[token.note.inode]
            self.held -= token.fd >= 0
            if token.copied:
                self.copied -= token.size
            token.close()

    @property
    def pressed(self) -> bool:
        """Whether more waits than should."""
        waiting: int = self.journal.end - self.consumed + len(self.items) * _ITEM_BYTES
        return waiting > self._limits.queue_bytes

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits until the condition holds after some batch; False when it doesn't within the time."""
        self.hurry()
        end = time.monotonic() + seconds
        with self._moved:
            while not condition():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(left)
        return True


def overfull() -> StorageError:
    """The error that says why recording falls behind."""
    return StorageError("more changes wait to be recorded than may: the disk is too slow or full")
