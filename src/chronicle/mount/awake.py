"""Keeps processors from sleeping while requests come in quick succession: waking one can cost more than answering.

A round trip through the filesystem wakes two sleepers: this process, then who asked. On a virtual machine a processor that
sleeps has been given back to the host, and waking it takes 50 to 100 microseconds where answering takes 15. The kernel lets a
process say that it can't afford that: a zero in `/dev/cpu_dma_latency` holds until it is taken back or the process ends
(Linux, Documentation/power/pm_qos_interface.rst). Idle processors then look for work instead of sleeping, which costs
power, or a share of the host's processor: hence only while a burst lasts, and by itself only on machines with few processors.
"""

import logging
import os
import struct
import threading
import time
from typing import Final, Literal

_log = logging.getLogger(__name__)

DEVICE: Final = "/dev/cpu_dma_latency"
"""Where the kernel hears what latency, in microseconds, is bearable. For root only, unless the host decided otherwise."""

MOST_PROCESSORS: Final = 16
"""With more, keeping all of them awake for one workspace is out of proportion, unless it is asked for."""

BURST: Final = 8
"""So many requests within `PAUSE_SECONDS` are a burst; fewer than half as many are its end."""

PAUSE_SECONDS: Final = 0.01
"""How long after a burst processors may sleep again, at the latest twice this."""

_NO_SLEEP: Final = struct.pack("=i", 0)
_ANY: Final = struct.pack("=i", 2_000_000_000)
"""The kernel's own default: 2,000 seconds, no wish at all."""

KeepAwake = Literal["off", "auto", "on"]
"""`auto`: where the machine has at most `MOST_PROCESSORS`; `on`: on any; both only where the kernel lets us."""


class Awake:
    """Call `served` after each request; `count` of them were served. Any thread may; counting may miss one, which only moves the
    border of a burst."""

    def __init__(self, wanted: KeepAwake, device: str = DEVICE) -> None:
        self.held = False
        self._fd = _opened(wanted, device)
        self.count = 0
        self._look_at = BURST if self._fd >= 0 else 1 << 62
        self._looked = 0.0
        self._bell = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._ending = False
        self._watcher: threading.Thread | None = None

    @property
    def possible(self) -> bool:
        """Whether it is wanted and the kernel lets us."""
        return self._fd >= 0

    def served(self) -> None:
        """One more request was answered."""
        self.count += 1
        if self.count >= self._look_at:
            self._look()

    def close(self) -> None:
        """Lets processors sleep; nothing is held afterwards."""
        with self._lock:
            self._ending = True
        self._bell.release()
        if self._watcher is not None:
            self._watcher.join()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _look(self) -> None:
        now = time.monotonic()
        with self._lock:
            if self.held or self._ending:
                return
            quick = now - self._looked < PAUSE_SECONDS
            self._looked, self._look_at = now, self.count + BURST
            if not quick or not self._say(_NO_SLEEP):
                return
            self.held, self._look_at = True, 1 << 62
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="chronicle-awake", daemon=True)
                self._watcher.start()
        self._bell.release()

    def _watch(self) -> None:
        """Its own thread: asleep but for the length of a burst."""
        while True:
            self._bell.acquire()
            while True:
                before = self.count
                time.sleep(PAUSE_SECONDS)
                if self._ending or self.count - before < BURST // 2:
                    break
            with self._lock:
                self._say(_ANY)
                self.held, self._look_at = False, self.count + BURST
                if self._ending:
                    return

    def _say(self, latency: bytes) -> bool:
        try:
            os.write(self._fd, latency)
        except OSError as error:
            _log.warning("processors can't be kept awake", extra={"reason": str(error)})
            self._look_at = 1 << 62
            return False
        return True


def _opened(wanted: KeepAwake, device: str) -> int:
    if wanted == "off" or (wanted == "auto" and (os.cpu_count() or 1) > MOST_PROCESSORS):
        return -1
    try:
        fd = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        os.write(fd, _ANY)
    except OSError:
        os.close(fd)
        return -1
    return fd
