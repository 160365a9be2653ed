"""The turns of one agent: one at a time, in order.

A pure machine: the caller tells what happened and does what it is told. It holds no content, only identities;
what must survive is in the inbox of the journal, from which `restore` rebuilds it.
"""

from collections import deque
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from podium.wire.commands import OnBusy
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import CANCEL_GRACE_SECONDS, QUEUE_MAX_MESSAGES


class Entry(msgspec.Struct, frozen=True):
    """An accepted message that waits for its turn. `attempt`: how often it was delivered before, whose end was lost with a host."""

    message_id: str
    turn_id: str
    on_busy: OnBusy = "queue"
    attempt: int = 0


class Ending(StrEnum):
    """What a running turn is to end as, if not by itself."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class Running(msgspec.Struct):
    """The turn that runs. Times are monotonic seconds, except `started_ms`.

    `delivered`: the process that is alive now has its message. It is false before the process is there, after a crash,
    and while the agent sleeps waiting for a person. `attempt` counts deliveries.
    `waited` is time spent waiting for a person, which does not count against the turn's time limit.
    `concluding`: the agent has ended it; it is over once what it did to the workspace is recorded.
    """

    entry: Entry
    attempt: int = 0
    delivered: bool = False
    started_at: float = 0.0
    started_ms: int = 0
    ending: Ending | None = None
    ending_since: float = 0.0
    waiting_since: float | None = None
    waited: float = 0.0
    stream_open: bool = False
    stream_ended: bool = False
    errored: bool = False
    concluding: bool = False

    @property
    def can_be_steered(self) -> bool:
        """Whether nothing has begun to end it."""
        return self.ending is None and not self.concluding


class Placement(StrEnum):
    """What becomes of a message that was offered."""

    QUEUED = "queued"
    INTERRUPTING = "interrupting"
    """Queued before all others; the running turn is to be cancelled."""
    STEERING = "steering"
    """It joins the running turn and makes none of its own."""


class Fate(StrEnum):
    """What becomes of the running turn when its process is gone."""

    NONE = "none"
    RERUN = "rerun"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class TurnQueue:
    """Which turn runs, and which messages wait."""

    def __init__(self, limit: int = QUEUE_MAX_MESSAGES) -> None:
        self.running: Running | None = None
        self._limit = limit
        self._waiting: deque[Entry] = deque()

    def __len__(self) -> int:
        """Messages that wait, without the running one."""
        return len(self._waiting)

    @property
    def has_work(self) -> bool:
        """Whether a turn runs or waits."""
        return self.running is not None or bool(self._waiting)

    def restore(self, running: Entry | None, attempt: int, waiting: Iterable[Entry]) -> None:
        """Takes over what the journal holds: the turn that was running and how often it was delivered, and the messages
        that wait, oldest first. Those that were delivered before go first, then interrupts, as they did."""
        self.running = None if running is None else Running(running, attempt)
        self._waiting = deque(sorted(waiting, key=lambda entry: (not entry.attempt, _goes_behind(entry))))

    def place(self, on_busy: OnBusy) -> Placement:
        """Where a new message goes now.

        Raises:
            PodiumError: `busy` (`reject` while a turn runs or waits), `quota_exceeded` (the queue is full).
        """
        if self.has_work and on_busy == "reject":
            raise PodiumError(
                ErrorCode.BUSY,
                "a turn is running; send it again when it is over, or let it queue",
            )
        if self.running is not None and self.running.can_be_steered and on_busy == "steer":
            return Placement.STEERING
        if len(self._waiting) >= self._limit:
            raise PodiumError(
                ErrorCode.QUOTA_EXCEEDED,
                f"{self._limit} messages wait already; try again later",
                retry_after=1.0,
            )
        if self.running is not None and on_busy == "interrupt":
            return Placement.INTERRUPTING
        return Placement.QUEUED

    def add(self, entry: Entry, placement: Placement) -> None:
        """Puts a message that was placed `QUEUED` or `INTERRUPTING` into line; interrupts go before the others."""
        if placement is Placement.INTERRUPTING:
            ahead = sum(1 for waiting in self._waiting if not _goes_behind(waiting))
            self._waiting.insert(ahead, entry)
        else:
            self._waiting.append(entry)

    def start_next(self) -> Running | None:
        """Makes the next waiting message the running turn if none runs; None when there is nothing to start."""
        if self.running is not None or not self._waiting:
            return None
        entry = self._waiting.popleft()
        self.running = Running(entry, entry.attempt)
        return self.running

    def deliver(self, now: float, now_ms: int) -> Running | None:
        """The running turn's message goes to a new process; None when there is none to send."""
        running = self.running
        if running is None or running.delivered:
            return None
        running.attempt += 1
        running.delivered = True
        running.started_at, running.started_ms = now, now_ms
        running.waiting_since, running.waited = None, 0.0
        running.stream_open = running.stream_ended = running.errored = False
        return running

    def end(self) -> None:
        """The running turn is over."""
        self.running = None

    def remove(self, turn_id: str) -> Entry | None:
        """Takes a waiting turn out of line; None when it does not wait."""
        for entry in self._waiting:
            if entry.turn_id == turn_id:
                self._waiting.remove(entry)
                return entry
        return None

    def ask_end(self, ending: Ending, now: float) -> bool:
        """Notes that the running turn is to end; False when it was told already. The first reason counts."""
        running = self.running
        if running is None or not running.can_be_steered:
            return False
        running.ending, running.ending_since = ending, now
        return True

    def process_lost(self) -> Fate:
        """The process is gone: what to do about the turn. After `RERUN` it is to be delivered to the next process."""
        running = self.running
        if running is None or running.concluding:
            return Fate.NONE
        if running.ending is not None:
            return Fate(running.ending.value)
        running.delivered = False
        running.waiting_since = None
        return Fate.RERUN


def _goes_behind(entry: Entry) -> bool:
    """Whether interrupts go before it. Before a turn that was begun already none does."""
    return not entry.attempt and entry.on_busy != "interrupt"


def waiting_began(running: Running, now: float) -> None:
    """A request of the turn is open: the turn's clock stands still."""
    if running.waiting_since is None:
        running.waiting_since = now


def waiting_ended(running: Running, now: float) -> None:
    """No request of the turn is open any more: the turn's clock goes on."""
    if running.waiting_since is not None:
        running.waited += now - running.waiting_since
        running.waiting_since = None


def must_act_at(running: Running, turn_timeout: float) -> float | None:
    """When (monotonic seconds) something must be done about the running turn: its limit, or the end of a grace."""
    if not running.delivered or running.concluding:
        return None
    if running.ending is not None:
        return running.ending_since + CANCEL_GRACE_SECONDS
    if running.waiting_since is not None:
        return None
    return running.started_at + running.waited + turn_timeout
