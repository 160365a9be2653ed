"""One client's connection: greeted, authenticated, heard, told."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from diminuendo.auth.api_keys import PREFIX
from diminuendo.auth.callers import Callers
from diminuendo.auth.errors import KeysAwayError, TokenRefusedError
from diminuendo.protocol import answers, handshake, messages
from diminuendo.protocol.answers import Identity, ServerMessage
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.handshake import Handshake
from diminuendo.protocol.limits import HEARTBEAT_MS, MESSAGE_MAX_BYTES, FailedTokens, message_window
from diminuendo.protocol.parsing import parse_message, request_id_of
from diminuendo.serving.batch import Batch
from diminuendo.serving.port import Seat, Sessions
from podium.base import telemetry
from podium.base.clock import Clock
from podium.base.http.websocket import WebSocket
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.base.telemetry import Span
from podium.base.timers import Timers
from podium.wire.close import CloseCode

UNSENT_MAX_BYTES: Final = 8 * MESSAGE_MAX_BYTES
"""A client with so much unsent that asks for more has stopped reading: it is closed. Events wait in the database, not here."""

REFUSED_MAX: Final = 300
"""Messages over the rate limit, one after another, after which a client is closed: refusing costs, too."""

SEATS_MAX: Final = 1_000
"""Sessions a connection may follow at once."""

_log = logging.getLogger(__name__)


class Parts(NamedTuple):
    """What all connections stand on. `local`: who everybody is where no authentication is asked for."""

    sessions: Sessions
    callers: Callers
    failed: FailedTokens
    metrics: Metrics
    clock: Clock
    timers: Timers
    owner: TaskOwner
    local: Identity | None = None


class ClientConnection:
    """The protocol over one WebSocket (its `Peer`). `address`: where the client is, for the limit of failed tokens. `trace`: the trace
    context its messages belong to; empty: each to a trace of its own."""

    def __init__(self, socket: WebSocket, parts: Parts, client_id: str, address: str, trace: str = "") -> None:
        self.key: str | None = None
        """The API key that let the client in, if it was one."""
        self._socket = socket
        self._parts = parts
        self._client_id = client_id
        self._address = address
        self._trace = trace
        self._handshake = Handshake(parts.local)
        self._window = message_window()
        self._over_limit = 0
        self._identity: Identity | None = None
        self._seats: dict[str, _Follower] = {}
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._deadline = parts.timers.alarm(self._deadline_reached)
        self._heartbeat = parts.timers.alarm(self._beat)

    # ── the socket's calls ───────────────────────────────────────────────────────────────────────────────────

    def opened(self) -> None:
        """Greets."""
        self._beat_later()
        self._follow(handshake.Opened(self._client_id, self._parts.clock.now_ms()))

    def text_received(self, data: bytes) -> None:
        """One message."""
        now_ms = self._now_ms()
        if not self._window.take(now_ms):
            self._refuse_pace(data, now_ms)
            return
        self._over_limit = 0
        try:
            message = parse_message(data)
        except ProtocolError as error:
            self._send_error(error)
            return
        self._parts.metrics.add("client_messages_total", type=messages.type_of(message))
        wait_ms = 0
        if isinstance(message, messages.Authenticate):
            wait_ms = self._parts.failed.wait_ms(self._address, now_ms)
        self._follow(handshake.Heard(message, wait_ms))

    def binary_received(self) -> None:
        """Refused: the protocol is text."""
        self._send_error(ProtocolError(Code.INVALID_JSON, "messages are text frames"))

    def drained(self) -> None:
        """The client takes more: on with what it has missed."""
        for follower in list(self._seats.values()):
            follower.go_on()

    def closed(self) -> None:
        """The client is gone. What it asked for goes on: a turn that was sent is run, whoever sees it."""
        self._deadline.set(None)
        self._heartbeat.set(None)
        for task in self._joining.values():
            task.cancel()
        for follower in self._seats.values():
            follower.leave()
        self._seats.clear()

    def close(self, code: int, reason: str) -> None:
        """Tells the client to go."""
        self._socket.close(code, reason)

    # ── the beginning ────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, event: handshake.Event) -> None:
        for decision in self._handshake.handle(event):
            match decision:
                case handshake.Send():
                    self._send(decision.message)
                case handshake.CheckToken():
                    self._start(self._check(decision.token), "authenticate")
                case handshake.Admit():
                    self._identity = decision.identity
                case handshake.Pass():
                    self._admitted(decision.message)
                case handshake.DeadlineIn():
                    after = decision.after_ms
                    moment = None if after is None else self._parts.clock.monotonic() + after / 1000
                    self._deadline.set(moment)
                case handshake.Close():
                    self._socket.close(decision.code, decision.reason)

    async def _check(self, token: str) -> None:
        try:
            verified = await self._parts.callers.identify(token)
        except KeysAwayError as error:  # says nothing about the token
            self._follow(handshake.TokenBad(error.reason))
        except TokenRefusedError as error:
            self._parts.failed.failed(self._address, self._now_ms())
            self._parts.metrics.add("client_refused_tokens_total")
            self._follow(handshake.TokenBad(error.reason))
        else:
            self.key = token if token.startswith(PREFIX) else None
            self._follow(handshake.TokenGood(verified.identity, verified.left_ms))

    def _deadline_reached(self) -> None:
        self._follow(handshake.Deadline())

    # ── messages of somebody we know ─────────────────────────────────────────────────────────────────────────

    def _admitted(self, message: messages.ClientMessage) -> None:
        if self._socket.unsent > UNSENT_MAX_BYTES:
            self.close(CloseCode.SLOW_CONSUMER, "answers are not read")
        elif isinstance(message, messages.Ping):
            self._send(answers.Pong(ts=self._parts.clock.now_ms(), request_id=message.request_id))
        elif isinstance(message, messages.JoinSession):
            self._joining[message.session_id] = self._start(self._join(message), "join")
        elif isinstance(message, messages.LeaveSession):
            self._leave(message)
        else:
            self._start(self._answer(message), "answer")

    async def _answer(self, message: messages.ClientMessage) -> None:
        assert self._identity is not None
        with self._traced(message) as span:
            try:
                answer = await self._parts.sessions.handle(self._identity, message)
            except ProtocolError as error:
                span.fail(error.code.value)
                self._send_error(error)
            except Exception as error:  # noqa: BLE001 - the boundary: a client that is not answered would wait for ever
                span.fail("fault")
                self._send_error(_fault(error, message))
            else:
                self._send(answer)

    def _traced(self, message: messages.ClientMessage) -> AbstractContextManager[Span]:
        """A span around a message: what is asked of Podium for it is below."""
        session_id = getattr(message, "session_id", None)
        facts = {"podium.client_id": self._client_id, **({"podium.session_id": session_id} if session_id else {})}
        return telemetry.span(messages.type_of(message), parent=self._trace, kind="server", attributes=facts)

    async def _join(self, message: messages.JoinSession) -> None:
        assert self._identity is not None
        session_id = message.session_id
        try:
            if len(self._seats) >= SEATS_MAX and session_id not in self._seats:
                text = f"a connection follows at most {SEATS_MAX} sessions"
                raise ProtocolError(Code.RATE_LIMITED, text, _request_id(message))
            follower = _Follower(self, self._socket, session_id)
            with self._traced(message):
                seat = await self._parts.sessions.join(self._identity, message, follower)
        except ProtocolError as error:
            self._send_error(error)
            return
        except Exception as error:  # noqa: BLE001 - as above
            self._send_error(_fault(error, message))
            return
        finally:
            self._joining.pop(session_id, None)
        if not self._socket.is_open:  # the client went in the meantime
            seat.leave()
            return
        self.forget(session_id)
        self._seats[session_id] = follower
        self._send(msgspec.structs.replace(seat.snapshot, request_id=message.request_id))
        follower.begin(seat)

    def _leave(self, message: messages.LeaveSession) -> None:
        joining = self._joining.pop(message.session_id, None)
        if joining is not None:
            joining.cancel()
        self.forget(message.session_id)
        self._send(answers.Ack(request_id=message.request_id))

    def forget(self, session_id: str) -> None:
        """Leaves the session, if the connection follows it."""
        follower = self._seats.pop(session_id, None)
        if follower is not None:
            follower.leave()

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, message: ServerMessage) -> None:
        text = answers.encode(message)
        if len(text) > MESSAGE_MAX_BYTES:
            request_id = getattr(message, "request_id", UNSET)
            sentence = f"the answer has more than {MESSAGE_MAX_BYTES} bytes; ask for less at once"
            too_large = answers.Error(code=Code.MESSAGE_TOO_LARGE.value, message=sentence, request_id=request_id)
            text = answers.encode(too_large)
        self._socket.write_text(text)

    def _send_error(self, error: ProtocolError) -> None:
        self._parts.metrics.add("client_errors_total", code=error.code.value)
        self._send(answers.error_of(error))

    def _refuse_pace(self, data: bytes, now_ms: int) -> None:
        self._over_limit += 1
        if self._over_limit > REFUSED_MAX:
            self.close(CloseCode.RATE_LIMITED, "too many messages")
            return
        wait = self._window.wait_ms(now_ms)
        text = "too many messages; this one was not read"
        self._send_error(ProtocolError(Code.RATE_LIMITED, text, request_id_of(data), wait))

    def _beat(self) -> None:
        self._send(answers.Heartbeat(ts=self._parts.clock.now_ms()))
        self._beat_later()

    def _beat_later(self) -> None:
        self._heartbeat.set(self._parts.clock.monotonic() + HEARTBEAT_MS / 1000)

    def _now_ms(self) -> int:
        return int(self._parts.clock.monotonic() * 1000)

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        return self._parts.owner.start(work, f"{name}-{self._client_id}")


class _Follower:
    """A connection's ear in one session (a `Reader`)."""

    def __init__(self, connection: ClientConnection, socket: WebSocket, session_id: str) -> None:
        self._connection = connection
        self._socket = socket
        self._session_id = session_id
        self._seat: Seat | None = None

    def begin(self, seat: Seat) -> None:
        """The client was sent the snapshot."""
        self._seat = seat
        seat.begin()

    def go_on(self) -> None:
        """The client takes more."""
        if self._seat is not None:
            self._seat.go_on()

    def leave(self) -> None:
        """The client is gone, or wants no more of it."""
        if self._seat is not None:
            self._seat.leave()

    @property
    def is_full(self) -> bool:
        """See `Reader`."""
        return self._socket.is_paused

    def told(self, batch: Batch) -> None:
        """See `Reader`."""
        self._socket.write(batch.wire)

    def informed(self, message: ServerMessage) -> None:
        """See `Reader`."""
        self._socket.write_text(answers.encode(message))
        if isinstance(message, answers.SessionDeleted):
            self._connection.forget(self._session_id)

    def ended(self, reason: str) -> None:
        """See `Reader`."""
        self._connection.close(CloseCode.MOVING, reason)


def _fault(error: Exception, message: messages.ClientMessage) -> ProtocolError:
    """A mistake of ours, as a client hears of it: without what it was."""
    _log.error("message_failed", extra={"type": messages.type_of(message)}, exc_info=error)
    return ProtocolError(Code.PODIUM_UNAVAILABLE, "something went wrong here", _request_id(message))


def _request_id(message: messages.ClientMessage) -> str | None:
    return None if message.request_id is UNSET else message.request_id
