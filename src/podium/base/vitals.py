"""How a daemon itself is: whether its event loop keeps up, what it takes of the host, how full its disk is."""

import asyncio
import os
import resource
import time
from collections import deque
from pathlib import Path
from typing import Final

from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner

TICK_SECONDS: Final = 0.5
"""How often the event loop is asked whether it is late."""

REMEMBERED_TICKS: Final = 30
"""The worst of so many ticks is told (15 s, the usual distance of two scrapes), so that a short hang is seen too."""

_PAGE_BYTES: Final = resource.getpagesize()


class Vitals:
    """Watches the process it is in. `start` it inside the event loop."""

    def __init__(self, metrics: Metrics, data: Path) -> None:
        self._tasks = TaskOwner("vitals")
        self._lags: deque[float] = deque([0.0], maxlen=REMEMBERED_TICKS)
        metrics.watch("loop_lag_seconds", lambda: max(self._lags))
        metrics.watch("process_cpu_seconds_total", time.process_time)
        metrics.watch("process_memory_bytes", _resident)
        metrics.watch("process_open_files", lambda: len(os.listdir("/proc/self/fd")))
        metrics.watch("process_open_files_limit", lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        metrics.watch("disk_free_ratio", lambda: disk_free(data))

    def start(self) -> None:
        """Begins to watch the loop."""
        self._tasks.start(self._tick(), "loop lag")

    async def close(self) -> None:
        """Ends."""
        await self._tasks.close()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._lags.append(max(0.0, loop.time() - due))


def disk_free(directory: Path) -> float:
    """Share of the disk that is free, 0 to 1. Of a directory that is not there yet, that of the one it will be made in."""
    try:
        disk = os.statvfs(directory)
    except FileNotFoundError:
        return disk_free(directory.parent)
    return disk.f_bavail / disk.f_blocks if disk.f_blocks else 1.0


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
