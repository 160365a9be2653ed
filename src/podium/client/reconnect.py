"""What a client does when its stream ends. Pure."""

from enum import Enum
from typing import Final

from podium.client.retry import RetryPolicy
from podium.wire.close import CloseCode

RECONNECT: Final = RetryPolicy(first=0.1, longest=5.0, retries=1_000_000)
"""Waits between tries to get a lost stream back."""

GIVE_UP_SECONDS: Final = 300.0
"""A stream that can't be had back for this long ends with an error."""

SHORT_LIFE_SECONDS: Final = 1.0
"""A connection that lived less long counts as a failed try, so that a server that drops everyone is not hammered."""


class Next(Enum):
    """What follows the end of a connection."""

    AT_ONCE = "at_once"
    LATER = "later"
    END = "end"


_FINAL = frozenset(
    {
        CloseCode.TOO_LARGE,
        CloseCode.BAD_FRAMES,
        CloseCode.UNAUTHENTICATED,
        CloseCode.NOT_FOUND,
        CloseCode.STOPPED,
        CloseCode.RESUME_GONE,
    }
)
_AT_ONCE = frozenset({CloseCode.MOVING, CloseCode.SLOW_CONSUMER})


def after_close(code: int | None) -> Next:
    """What to do after a connection closed with `code`; None: it broke without one."""
    if code in _FINAL:
        return Next.END
    return Next.AT_ONCE if code in _AT_ONCE else Next.LATER


def wait_before(attempt: int, following: Next, chance: float) -> float:
    """Seconds before try number `attempt` (from 1)."""
    if following is Next.AT_ONCE and attempt == 1:
        return 0.0
    return RECONNECT.delay(attempt, chance) or 0.0
