"""One heap of alarms for all instances: a host with 500 idle agents has one timer of the event loop, not 500."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

from podium.base.clock import Clock


class Alarm:
    """Rings once at a moment; setting it to a later moment than it already has costs nothing until the earlier one."""

    __slots__ = ("_callback", "_timers", "scheduled", "wanted")

    def __init__(self, timers: "Timers", callback: Callable[[], None]) -> None:
        self._timers = timers
        self._callback = callback
        self.wanted: float | None = None
        self.scheduled: float | None = None

    def set(self, moment: float | None) -> None:
        """Rings at `moment` (monotonic seconds) and only then; None: not at all."""
        self.wanted = moment
        if moment is not None and (self.scheduled is None or moment < self.scheduled):
            self.scheduled = moment
            self._timers.push(moment, self)

    def reached(self, moment: float, now: float) -> None:
        """An entry of the heap came due; rings, or goes back to the heap when a later moment is wanted by now."""
        if moment != self.scheduled:
            return
        self.scheduled = None
        if self.wanted is None:
            return
        if self.wanted > now:
            self.set(self.wanted)
            return
        self.wanted = None
        self._callback()


class Timers:
    """The heap behind all alarms."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def __len__(self) -> int:
        """Entries in the heap."""
        return len(self._heap)

    def alarm(self, callback: Callable[[], None]) -> Alarm:
        """A new alarm, not set yet. The callback must not raise."""
        return Alarm(self, callback)

    def push(self, moment: float, alarm: Alarm) -> None:
        """Puts an alarm into the heap (called by the alarm)."""
        heapq.heappush(self._heap, (moment, next(self._numbers), alarm))
        if moment < self._armed_for:
            self._arm()

    def run_due(self) -> None:
        """Rings everything that is due now."""
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            moment, _, alarm = heapq.heappop(self._heap)
            alarm.reached(moment, now)
        self._arm()

    def close(self) -> None:
        """Nothing rings any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._heap.clear()
        self._armed_for = float("-inf")

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed_for = self._heap[0][0] if self._heap else float("inf")
        if self._heap:
            delay = max(0.0, self._armed_for - self._clock.monotonic())
            self._handle = asyncio.get_running_loop().call_later(delay, self.run_due)
