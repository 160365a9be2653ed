"""When a daemon that died is started again. Pure."""

import os
import signal
from typing import Final, NamedTuple

from podium.cli.failures import EXIT_CONFIGURATION

STEADY_SECONDS: Final = 5.0
"""A daemon that lived this long was well; its next death begins a new count."""

FAILURES_MAX: Final = 5
"""Deaths in a row, each soon after a start, after which it is not started again."""

FIRST_FAILURES_MAX: Final = 2
"""The same for a platform that has never been ready: what does not start now will not start the fifth time."""

BACKOFF_SECONDS: Final = 0.1
BACKOFF_MAX_SECONDS: Final = 5.0


class Death(NamedTuple):
    """How a daemon ended. `code` is its exit code, or minus the signal that ended it."""

    code: int
    lived: float
    ever_ready: bool


class Restart(NamedTuple):
    """Start it again after `delay` seconds; `failures` is the count so far."""

    delay: float
    failures: int


class GiveUp(NamedTuple):
    """Do not start it again, because of `reason`."""

    reason: str


def after_death(failures: int, death: Death) -> Restart | GiveUp:
    """What follows a death that nobody asked for, after `failures` early deaths in a row before it."""
    if death.code == EXIT_CONFIGURATION:
        return GiveUp("its configuration is wrong")
    if death.code == os.EX_UNAVAILABLE and not death.ever_ready:
        return GiveUp("this host can't give what it needs")
    if death.lived >= STEADY_SECONDS or death.code == -signal.SIGKILL:
        # Killed from outside (a person, the kernel short of memory) says nothing about the daemon.
        return Restart(BACKOFF_SECONDS, 0)
    counted = failures + 1
    if counted >= (FAILURES_MAX if death.ever_ready else FIRST_FAILURES_MAX):
        return GiveUp(f"it ended {counted} times in a row soon after its start, last with {described(death.code)}")
    return Restart(min(BACKOFF_MAX_SECONDS, BACKOFF_SECONDS * 2**failures), counted)


def described(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
