"""How a connection begins, as a state machine: greeted, authenticated within ten seconds, or closed.

```
>> Opened            << Send(welcome) << Send(connected) << DeadlineIn(10 s)
>> Heard(authenticate)  << CheckToken
>> TokenGood         << Send(authenticated) << Admit << DeadlineIn(until the token ends)
>> Heard(anything)   << Pass
```

What comes while a token is being checked waits for the outcome: a client need not wait for it. A client may authenticate again, as the same person, to bring a fresh token before the old one ends.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from diminuendo.protocol.answers import Authenticated, Connected, Error, Identity, ServerMessage, Welcome
from diminuendo.protocol.errors import Code
from diminuendo.protocol.limits import AUTHENTICATE_MS, AUTHENTICATE_TRIES, PROTOCOL_VERSION
from diminuendo.protocol.messages import Authenticate, ClientMessage

CLOSE_UNAUTHENTICATED: Final = 4401
"""Close code: no valid token in time, or it has ended. The same number as Podium's own stream uses."""

HELD_MAX: Final = 8
"""Messages that wait for the outcome of a token: as many as a client says at its start; more would be memory for strangers."""

CLOSE_VERSION: Final = 4400
"""Close code: the client speaks another version."""


class Event(msgspec.Struct, frozen=True):
    """Base of what happens to a connection."""


class Opened(Event, frozen=True):
    """The WebSocket is open. `now_ms` is epoch milliseconds."""

    client_id: str
    now_ms: int


class Heard(Event, frozen=True):
    """A message came. `wait_ms`: how long the client's address may not try a token (0: it may)."""

    message: ClientMessage
    wait_ms: int = 0


class TokenGood(Event, frozen=True):
    """What `CheckToken` gave is valid, for `left_ms` milliseconds (None: for ever)."""

    identity: Identity
    left_ms: int | None = None


class TokenBad(Event, frozen=True):
    """What `CheckToken` gave is not valid. `message` is for the client: it names no secret."""

    message: str


class Deadline(Event, frozen=True):
    """The time of `DeadlineIn` is over."""


class Decision(msgspec.Struct, frozen=True):
    """Base of what is to be done."""


class Send(Decision, frozen=True):
    """Send this message."""

    message: ServerMessage


class CheckToken(Decision, frozen=True):
    """Find out whose token it is; report `TokenGood` or `TokenBad`."""

    token: str


class Admit(Decision, frozen=True):
    """From now on the connection is this person's; also after a fresh token, which may have changed the role."""

    identity: Identity


class Pass(Decision, frozen=True):
    """The message is for whoever handles those of an admitted client."""

    message: ClientMessage


class DeadlineIn(Decision, frozen=True):
    """Report `Deadline` after so many milliseconds; replaces an earlier one. None: never."""

    after_ms: int | None


class Close(Decision, frozen=True):
    """Close the connection."""

    code: int
    reason: str


class _Phase(Enum):
    OUTSIDE = auto()
    ADMITTED = auto()
    CLOSED = auto()


class Handshake:
    """The machine of one connection. `local`: who a client is where no authentication is asked for; None: it is."""

    def __init__(self, local: Identity | None = None) -> None:
        self._local = local
        self._phase = _Phase.OUTSIDE
        self._identity: Identity | None = None
        self._checking: Authenticate | None = None
        self._held: list[ClientMessage] = []
        self._tries = 0

    def handle(self, event: Event) -> list[Decision]:
        """What follows from `event`, in the order in which it is to be done. After `Close` nothing follows from anything."""
        if self._phase is _Phase.CLOSED:
            return []
        decided = _HANDLERS[type(event)](self, event)
        if any(isinstance(decision, Close) for decision in decided):
            self._phase = _Phase.CLOSED
        return decided

    def _opened(self, event: Opened) -> list[Decision]:
        greeting: list[Decision] = [
            Send(Welcome(requires_auth=self._local is None)),
            Send(Connected(client_id=event.client_id, ts=event.now_ms)),
        ]
        if self._local is None:
            return [*greeting, DeadlineIn(AUTHENTICATE_MS)]
        return [*greeting, *self._admitted(self._local, UNSET, None)]

    def _heard(self, event: Heard) -> list[Decision]:
        message = event.message
        if not isinstance(message, Authenticate):
            if self._phase is _Phase.ADMITTED:
                return [Pass(message)]
            if self._checking is not None and len(self._held) < HELD_MAX:
                self._held.append(message)
                return []
            return [_error(Code.UNAUTHENTICATED, "authenticate first", message.request_id)]
        if message.protocol_version not in (UNSET, PROTOCOL_VERSION):
            text = f"this is version {PROTOCOL_VERSION} of the protocol"
            return [
                _error(Code.PROTOCOL_VERSION_MISMATCH, text, message.request_id),
                Close(CLOSE_VERSION, Code.PROTOCOL_VERSION_MISMATCH),
            ]
        if self._local is not None:
            return [Send(Authenticated(identity=self._local, request_id=message.request_id))]
        if self._checking is not None:
            return [_error(Code.INVALID_MESSAGE, "the token before is still being checked", message.request_id)]
        if event.wait_ms:
            text = "too many failed tries from this address"
            return [_error(Code.AUTH_RATE_LIMITED, text, message.request_id, event.wait_ms)]
        self._checking = message
        return [CheckToken(message.token)]

    def _token_good(self, event: TokenGood) -> list[Decision]:
        request_id = self._answered()
        before = self._identity
        if before is not None and (before.user_id, before.tenant_id) != (
            event.identity.user_id,
            event.identity.tenant_id,
        ):
            return self._turned_away("the new token is somebody else's", request_id)
        return self._admitted(event.identity, request_id, event.left_ms)

    def _token_bad(self, event: TokenBad) -> list[Decision]:
        request_id = self._answered()
        self._tries += 1
        if self._tries >= AUTHENTICATE_TRIES:
            return self._turned_away(event.message, request_id)
        return [_error(Code.AUTH_FAILED, event.message, request_id), *self._refused()]

    def _deadline(self, _: Deadline) -> list[Decision]:
        ended = self._phase is _Phase.ADMITTED
        return self._turned_away("the token has ended" if ended else "no valid token within 10 seconds", UNSET)

    def _admitted(self, identity: Identity, request_id: str | UnsetType, left_ms: int | None) -> list[Decision]:
        self._phase = _Phase.ADMITTED
        self._identity = identity
        self._tries = 0
        said = Send(Authenticated(identity=identity, request_id=request_id))
        held, self._held = self._held, []
        return [said, Admit(identity), DeadlineIn(left_ms), *map(Pass, held)]

    def _refused(self) -> list[Decision]:
        held, self._held = self._held, []
        return [_error(Code.UNAUTHENTICATED, "authenticate first", message.request_id) for message in held]

    def _turned_away(self, text: str, request_id: str | UnsetType) -> list[Decision]:
        return [_error(Code.AUTH_FAILED, text, request_id), Close(CLOSE_UNAUTHENTICATED, Code.AUTH_FAILED)]

    def _answered(self) -> str | UnsetType:
        checked, self._checking = self._checking, None
        return UNSET if checked is None else checked.request_id


def _error(code: Code, text: str, request_id: str | UnsetType, retry_after_ms: int | UnsetType = UNSET) -> Send:
    return Send(Error(code=code.value, message=text, request_id=request_id, retry_after_ms=retry_after_ms))


_HANDLERS: Final[dict[type[Event], Callable[[Handshake, Any], list[Decision]]]] = {
    Opened: Handshake._opened,
    Heard: Handshake._heard,
    TokenGood: Handshake._token_good,
    TokenBad: Handshake._token_bad,
    Deadline: Handshake._deadline,
}
