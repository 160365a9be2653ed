"""A stream as a conversation with a server that can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from podium.client.connection import PodiumConnection
from podium.client.errors import PodiumConnectionError, unreachable
from podium.client.event import PodiumEvent
from podium.client.inbox import INBOX_MAX_EVENTS
from podium.client.socket import Closed
from podium.wire.commands import Answer, AnswerContent, Ping, Steer, SteerContent
from podium.wire.errors import ErrorCode
from tests.unit.client.virtual import VirtualTime

INSTANCE = "inst-aaaaaaaaaaaaaaaa"


class FakeSocket:
    """One socket: what the client sent, and a queue of what it will receive."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.coming: asyncio.Queue[str | bytes | Closed] = asyncio.Queue()
        self.closed = False
        self.got = asyncio.Event()

    async def send(self, frame: str) -> None:
        self.sent.append(msgspec.json.decode(frame))
        self.got.set()

    async def receive(self) -> str | bytes | Closed:
        return await self.coming.get()

    async def close(self) -> None:
        self.closed = True

    def say(self, message_type: str, content: dict[str, Any] | None = None, seq: int = 0) -> None:
        frame = {"messageType": message_type, "content": content or {}, "seq": seq}
        self.coming.put_nowait(msgspec.json.encode(frame))

    def greet(self, last_seq: int = 0, protocol: int = 1) -> None:
        content = {"protocol": protocol, "instance_id": INSTANCE, "agent_id": "a", "deployment_id": "d:1.0.0@0"}
        self.say("connected", {**content, "status": "ready", "last_seq": last_seq})

    async def next_command(self) -> dict[str, Any]:
        await asyncio.wait_for(self.got.wait(), 5)
        self.got.clear()
        return self.sent[-1]


class FakeServer:
    """Gives sockets to whoever dials; may refuse first."""

    def __init__(self) -> None:
        self.dialled: list[int | None] = []
        self.sockets: list[FakeSocket] = []
        self.refusals: list[PodiumConnectionError] = []
        self.prepare: Callable[[FakeSocket], None] = lambda socket: socket.greet()
        self.opened = asyncio.Event()

    async def __call__(self, instance_id: str, after: int | None) -> FakeSocket:
        assert instance_id == INSTANCE
        self.dialled.append(after)
        if self.refusals:
            raise self.refusals.pop(0)
        socket = FakeSocket()
        self.prepare(socket)
        self.sockets.append(socket)
        self.opened.set()
        return socket

    async def next_socket(self) -> FakeSocket:
        await asyncio.wait_for(self.opened.wait(), 5)
        self.opened.clear()
        return self.sockets[-1]


class Line:
    """A connection with its server and its time."""

    def __init__(self) -> None:
        self.time = VirtualTime(chance=1.0)
        self.server = FakeServer()
        self.connection = PodiumConnection(self.server, INSTANCE, None, self.time.timing)

    async def open(self, after: int | None = None) -> FakeSocket:
        self.connection = PodiumConnection(self.server, INSTANCE, after, self.time.timing)
        await self.connection.open()
        return await self.server.next_socket()

    async def read(self, count: int) -> list[PodiumEvent]:
        events: list[PodiumEvent] = []
        async with asyncio.timeout(5):
            while len(events) < count:
                events.append(await anext(self.connection.events))
        return events


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    yield made
    await made.connection.close()


async def test_events_arrive_in_order_and_the_greeting_is_kept_apart(line: Line) -> None:
    socket = await line.open()
    socket.say("stream_start", {"message_id": "m", "attempt": 1}, seq=1)
    socket.say("update", {"text": "Hel"}, seq=2)
    first, second = await line.read(2)
    assert (first.kind, second.kind, second.text) == ("stream_start", "stream_update", "Hel")
    assert line.connection.info is not None
    assert line.connection.info.status == "ready"


@pytest.mark.proves("CLIENT-RESUME")
async def test_a_lost_connection_resumes_after_the_last_event_seen(line: Line) -> None:
    socket = await line.open(after=0)
    for seq in (1, 2, 3):
        socket.say("stream_update", {"text": str(seq)}, seq=seq)
    await line.read(3)
    socket.coming.put_nowait(Closed(None))
    again = await line.server.next_socket()
    assert line.server.dialled == [0, 3]
    again.say("stream_update", {"text": "old"}, seq=3)
    again.say("stream_update", {"text": "4"}, seq=4)
    assert [event.text for event in await line.read(1)] == ["4"]
    assert line.connection.reconnects == 1


@pytest.mark.proves("CLIENT-RESUME")
async def test_a_gap_makes_it_resume_instead_of_going_on(line: Line) -> None:
    socket = await line.open(after=0)
    socket.say("stream_update", {"text": "1"}, seq=1)
    socket.say("stream_update", {"text": "3"}, seq=3)
    await line.read(1)
    again = await line.server.next_socket()
    assert line.server.dialled == [0, 1]
    again.say("stream_update", {"text": "2"}, seq=2)
    again.say("stream_update", {"text": "3"}, seq=3)
    assert [event.text for event in await line.read(2)] == ["2", "3"]


@pytest.mark.proves("CLIENT-RESUME")
async def test_a_command_without_acknowledgement_is_sent_again_with_the_same_id(line: Line) -> None:
    socket = await line.open()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(line.connection.send_message("hello", {"tone": "kind"}))
        first = await socket.next_command()
        socket.coming.put_nowait(Closed(1006))
        again = await line.server.next_socket()
        second = await again.next_command()
        again.say("ack", {"id": second["id"], "turn_id": "turn-x", "message_id": "msg-x"})
    assert first == second
    assert first["content"] == {"text": "hello", "tone": "kind"}
    assert sending.result().turn_id == "turn-x"


async def test_acknowledged_commands_are_not_sent_again(line: Line) -> None:
    socket = await line.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(line.connection.send_message("hello"))
        command = await socket.next_command()
        socket.say("ack", {"id": command["id"]})
    socket.coming.put_nowait(Closed(1012))
    again = await line.server.next_socket()
    await asyncio.sleep(0)
    assert again.sent == []


async def test_a_refused_command_raises_with_the_code_of_the_nack(line: Line) -> None:
    socket = await line.open()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_failure(line.connection.send(Steer(SteerContent("left")))))
        command = await socket.next_command()
        socket.say("nack", {"id": command["id"], "code": "no_turn", "message": "no turn is running"})
    assert sending.result().code is ErrorCode.NO_TURN
    assert sending.result().detail == "no turn is running"


async def test_ping_is_answered_by_pong(line: Line) -> None:
    socket = await line.open()
    async with asyncio.TaskGroup() as group:
        pinging = group.create_task(line.connection.send(Ping(id="p-1")))
        await socket.next_command()
        socket.say("pong", {"id": "p-1"})
    assert pinging.result().id == "p-1"


async def test_answers_to_raw_frames_come_as_events(line: Line) -> None:
    socket = await line.open()
    await line.connection.send_raw('{"type": "mystery"}')
    assert socket.sent == [{"type": "mystery"}]
    socket.say("nack", {"code": "invalid_request", "message": "no such type"})
    assert [event.message_type for event in await line.read(1)] == ["nack"]


@pytest.mark.proves("CLIENT-CLOSE-CODES")
@pytest.mark.parametrize(
    ("close", "code"),
    [
        (4401, ErrorCode.UNAUTHENTICATED),
        (4404, ErrorCode.INSTANCE_NOT_FOUND),
        (4409, ErrorCode.INSTANCE_STOPPING),
        (4410, ErrorCode.RESUME_GONE),
    ],
)
async def test_final_close_codes_end_the_stream_with_their_error(line: Line, close: int, code: ErrorCode) -> None:
    socket = await line.open()
    socket.say("terminated", {"reason": "stop"}, seq=1)
    socket.coming.put_nowait(Closed(close, "because"))
    assert [event.kind for event in await line.read(1)] == ["terminated"]
    with pytest.raises(PodiumConnectionError) as caught:
        await line.read(1)
    assert caught.value.code is code
    assert caught.value.instance_id == INSTANCE
    assert len(line.server.dialled) == 1
    with pytest.raises(PodiumConnectionError):
        await line.connection.send_message("too late")


@pytest.mark.proves("CLIENT-CLOSE-CODES")
async def test_a_moving_coordinator_is_followed_without_waiting(line: Line) -> None:
    socket = await line.open()
    socket.coming.put_nowait(Closed(1012))
    await line.server.next_socket()
    assert line.time.slept == [0.0]


async def test_a_server_that_drops_everyone_is_not_hammered(line: Line) -> None:
    def greet_and_drop(socket: FakeSocket) -> None:
        socket.greet()
        socket.coming.put_nowait(Closed(1012))

    line.server.prepare = greet_and_drop
    await line.open()
    while len(line.server.dialled) < 8:
        await asyncio.sleep(0)
    assert line.time.slept[:6] == pytest.approx([0.0, 0.2, 0.4, 0.8, 1.6, 3.2])


async def test_it_gives_up_after_five_minutes(line: Line) -> None:
    socket = await line.open()
    line.server.refusals = [unreachable("connect", "refused") for _ in range(1000)]
    socket.coming.put_nowait(Closed(None))
    with pytest.raises(PodiumConnectionError):
        await line.read(1)
    assert 300 <= line.time.now <= 310


async def test_opening_is_retried_and_then_fails_with_the_reason(line: Line) -> None:
    line.server.refusals = [unreachable("connect", "refused") for _ in range(4)]
    with pytest.raises(PodiumConnectionError, match="refused"):
        await line.open()
    assert len(line.server.dialled) == 4


async def test_another_protocol_version_is_refused(line: Line) -> None:
    line.server.prepare = lambda socket: socket.greet(protocol=2)
    with pytest.raises(PodiumConnectionError, match="protocol 2"):
        await line.open()
    assert line.server.sockets[0].closed


async def test_without_a_reader_it_stops_reading_but_still_hears_acknowledgements(line: Line) -> None:
    socket = await line.open()
    for seq in range(1, INBOX_MAX_EVENTS + 3):
        socket.say("stream_update", {"text": "x"}, seq=seq)
    while socket.coming.qsize() > 2:
        await asyncio.sleep(0)
    async with asyncio.TaskGroup() as group:
        answer = Answer(AnswerContent("req-1", dismissed=True), id="a-1")
        group.create_task(line.connection.send(answer))
        await socket.next_command()
        socket.say("ack", {"id": "a-1"})
    assert len(await line.read(INBOX_MAX_EVENTS + 2)) == INBOX_MAX_EVENTS + 2


async def test_a_frame_larger_than_the_server_takes_is_refused_here(line: Line) -> None:
    await line.open()
    with pytest.raises(PodiumConnectionError) as caught:
        await line.connection.send_message("x" * 1024 * 1024)
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE


async def test_closing_ends_the_events_and_fails_what_waits(line: Line) -> None:
    socket = await line.open()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_failure(line.connection.send_message("hello")))
        await socket.next_command()
        await line.connection.close()
    assert waiting.result().code is ErrorCode.UNREACHABLE
    assert [event async for event in line.connection.events] == []
    assert socket.closed


async def test_no_acknowledgement_in_time_is_an_error_that_may_be_retried(line: Line) -> None:
    await line.open()
    with pytest.raises(PodiumConnectionError, match="no acknowledgement") as caught:
        await line.connection.send(Ping(), seconds=0.01)
    assert caught.value.retryable


async def test_frames_that_are_no_events_are_passed_over(line: Line) -> None:
    socket = await line.open()
    socket.coming.put_nowait("not json")
    socket.coming.put_nowait("[1, 2]")
    socket.say("stream_update", {"text": "still here"}, seq=1)
    assert [event.text for event in await line.read(1)] == ["still here"]


async def _failure(awaitable: Any) -> PodiumConnectionError:
    with pytest.raises(PodiumConnectionError) as caught:
        await awaitable
    return caught.value


async def test_the_number_to_go_on_from_is_that_of_what_was_read_not_of_what_came(line: Line) -> None:
    socket = await line.open(after=4)
    assert line.connection.last_seq == 4
    for seq in (5, 6, 7):
        socket.say("stream_update", {"text": str(seq)}, seq=seq)
    await line.read(2)
    assert line.connection.last_seq == 6


async def test_an_acknowledgement_that_comes_twice_is_no_event(line: Line) -> None:
    socket = await line.open()
    sending = asyncio.create_task(line.connection.send_message("hello"))
    command = await socket.next_command()
    for _ in range(2):
        socket.say("ack", {"id": command["id"], "turn_id": "t", "message_id": "m", "seq": 1})
    socket.say("ack", {"id": "of somebody who sent a frame of his own"})
    await sending
    assert [event.content for event in await line.read(1)] == [{"id": "of somebody who sent a frame of his own"}]
