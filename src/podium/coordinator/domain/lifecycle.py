"""The life of an instance: which state follows which, as data.

```
deploying → initializing → ready ⇄ running ⇄ waiting
                 ▲           │
                 └── asleep ◄┘      any → stopping → terminated      any → failed
```
"""

from enum import StrEnum
from typing import Final

from podium.wire.status import OVER
from podium.wire.status import InstanceStatus as S


class Change(StrEnum):
    """What happened to an instance."""

    PREPARED = "prepared"
    """Deployment, workspace and stores are there; the process is being started."""
    READY = "ready"
    """`on_init` returned."""
    TURN_STARTED = "turn_started"
    REQUEST_OPENED = "request_opened"
    """The running turn waits for a person."""
    REQUESTS_CLOSED = "requests_closed"
    """Nothing the running turn asked is open any more."""
    TURN_ENDED = "turn_ended"
    PROCESS_LOST = "process_lost"
    """The process ended without being told to; another one is started."""
    SLEPT = "slept"
    """The process was told to end because it was idle; a person may have answered meanwhile, so it may be running."""
    WOKEN = "woken"
    HOST_LOST = "host_lost"
    """The coordinator itself went down and is back: no process is left."""
    STOP = "stop"
    GONE = "gone"
    """Nothing of the process is left after a stop."""
    GAVE_UP = "gave_up"
    """The restart policy is exhausted, or the instance can't go on."""


class ForbiddenChangeError(Exception):
    """A change that makes no sense in the state the instance is in; always a bug of the caller."""


_LINKED: Final = frozenset({S.INITIALIZING, S.READY, S.RUNNING, S.WAITING})
"""States in which a process is there or being started."""

_GOING: Final = frozenset(S) - OVER - {S.STOPPING}
"""States from which an instance may still be stopped or fail."""

TRANSITIONS: Final[dict[tuple[S, Change], S]] = {
    (S.DEPLOYING, Change.PREPARED): S.INITIALIZING,
    (S.INITIALIZING, Change.READY): S.READY,
    (S.READY, Change.TURN_STARTED): S.RUNNING,
    (S.RUNNING, Change.REQUEST_OPENED): S.WAITING,
    (S.WAITING, Change.REQUESTS_CLOSED): S.RUNNING,
    (S.RUNNING, Change.TURN_ENDED): S.READY,
    (S.WAITING, Change.TURN_ENDED): S.READY,
    (S.READY, Change.SLEPT): S.ASLEEP,
    (S.WAITING, Change.SLEPT): S.ASLEEP,
    (S.RUNNING, Change.SLEPT): S.ASLEEP,
    (S.ASLEEP, Change.WOKEN): S.INITIALIZING,
    (S.STOPPING, Change.GONE): S.TERMINATED,
    **{(state, Change.PROCESS_LOST): S.INITIALIZING for state in _LINKED},
    **{(state, Change.HOST_LOST): S.ASLEEP for state in _LINKED | {S.ASLEEP}},
    **{(state, Change.STOP): S.STOPPING for state in _GOING},
    **{(state, Change.GAVE_UP): S.FAILED for state in _GOING},
}
"""(state, change) → next state. What is absent is forbidden."""


def after(status: S, change: Change) -> S:
    """The state that follows `status` when `change` happens.

    Raises:
        ForbiddenChangeError: the table has no such transition.
    """
    following = TRANSITIONS.get((status, change))
    if following is None:
        raise ForbiddenChangeError(f"{change.value} can't happen to an instance that is {status.value}")
    return following


def allows(status: S, change: Change) -> bool:
    """Whether `change` may happen in `status`."""
    return (status, change) in TRANSITIONS
