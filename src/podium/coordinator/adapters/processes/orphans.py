"""Finds and ends what an earlier coordinator of the same data directory left behind."""

import os
import time
from pathlib import Path
from typing import Final

from podium.coordinator.adapters.processes.tree import is_alive, kill_all

MARK_VARIABLE: Final = "PODIUM_HOST_MARK"
"""Environment variable every process of a host carries; its value names the data directory."""

ROUND_SECONDS: Final = 0.01
"""Pause between two rounds."""


def marked(mark: str) -> list[int]:
    """Living processes, beside this one, that carry `mark`. Those of other users can't be seen by an ordinary user."""
    wanted = f"{MARK_VARIABLE}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0") and is_alive(int(name)):
            found.append(int(name))
    return found


def end_orphans(mark: str, seconds: float) -> tuple[int, list[int]]:
    """Kills marked processes until there are none. Blocking. Returns how many were seen, and who is left after `seconds`."""
    end = time.monotonic() + seconds
    seen: set[int] = set()
    while True:
        found = marked(mark)
        seen.update(found)
        if not found or time.monotonic() > end:
            return len(seen), found
        kill_all(found)
        time.sleep(ROUND_SECONDS)
