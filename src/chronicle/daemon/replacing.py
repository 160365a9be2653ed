"""When a worker that died is replaced, and when its mount is given up. A pure decision."""

from collections.abc import Sequence
from typing import Final

DEATHS: Final = 5
"""So many deaths within `WITHIN_SECONDS` and the mount is given up: what kills it will kill the next one, too."""

WITHIN_SECONDS: Final = 30.0

_PAUSES: Final = (0.0, 0.05, 0.2, 0.5)
"""Seconds before the first, second, … replacement in a row: the first is at once, so that the mount is back within a second."""


def pause_before_next(deaths: Sequence[float]) -> float | None:
    """Seconds to wait before the next worker is started; None: give the mount up.

    Args:
        deaths: when workers of this mount died, in seconds of a monotonic clock, the newest last.
    """
    recent = recent_deaths(deaths)
    if len(recent) >= DEATHS:
        return None
    return _PAUSES[min(len(recent), len(_PAUSES)) - 1]


def recent_deaths(deaths: Sequence[float]) -> list[float]:
    """Those that still count: not more than `WITHIN_SECONDS` before the newest."""
    return [when for when in deaths if deaths[-1] - when <= WITHIN_SECONDS]
