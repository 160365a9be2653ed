"""The last part of a disk, which nobody's files may take: history, journals and other programs still need it."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

VARIABLE: Final = "CHRONICLE_DISK_RESERVE"
"""Share of the disk that files may not take, such as `2%`; none by default."""

LOOK_SECONDS: Final = 0.25
"""How long what was seen is believed: a disk is not filled within it, and looking costs two microseconds."""


class Reserve:
    """Tells whether the disk below an open directory is down to its reserve. `share`: 0 to 1, 0: there is none."""

    def __init__(self, directory_fd: int, share: float, now: Callable[[], float] = time.monotonic) -> None:
        self._directory_fd = directory_fd
        self._share = share
        self._now = now
        self._until = float("-inf")
        self._reached = False
        self._lock = threading.Lock()

    def is_reached(self) -> bool:
        """Whether nothing more may be written."""
        if not self._share:
            return False
        with self._lock:
            if self._now() >= self._until:
                disk = os.fstatvfs(self._directory_fd)
                self._reached = disk.f_bavail < disk.f_blocks * self._share
                self._until = self._now() + LOOK_SECONDS
            return self._reached


def share_in(environment: Mapping[str, str]) -> float:
    """What the environment says.

    Raises:
        ValueError: it is no share of less than half of the disk.
    """
    return parse_share(environment.get(VARIABLE) or "0%")


def parse_share(text: str) -> float:
    """`2%` as 0.02.

    Raises:
        ValueError: it is no share of less than half of the disk.
    """
    number = text.removesuffix("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = -1.0
    if number == text or not 0 <= share < 0.5:
        raise ValueError(f"{text!r} is no share of a disk; write a percentage below 50, such as 2%")
    return share
