"""How busy this host's processors are."""

import os

from podium.base.clock import Clock

WINDOW_SECONDS = 1.0
"""Shortest time between two measurements; asked sooner, the last one is given again."""


class Meter:
    """Measures the load of all processors since it was asked last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._busy, self._total = _processor_times()
        self._share = 0.0

    def cpu(self) -> float:
        """Share of all processors in use, 0 to 1; 0 where the system does not tell."""
        now = self._clock.monotonic()
        if now - self._at < WINDOW_SECONDS:
            return self._share
        busy, total = _processor_times()
        if total > self._total:
            self._share = round((busy - self._busy) / (total - self._total), 3)
        self._at, self._busy, self._total = now, busy, total
        return self._share


def _processor_times() -> tuple[int, int]:
    """Ticks all processors were busy, and all ticks, since the system started (proc(5), /proc/stat, first line)."""
    try:
        handle = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        first = os.read(handle, 256).split(b"\n", 1)[0].split()[1:9]
    finally:
        os.close(handle)
    ticks = [int(field) for field in first]
    idle = ticks[3] + ticks[4] if len(ticks) > 4 else 0
    return sum(ticks) - idle, sum(ticks)
