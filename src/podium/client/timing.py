"""Time and chance as a parameter of the client."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Timing(NamedTuple):
    """What the client's resilience needs of the world."""

    monotonic: Callable[[], float]
    """Seconds that never go back."""
    sleep: Callable[[float], Awaitable[None]]
    """Waits that many seconds."""
    chance: Callable[[], float]
    """A number from 0 (included) to 1 (excluded), for jitter."""


def system_timing() -> Timing:
    """The host's clock, the event loop's sleep, the system's chance."""
    return Timing(time.monotonic, asyncio.sleep, random.random)
