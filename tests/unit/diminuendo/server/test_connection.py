"""One client's connection in virtual time, over a socket that is none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from diminuendo.auth.api_keys import ApiKeys, KeyRecord
from diminuendo.auth.callers import LOCAL, Callers
from diminuendo.protocol.answers import Ack, AnswerMessage, Identity, Session, StateSnapshot
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.limits import AUTHENTICATE_MS, HEARTBEAT_MS, FailedTokens
from diminuendo.protocol.messages import ClientMessage, JoinSession, RunTurn
from diminuendo.server.connection import REFUSED_MAX, UNSENT_MAX_BYTES, ClientConnection, Parts
from diminuendo.serving.batch import Batch
from diminuendo.serving.port import Reader, Seat
from diminuendo.storage.session_store import StoredEvent
from podium.base.clock import ManualClock
from podium.base.http.websocket import WebSocket
from podium.base.keys import hash_key
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.base.timers import Timers

KEY = "pod_aaaaaaaaaaaa_" + "b" * 32
SESSION = Session("sess-a", "coder", "sess-a", "", "ready", False, "ann", 1, 1, {})


class Socket:
    """What a connection needs of a WebSocket."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.written = b""
        self.closed_with: int | None = None
        self.is_paused = False
        self.unsent = 0

    @property
    def is_open(self) -> bool:
        return self.closed_with is None

    def write_text(self, payload: bytes) -> None:
        self.said.append(msgspec.json.decode(payload))

    def write(self, frames: bytes) -> None:
        self.written += frames

    def close(self, code: int, reason: str) -> None:
        self.closed_with = self.closed_with or code

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.said]


class Place:
    """A seat that tells what was done with it."""

    def __init__(self) -> None:
        self.snapshot = StateSnapshot(session=SESSION, recent_history=[], last_seq=0, pending=[])
        self.done: list[str] = []

    def begin(self) -> None:
        self.done.append("begin")

    def go_on(self) -> None:
        self.done.append("go on")

    def leave(self) -> None:
        self.done.append("leave")


class Hall:
    """Sessions (a `Sessions`) that do what the test says."""

    def __init__(self) -> None:
        self.asked: list[ClientMessage] = []
        self.held = asyncio.Event()
        self.held.set()
        self.place = Place()
        self.reader: Reader | None = None
        self.finished = 0

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        self.asked.append(message)
        if isinstance(message, RunTurn):
            await self.held.wait()
            if message.text == "break":
                raise ZeroDivisionError
            if message.text == "refuse":
                raise ProtocolError(Code.FORBIDDEN, "no", "r")
        self.finished += 1
        return Ack(request_id=message.request_id)

    async def join(self, caller: Identity, message: JoinSession, reader: Reader) -> Seat:
        self.reader = reader
        return self.place


class Desk:
    """A connection and what is around it."""

    def __init__(self, local: Identity | None) -> None:
        self.clock = ManualClock()
        self.timers = Timers(self.clock)
        self.owner = TaskOwner("test")
        self.hall = Hall()
        self.socket = Socket()
        keys = ApiKeys([KeyRecord(hash_key(KEY), "ann", "acme")])
        callers = Callers(keys, None, self.clock)
        parts = Parts(self.hall, callers, FailedTokens(), Metrics(), self.clock, self.timers, self.owner, local)
        self.connection = ClientConnection(cast("WebSocket", self.socket), parts, "client-1", "10.0.0.1")
        self.connection.opened()

    async def say(self, **message: Any) -> None:
        self.connection.text_received(msgspec.json.encode(message))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def pass_ms(self, ms: int) -> None:
        self.clock.advance(ms / 1000)
        self.timers.run_due()
        await self.settle()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk(LOCAL)
    yield made
    made.timers.close()
    await made.owner.close()


@pytest.fixture
async def strange() -> AsyncIterator[Desk]:
    made = Desk(None)
    yield made
    made.timers.close()
    await made.owner.close()


@pytest.mark.proves("DIM-TEN-SECONDS")
async def test_who_does_not_authenticate_in_time_is_turned_away(strange: Desk) -> None:
    await strange.pass_ms(AUTHENTICATE_MS - 1)
    assert strange.socket.is_open
    await strange.pass_ms(1)
    assert strange.socket.closed_with == 4401
    assert strange.socket.said[-1]["code"] == "AUTH_FAILED"


async def test_who_is_known_hears_a_heartbeat_every_thirty_seconds(strange: Desk) -> None:
    await strange.say(type="authenticate", token=KEY)
    for count in (1, 2, 3):
        await strange.pass_ms(HEARTBEAT_MS)
        assert strange.socket.kinds().count("heartbeat") == count
    assert strange.socket.is_open
    strange.connection.closed()
    await strange.pass_ms(HEARTBEAT_MS)
    assert strange.socket.kinds().count("heartbeat") == 3


async def test_a_ping_does_not_wait_behind_a_turn(desk: Desk) -> None:
    desk.hall.held.clear()
    await desk.say(type="run_turn", sessionId="sess-a", text="x", requestId="turn")
    await desk.say(type="ping", requestId="ping")
    assert [said["requestId"] for said in desk.socket.said if "requestId" in said] == ["ping"]
    desk.hall.held.set()
    await desk.settle()
    assert desk.socket.said[-1]["requestId"] == "turn"


async def test_a_turn_goes_on_when_its_client_is_gone(desk: Desk) -> None:
    desk.hall.held.clear()
    await desk.say(type="run_turn", sessionId="sess-a", text="x")
    desk.connection.closed()
    desk.hall.held.set()
    await desk.settle()
    assert desk.hall.finished == 1


@pytest.mark.noisy("message_failed")
async def test_a_mistake_of_ours_is_answered_without_what_it_was(desk: Desk) -> None:
    await desk.say(type="run_turn", sessionId="sess-a", text="break", requestId="r")
    error = desk.socket.said[-1]
    assert (error["type"], error["code"], error["requestId"]) == ("error", "PODIUM_UNAVAILABLE", "r")
    assert "ZeroDivision" not in error["message"]
    await desk.say(type="run_turn", sessionId="sess-a", text="refuse", requestId="r")
    assert desk.socket.said[-1]["code"] == "FORBIDDEN"


async def test_a_reader_follows_the_socket(desk: Desk) -> None:
    await desk.say(type="join_session", sessionId="sess-a", requestId="j")
    assert desk.socket.said[-1]["type"] == "state_snapshot"
    assert desk.socket.said[-1]["requestId"] == "j"
    assert desk.hall.place.done == ["begin"]
    assert desk.hall.reader is not None
    desk.hall.reader.told(Batch([StoredEvent(1, b"{}")]))
    assert desk.socket.written == b"\x81\x02{}"
    desk.socket.is_paused = True
    assert desk.hall.reader.is_full
    desk.connection.drained()
    await desk.say(type="leave_session", sessionId="sess-a")
    assert desk.hall.place.done == ["begin", "go on", "leave"]
    await desk.say(type="join_session", sessionId="sess-a")
    desk.hall.reader.ended("over")
    assert desk.socket.closed_with == 1012


@pytest.mark.proves("DIM-SLOW-CLIENTS")
async def test_who_asks_and_does_not_read_is_closed(desk: Desk) -> None:
    desk.socket.unsent = UNSENT_MAX_BYTES + 1
    await desk.say(type="ping")
    assert desk.socket.closed_with == 4408


@pytest.mark.proves("DIM-PACE")
async def test_who_does_not_stop_sending_too_fast_is_closed(desk: Desk) -> None:
    for _ in range(60 + REFUSED_MAX):
        desk.connection.text_received(b'{"type":"ping"}')
    assert desk.socket.is_open
    desk.connection.text_received(b'{"type":"ping"}')
    assert desk.socket.closed_with == 4429


async def test_frames_that_are_no_text_are_refused(desk: Desk) -> None:
    desk.connection.binary_received()
    assert desk.socket.said[-1]["code"] == "INVALID_JSON"
