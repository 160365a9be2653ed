"""The states of a session, and which may follow which.

A session is one conversation of a person with an agent. It outlives connections, instances and Diminuendo itself; its state
says whether an instance of the agent is there for it right now.
"""

from enum import StrEnum
from typing import Final


class SessionState(StrEnum):
    """Where a session is."""

    INACTIVE = "inactive"
    """There is no instance; a turn makes one."""
    ACTIVATING = "activating"
    """An instance is being made, or looked for after a restart."""
    READY = "ready"
    """The agent waits for a message."""
    RUNNING = "running"
    """A turn runs."""
    WAITING = "waiting"
    """A turn runs and waits for a person's answer."""
    DEACTIVATING = "deactivating"
    """The instance is being stopped."""
    ERROR = "error"
    """No instance could be made; the next turn tries again."""


_S = SessionState

MOVES: Final[dict[SessionState, frozenset[SessionState]]] = {
    _S.INACTIVE: frozenset({_S.ACTIVATING}),
    _S.ACTIVATING: frozenset({_S.READY, _S.RUNNING, _S.WAITING, _S.ERROR, _S.DEACTIVATING, _S.INACTIVE}),
    _S.READY: frozenset({_S.RUNNING, _S.WAITING, _S.DEACTIVATING, _S.INACTIVE}),
    _S.RUNNING: frozenset({_S.READY, _S.WAITING, _S.DEACTIVATING, _S.INACTIVE}),
    _S.WAITING: frozenset({_S.READY, _S.RUNNING, _S.DEACTIVATING, _S.INACTIVE}),
    _S.DEACTIVATING: frozenset({_S.INACTIVE}),
    _S.ERROR: frozenset({_S.ACTIVATING, _S.INACTIVE}),
}
"""Which state may follow which. An attached session comes straight to where its turn is; a lost instance leads to `inactive`."""

ATTACHED: Final = frozenset({_S.READY, _S.RUNNING, _S.WAITING})
"""States in which the session's instance can be talked to."""

SETTLED: Final = frozenset({_S.INACTIVE, _S.ERROR})
"""States that still hold after Diminuendo was restarted; the others are stale then, and are probed."""


class IllegalMoveError(Exception):
    """A machine wanted a move that `MOVES` does not know: a mistake in our code. `before` and `after` are states."""

    def __init__(self, before: SessionState, after: SessionState) -> None:
        super().__init__(f"a session can't go from {before} to {after}")
        self.before = before
        self.after = after


def check_move(before: SessionState, after: SessionState) -> None:
    """Raises `IllegalMoveError` unless `after` may follow `before`."""
    if after not in MOVES[before]:
        raise IllegalMoveError(before, after)
