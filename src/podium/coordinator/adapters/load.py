"""How busy this host's processors are, and how full its memory is."""

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


def memory_in_use() -> int:
    """Bytes of memory in use on this host: all but what can be had without swapping (proc(5), MemAvailable).

    What agents may use together (their limits) says little: most of them idle at a few MiB.
    """
    handle = os.open("/proc/meminfo", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fields = dict(line.split(b":", 1) for line in os.read(handle, 4096).splitlines() if b":" in line)
    finally:
        os.close(handle)
    total, available = (int(fields[name].split()[0]) for name in (b"MemTotal", b"MemAvailable"))
    return (total - available) * 1024


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
