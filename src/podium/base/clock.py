"""Time as a parameter: wall time for what people read, monotonic time for durations."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where daemons get the time from."""

    def now_ms(self) -> int:
        """Wall time, epoch milliseconds. May jump; never used for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    """The host's clocks."""

    def now_ms(self) -> int:
        """Wall time, epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


class ManualClock:
    """A clock that moves when told to."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic = 0.0

    def now_ms(self) -> int:
        """Wall time, epoch milliseconds."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds moved so far."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Moves both clocks on."""
        self._now_ms += round(seconds * 1000)
        self._monotonic += seconds
