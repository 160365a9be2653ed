"""When a process that ended by itself is started again, and when not any more.

At most `attempts` restarts within a window; each waits twice as long as the one before, from `backoff`. A process that
stayed up for a whole window starts the count anew.
"""

from typing import NamedTuple

from podium.wire.manifest import Restart


class Again(NamedTuple):
    """Start another process after `wait` seconds; `history` is what to pass next time."""

    wait: float
    history: tuple[float, ...]


class GiveUp(NamedTuple):
    """The instance has failed; `reason` is for people."""

    reason: str


def decide(policy: Restart, history: tuple[float, ...], now: float) -> Again | GiveUp:
    """What to do about a process that ended at `now` (monotonic seconds), given the times of earlier restarts."""
    window = policy.window_ms / 1000
    recent = tuple(moment for moment in history if now - moment < window)
    if len(recent) >= policy.attempts:
        return GiveUp(f"the process ended again after {len(recent)} restarts within {window:g} s")
    return Again(policy.backoff_ms / 1000 * 2 ** len(recent), (*recent, now))
