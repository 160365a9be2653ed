"""The life of one session as a state machine: events in, decisions out.

However many ask for the session's instance at once, one is made, and all wait for it. An instance nobody used for a while is
stopped; the next who needs it gets a new one of the same agent. After a restart of Diminuendo the machine is made from what the
registry remembers, and asks whether the instance survived.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from diminuendo.domain.sessions import ATTACHED, SETTLED, SessionState, check_move

IDLE_MS: Final = 30 * 60 * 1000
"""How long a ready session keeps its instance unused: longer than a pause for thought, shorter than a lunch. Our choice."""

WAITERS_MAX: Final = 100
"""How many may wait for one activation; a client that sends more turns than that into a session in the making is refused."""


class Event(msgspec.Struct, frozen=True):
    """Base of what happens to a session. What is told of another instance than the present one comes too late, and counts
    for nothing."""


class Needed(Event, frozen=True):
    """Somebody (`waiter`, a name the caller chose) needs the instance. Answered by `Proceed` or `Refuse`, now or later."""

    waiter: str
    now_ms: int


class Created(Event, frozen=True):
    """`Create` made the instance."""

    instance_id: str


class Attached(Event, frozen=True):
    """`Connect` is through: events come from now on."""

    instance_id: str
    now_ms: int


class ActivationFailed(Event, frozen=True):
    """`Create` (`instance_id` None) or `Connect` failed for good. `message` is for a person, without secrets."""

    instance_id: str | None
    message: str


class TurnBegan(Event, frozen=True):
    """The agent took up a turn."""

    turn_id: str


class TurnOver(Event, frozen=True):
    """The turn ended, however."""

    now_ms: int


class Asked(Event, frozen=True):
    """The agent asks for an answer or a permission."""

    request_id: str


class Resolved(Event, frozen=True):
    """A request has its answer."""

    request_id: str


class Lost(Event, frozen=True):
    """The instance is gone and can't be attached to again. `reason` is for a person."""

    instance_id: str
    reason: str


class StillThere(Event, frozen=True):
    """A process of the agent ended, its instance goes on. Clients were told `terminated`: they are told the state again."""

    instance_id: str


class LetGo(Event, frozen=True):
    """The instance is to be stopped now: the session is archived or deleted, or Diminuendo is told to."""

    reason: str


class IdleCheck(Event, frozen=True):
    """The moment of `IdleAt` has come."""

    now_ms: int


class Stopped(Event, frozen=True):
    """`Stop` is done with, successfully or not: Podium puts what is left to sleep by itself."""

    instance_id: str


class Probed(Event, frozen=True):
    """What `Probe` found."""

    instance_id: str
    alive: bool


class Decision(msgspec.Struct, frozen=True):
    """Base of what is to be done."""


class Enter(Decision, frozen=True):
    """The session is in `state` now: write it down together with `instance_id`, then tell the clients."""

    state: SessionState
    instance_id: str | None


class Create(Decision, frozen=True):
    """Make an instance of the session's agent; report `Created` or `ActivationFailed`."""


class Connect(Decision, frozen=True):
    """Connect to the instance behind the last event that was stored; report `Attached` or `ActivationFailed`."""

    instance_id: str


class Probe(Decision, frozen=True):
    """Ask whether the instance is alive; report `Probed`."""

    instance_id: str


class Stop(Decision, frozen=True):
    """Drop the connection to the instance, if any, and stop it; report `Stopped`."""

    instance_id: str


class Proceed(Decision, frozen=True):
    """The instance is there for `waiter`."""

    waiter: str


class Refuse(Decision, frozen=True):
    """`waiter` gets an error with this code of the client protocol."""

    waiter: str
    code: str
    message: str


class CutTurn(Decision, frozen=True):
    """The turn will not end by itself any more: tell the clients `turn_error` with this code and message."""

    turn_id: str
    code: str
    message: str


class IdleAt(Decision, frozen=True):
    """Report `IdleCheck` at this time, epoch milliseconds. Replaces an earlier `IdleAt`."""

    at_ms: int


class SessionLife:
    """The machine of one session. `instance_id`, `turn_id` and `asked` are what the registry and the session's database
    remembered; for a new session there is nothing."""

    def __init__(
        self,
        state: SessionState = SessionState.INACTIVE,
        instance_id: str | None = None,
        turn_id: str | None = None,
        asked: frozenset[str] = frozenset(),
        idle_ms: int = IDLE_MS,
    ) -> None:
        self.state = state
        self.instance_id = None if state in SETTLED else instance_id
        self.turn_id = turn_id
        self.asked = set(asked)
        self._idle_ms = idle_ms
        self._used_ms = 0
        self._waiters: list[str] = []
        self._decided: list[Decision] = []

    def recover(self) -> list[Decision]:
        """What is to be done first when Diminuendo starts and the session was in `state`."""
        if self.state is SessionState.DEACTIVATING and self.instance_id is not None:
            self._decided.append(Stop(self.instance_id))
        elif self.state not in SETTLED:
            if self.instance_id is None:
                self._gone("the session was interrupted")
            else:
                # Until the answer is there it is as if the instance was being made: whoever needs it waits.
                if self.state is not SessionState.ACTIVATING:
                    self.state = SessionState.ACTIVATING
                    self._decided.append(Enter(self.state, self.instance_id))
                self._decided.append(Probe(self.instance_id))
        return self._taken()

    def handle(self, event: Event) -> list[Decision]:
        """What follows from `event`, in the order in which it is to be done."""
        _HANDLERS[type(event)](self, event)
        return self._taken()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────

    def _needed(self, event: Needed) -> None:
        self._used_ms = event.now_ms
        if self.state in ATTACHED:
            self._decided.append(Proceed(event.waiter))
        elif len(self._waiters) >= WAITERS_MAX:
            self._decided.append(Refuse(event.waiter, "RATE_LIMITED", "too many wait for this session already"))
        else:
            self._waiters.append(event.waiter)
            if self.state in SETTLED:
                self._activate()

    def _created(self, event: Created) -> None:
        if self.state is SessionState.ACTIVATING:
            self.instance_id = event.instance_id
            # Written down before it is used, so that a crash from here on leaves nothing behind that nobody knows of.
            self._decided += [Enter(self.state, event.instance_id), Connect(event.instance_id)]
        else:  # let go of while it was made
            self.instance_id = event.instance_id
            self._decided.append(Stop(event.instance_id))

    def _attached(self, event: Attached) -> None:
        if self.state is SessionState.ACTIVATING and event.instance_id == self.instance_id:
            self._used_ms = max(self._used_ms, event.now_ms)
            self._enter(self._of_turn())
            self._decided += map(Proceed, self._waiters)
            self._waiters = []
            self._expect_idleness()

    def _activation_failed(self, event: ActivationFailed) -> None:
        if event.instance_id != self.instance_id:
            return
        if self.state is SessionState.ACTIVATING:
            stray, self.instance_id = self.instance_id, None
            self._cut("podium_unavailable", event.message)
            self._enter(SessionState.ERROR)
            self._refuse_all("PODIUM_UNAVAILABLE", event.message)
            if stray is not None:
                self._decided.append(Stop(stray))
        elif self.state is SessionState.DEACTIVATING and self.instance_id is None:
            self._gone("")

    def _turn_began(self, event: TurnBegan) -> None:
        self.turn_id = event.turn_id
        self._follow()

    def _turn_over(self, event: TurnOver) -> None:
        self.turn_id = None
        self.asked.clear()  # what a turn asked is over with it
        self._used_ms = max(self._used_ms, event.now_ms)
        self._follow()
        self._expect_idleness()

    def _asked(self, event: Asked) -> None:
        self.asked.add(event.request_id)
        self._follow()

    def _resolved(self, event: Resolved) -> None:
        self.asked.discard(event.request_id)
        self._follow()

    def _lost(self, event: Lost) -> None:
        if self.state in ATTACHED and event.instance_id == self.instance_id:
            self._gone(event.reason)

    def _still_there(self, event: StillThere) -> None:
        if self.state in ATTACHED and event.instance_id == self.instance_id:
            self._decided.append(Enter(self.state, self.instance_id))

    def _let_go(self, event: LetGo) -> None:
        if self.state is SessionState.ERROR:
            self._enter(SessionState.INACTIVE)
        elif self.state is not SessionState.INACTIVE:
            self._refuse_all("PODIUM_UNAVAILABLE", event.reason)
            if self.state is not SessionState.DEACTIVATING:
                self._stop(event.reason)

    def _idle_check(self, event: IdleCheck) -> None:
        if self.state is SessionState.READY:
            if event.now_ms >= self._used_ms + self._idle_ms:
                self._stop("the session was idle")
            else:
                self._expect_idleness()

    def _stopped(self, event: Stopped) -> None:
        if self.state is SessionState.DEACTIVATING and event.instance_id == self.instance_id:
            self._gone("")

    def _probed(self, event: Probed) -> None:
        if self.state is SessionState.ACTIVATING and event.instance_id == self.instance_id:
            if event.alive:
                self._decided.append(Connect(event.instance_id))
            else:
                self._gone("the agent's instance ended while nobody was connected to it")

    # ── what they have in common ─────────────────────────────────────────────────────────────────────────────

    def _enter(self, state: SessionState) -> None:
        check_move(self.state, state)
        self.state = state
        self._decided.append(Enter(state, self.instance_id))

    def _of_turn(self) -> SessionState:
        """The state an attached session is in, by what is known of its turn."""
        if self.asked:
            return SessionState.WAITING
        return SessionState.READY if self.turn_id is None else SessionState.RUNNING

    def _follow(self) -> None:
        if self.state in ATTACHED and self._of_turn() is not self.state:
            self._enter(self._of_turn())

    def _activate(self) -> None:
        self._enter(SessionState.ACTIVATING)
        self._decided.append(Create())

    def _stop(self, reason: str) -> None:
        """Towards `inactive`, by stopping what is there. Without an instance yet, `Create` still runs and reports."""
        self._cut("session_deactivated", reason)
        self._enter(SessionState.DEACTIVATING)
        if self.instance_id is not None:
            self._decided.append(Stop(self.instance_id))

    def _gone(self, reason: str) -> None:
        """There is no instance any more. Whoever waited gets another one."""
        self.instance_id = None
        self._cut("instance_lost", reason)
        self._enter(SessionState.INACTIVE)
        if self._waiters:
            self._activate()

    def _cut(self, code: str, message: str) -> None:
        if self.turn_id is not None:
            self._decided.append(CutTurn(self.turn_id, code, message))
        self.turn_id = None
        self.asked.clear()

    def _refuse_all(self, code: str, message: str) -> None:
        self._decided += [Refuse(waiter, code, message) for waiter in self._waiters]
        self._waiters = []

    def _expect_idleness(self) -> None:
        if self.state is SessionState.READY:
            self._decided.append(IdleAt(self._used_ms + self._idle_ms))

    def _taken(self) -> list[Decision]:
        decided, self._decided = self._decided, []
        return decided


_HANDLERS: Final[dict[type[Event], Callable[[SessionLife, Any], None]]] = {
    Needed: SessionLife._needed,
    Created: SessionLife._created,
    Attached: SessionLife._attached,
    ActivationFailed: SessionLife._activation_failed,
    TurnBegan: SessionLife._turn_began,
    TurnOver: SessionLife._turn_over,
    Asked: SessionLife._asked,
    Resolved: SessionLife._resolved,
    Lost: SessionLife._lost,
    StillThere: SessionLife._still_there,
    LetGo: SessionLife._let_go,
    IdleCheck: SessionLife._idle_check,
    Stopped: SessionLife._stopped,
    Probed: SessionLife._probed,
}
