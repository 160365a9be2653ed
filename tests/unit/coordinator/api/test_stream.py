"""The stream of an instance: every event once and in order to each connection, commands answered, bounds kept."""

import asyncio
import random

import msgspec
import pytest

from podium.base.clock import ManualClock
from podium.coordinator.api.stream import SYNC_EVERY_BYTES
from podium.coordinator.supervisor.instance import Instance
from podium.wire.envelope import Event
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, events, forward, polite, send, until
from tests.unit.coordinator.wires import Client, pong_frame

MESSAGE = {"type": "process_message", "id": "c-1", "content": {"text": "hello"}}


def numbered(received: list[Event]) -> list[int]:
    return [event.seq for event in received if event.seq]


def speak(house: House, message_id: str, count: int, size: int = 10) -> None:
    """The agent streams pieces of text, in one read."""
    for _ in range(count):
        house.host.agent.emit(message_id, "stream_update", {"text": "x" * size})
    house.host.agent.flush()


async def talking(house: House) -> tuple[Instance, str]:
    """An instance with a running turn."""
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "talk")
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    return instance, ack.message_id or ""


@pytest.mark.proves("STREAM-CONNECTED-FIRST")
async def test_connected_comes_first_and_tells_where_the_journal_is(house: House) -> None:
    instance = await house.create()
    first, *rest = Client(house, instance.facts.instance_id).receive()
    assert first.message_type == "connected"
    assert first.content == {
        "protocol": 1,
        "instance_id": instance.facts.instance_id,
        "agent_id": "agent",
        "deployment_id": "echo:1.0.0@00000000",
        "status": "ready",
        "last_seq": 4,
    }
    assert rest == []


@pytest.mark.proves("STREAM-USER-MESSAGES")
async def test_a_message_is_acknowledged_and_its_turn_streams(house: House) -> None:
    instance = await house.create()
    client = Client(house, instance.facts.instance_id)
    client.say(MESSAGE)
    await until(lambda: not instance.queue.has_work and bool(events(instance, "checkpoint")))
    received = client.receive()
    assert [event.message_type for event in received] == [
        "connected",
        "ack",
        "message.user",
        "state.status",
        "stream_start",
        "stream_update",
        "stream_end",
        "checkpoint",
        "state.status",
    ]
    assert numbered(received) == list(range(5, 12))
    assert client.ack_of(received).id == "c-1"


@pytest.mark.proves("STREAM-MANY-CONNECTIONS", "STREAM-RESUME-AFTER")
async def test_each_of_many_connections_gets_every_event_after_its_own_once(house: House) -> None:
    instance, message_id = await talking(house)
    speak(house, message_id, 700)
    head = events(instance)[-1].seq
    clients = {after: Client(house, instance.facts.instance_id, f"after={after}") for after in (0, 3, 350, head)}
    live = Client(house, instance.facts.instance_id)
    for _ in range(20):
        speak(house, message_id, 5)
        await asyncio.sleep(0)
    house.host.agent.finish(message_id)
    last = events(instance)[-1].seq
    got: dict[int, list[int]] = {after: [] for after in clients}

    def all_there() -> bool:
        for after, client in clients.items():
            got[after] += numbered(client.receive())
        return all(numbers and numbers[-1] == last for numbers in got.values())

    await until(all_there)
    for after, numbers in got.items():
        assert numbers == list(range(after + 1, last + 1))
    assert numbered(live.receive()) == list(range(head + 1, last + 1))


async def test_a_numbered_frame_is_the_same_bytes_live_and_from_the_journal(house: House) -> None:
    instance = await house.create()
    live = Client(house, instance.facts.instance_id)
    live.receive()
    start = len(live.wire.taken)
    send(instance, "hello")
    await until(lambda: not instance.queue.has_work and bool(events(instance, "checkpoint")))
    replayed = Client(house, instance.facts.instance_id, "after=4")
    await until(lambda: len(replayed.receive()) > 0)
    told = bytes(live.wire.taken[start:])
    assert told
    assert bytes(replayed.wire.taken).endswith(told)


@pytest.mark.proves("REQUEST-REPLAYED-ON-ATTACH")
async def test_a_connection_without_after_gets_what_is_asked_and_not_answered(house: House) -> None:
    instance, message_id = await talking(house)
    content = {"request_id": "req-1", "questions": [{"id": "q", "question": "Which?"}]}
    house.host.agent.emit(message_id, "tool.question_requested", content)
    house.host.agent.flush()
    asked = events(instance, "tool.question_requested")[0].seq
    received = Client(house, instance.facts.instance_id).receive()
    assert [event.message_type for event in received] == ["connected", "tool.question_requested"]
    assert received[1].seq == asked
    behind = Client(house, instance.facts.instance_id, f"after={asked}")
    assert "tool.question_requested" not in [event.message_type for event in behind.receive()]
    client = Client(house, instance.facts.instance_id)
    client.say({"type": "answer", "id": "a", "content": {"request_id": "req-1", "answers": {"q": "this"}}})
    assert client.ack_of(client.receive()).seq == events(instance, "tool.approval_resolved")[0].seq
    after = Client(house, instance.facts.instance_id).receive()
    assert [event.message_type for event in after] == ["connected"]


@pytest.mark.proves("WS-RESUME-GONE-4410")
async def test_resuming_behind_the_end_of_the_journal_is_refused(house: House) -> None:
    instance = await house.create()
    client = Client(house, instance.facts.instance_id, "after=1000")
    assert client.close_code == 4410


@pytest.mark.proves("WS-NO-INSTANCE-4404", "TENANT-ISOLATION-404")
async def test_there_is_no_stream_of_an_unknown_or_foreign_instance(house: House) -> None:
    instance = await house.create()
    assert Client(house, "inst-unknown").close_code == 4404
    assert Client(house, instance.facts.instance_id, podium_tenant="other").close_code == 4404


@pytest.mark.proves("WS-STOPPED-4409")
async def test_connections_are_closed_when_the_instance_stops(house: House) -> None:
    instance = await house.create()
    client = Client(house, instance.facts.instance_id)
    await house.supervisor.stop(instance)
    received = client.receive()
    assert received[-1].content["status"] == "terminated"
    assert client.close_code == 4409
    assert Client(house, instance.facts.instance_id).close_code == 4409


async def test_connections_are_told_to_come_again_when_the_host_goes_down(house: House) -> None:
    instance = await house.create()
    client = Client(house, instance.facts.instance_id)
    await house.supervisor.put_down()
    assert client.close_code == 1012


@pytest.mark.parametrize(
    ("frame", "code", "command_id"),
    [
        ("no json", "invalid_json", None),
        ('{"type": "nonsense", "id": "x"}', "invalid_request", "x"),
        ('{"type": "process_message", "id": "x", "content": {"text": 5}}', "invalid_request", "x"),
        (b"\xff\xfe", "invalid_json", None),
    ],
)
@pytest.mark.proves("WS-BAD-FRAMES-4400", "COMMAND-NACK-KEEPS-CONNECTION")
async def test_a_bad_frame_is_refused_and_the_third_closes(
    house: House, frame: str | bytes, code: str, command_id: str | None
) -> None:
    instance = await house.create()
    client = Client(house, instance.facts.instance_id)
    client.receive()
    for _ in range(2):
        client.say(frame)
        (nack,) = client.receive()
        assert (nack.message_type, nack.content["code"], nack.content.get("id")) == ("nack", code, command_id)
    assert client.is_open
    client.say(frame)
    assert client.close_code == 4400


async def test_binary_frames_are_bad_frames(house: House) -> None:
    client = Client(house, (await house.create()).facts.instance_id)
    for _ in range(3):
        client.say_binary(b"\x00")
    assert client.close_code == 4400


@pytest.mark.proves("WS-FRAME-TOO-LARGE-1009")
async def test_a_frame_over_the_limit_closes_with_1009(house: House) -> None:
    client = Client(house, (await house.create()).facts.instance_id)
    client.say(b"x" * (1024 * 1024 + 1))
    assert client.close_code == 1009


@pytest.mark.proves("CONFIG-UPDATE-NEEDS-PERMISSION")
async def test_commands_need_their_permission(house: House) -> None:
    instance = await house.create()
    reader = Client(house, instance.facts.instance_id, podium_permissions="instances:read")
    reader.receive()
    for command in (
        MESSAGE,
        {"type": "cancel", "id": "c-1"},
        {"type": "steer", "id": "c-1", "content": {"text": "x"}},
        {"type": "config_update", "id": "c-1", "content": {"changes": {}}},
        {"type": "answer", "id": "c-1", "content": {"request_id": "r", "dismissed": True}},
    ):
        reader.say(command)
        (nack,) = reader.receive()
        assert nack.content == {
            "id": "c-1",
            "code": "permission_denied",
            "message": nack.content["message"],
        }
    reader.say({"type": "ping", "id": "p"})
    (pong,) = reader.receive()
    assert (pong.message_type, pong.content) == ("pong", {"id": "p"})
    assert events(instance, "message.user") == []


async def test_commands_that_can_not_be_done_are_refused_by_code(house: House) -> None:
    client = Client(house, (await house.create()).facts.instance_id)
    client.receive()
    client.say({"type": "steer", "id": "s", "content": {"text": "x"}})
    client.say({"type": "cancel", "id": "c"})
    client.say({"type": "answer", "id": "a", "content": {"request_id": "r", "dismissed": True}})
    assert [event.content["code"] for event in client.receive()] == ["no_turn", "no_turn", "request_not_found"]
    assert client.is_open


@pytest.mark.proves("WS-SLOW-CONSUMER-4408")
async def test_a_live_connection_too_far_behind_is_closed_and_resumes_without_a_gap(house: House) -> None:
    instance, message_id = await talking(house)
    slow, quick = Client(house, instance.facts.instance_id), Client(house, instance.facts.instance_id)
    slow.receive()
    slow.wire.blocked = True
    seen = numbered(quick.receive())
    for _ in range(12):
        speak(house, message_id, 10, size=100_000)
        seen += numbered(quick.receive())
    slow.wire.unblock()
    got = numbered(slow.receive())
    assert slow.close_code == 4408
    assert quick.is_open
    last = events(instance)[-1].seq
    assert seen == list(range(seen[0], last + 1))
    again = Client(house, instance.facts.instance_id, f"after={got[-1]}")

    def caught_up() -> bool:
        got.extend(numbered(again.receive()))
        return got[-1] == last

    await until(caught_up)
    assert got == list(range(got[0], last + 1))


async def test_a_live_connection_too_many_events_behind_is_closed(house: House) -> None:
    instance, message_id = await talking(house)
    slow = Client(house, instance.facts.instance_id)
    slow.receive()
    slow.wire.blocked = True
    for _ in range(102):
        speak(house, message_id, 100, size=1)
    slow.wire.unblock()
    assert slow.close_code == 4408


async def test_only_what_is_unsent_counts_as_behind(house: House) -> None:
    instance, message_id = await talking(house)
    client = Client(house, instance.facts.instance_id)
    for _ in range(110):
        speak(house, message_id, 100, size=1)
    client.wire.blocked = True
    for _ in range(3):
        speak(house, message_id, 10, size=1)
    client.wire.unblock()
    speak(house, message_id, 10, size=1)
    assert client.is_open
    assert numbered(client.receive())[-1] == events(instance)[-1].seq


async def test_one_great_batch_does_not_make_a_connection_slow(house: House) -> None:
    instance, message_id = await talking(house)
    client = Client(house, instance.facts.instance_id)
    client.wire.blocked = True
    speak(house, message_id, 12_000, size=1)
    client.wire.unblock()
    speak(house, message_id, 1)
    assert client.is_open


async def test_a_connection_that_catches_up_may_be_far_behind(house: House) -> None:
    instance, message_id = await talking(house)
    for _ in range(12):
        speak(house, message_id, 10, size=100_000)
    client = Client(house, instance.facts.instance_id, "after=0")
    client.wire.blocked = True
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(client.wire.pending) < 4 * 1024 * 1024
    got: list[int] = []
    last = events(instance)[-1].seq

    def caught_up() -> bool:
        client.wire.take(200_000)
        got.extend(numbered(client.receive()))
        return bool(got) and got[-1] == last

    await until(caught_up)
    assert got == list(range(1, last + 1))
    assert client.is_open


async def test_marks_stand_between_frames_about_every_64_kib(house: House) -> None:
    instance, message_id = await talking(house)
    mark = bytes(range(16))
    client = Client(house, instance.facts.instance_id, "after=0", podium_sync=mark.hex())
    lots = random.Random(7)
    for _ in range(40):
        speak(house, message_id, 7, size=lots.randrange(1000, 9000))
        await asyncio.sleep(0)
    await until(lambda: len(client.wire.taken) > 10 * SYNC_EVERY_BYTES)
    sent = bytes(client.wire.taken)
    head, _, stream = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    at = connected_end(stream)
    assert stream[at : at + 18] == pong_frame(mark)
    count = stream.count(pong_frame(mark))
    assert count >= len(stream) // (SYNC_EVERY_BYTES + 10_000)
    assert len(client.receive()) > 100
    assert client.is_open


def connected_end(stream: bytes) -> int:
    """Where the first frame ends."""
    size = stream[1]
    return 4 + int.from_bytes(stream[2:4], "big") if size == 126 else 2 + size


@pytest.mark.proves("STREAM-PING")
async def test_a_silent_peer_is_pinged_and_then_gone(timed_house: House, clock: ManualClock) -> None:
    instance = await timed_house.create()
    client = Client(timed_house, instance.facts.instance_id)
    for _ in range(3):
        forward(timed_house, clock, 20)
    assert client.wire.aborted
    await asyncio.sleep(0)
    assert len(instance.audience) == 0


async def test_a_peer_that_answers_pings_stays(timed_house: House, clock: ManualClock) -> None:
    instance = await timed_house.create()
    client = Client(timed_house, instance.facts.instance_id)
    for _ in range(10):
        forward(timed_house, clock, 20)
        client.receive()
    assert client.is_open
    assert not client.wire.aborted


async def test_a_peer_that_takes_nothing_for_a_minute_is_gone(timed_house: House, clock: ManualClock) -> None:
    instance, message_id = await talking(timed_house)
    client = Client(timed_house, instance.facts.instance_id)
    client.receive()
    client.wire.blocked = True
    speak(timed_house, message_id, 10, size=1000)
    for _ in range(4):
        forward(timed_house, clock, 20)
        client.say({"type": "ping"})
    assert client.wire.aborted


async def test_a_connection_wakes_a_sleeping_agent(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    client = Client(house, instance.facts.instance_id)
    assert client.receive()[0].content["status"] == "asleep"
    await until(lambda: instance.status is InstanceStatus.READY)
    assert [event.content.get("status") for event in client.receive() if event.message_type == "state.status"] == [
        "initializing",
        "ready",
    ]


async def test_databases_are_closed_when_a_sleeping_agents_last_follower_leaves(
    timed_house: House, clock: ManualClock
) -> None:
    house = timed_house
    house.use_idle_timeout(10_000)
    instance = await house.create()
    client = Client(house, instance.facts.instance_id)
    forward(house, clock, 11)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    assert instance.is_open
    client.vanish()
    await until(lambda: not instance.is_open)


async def test_the_subprotocol_is_selected_when_it_is_offered(house: House) -> None:
    instance = await house.create()
    plain = Client(house, instance.facts.instance_id)
    offering = Client(house, instance.facts.instance_id, sec_websocket_protocol="podium.v1, other")
    assert b"Sec-WebSocket-Protocol" not in bytes(plain.wire.taken)
    assert b"Sec-WebSocket-Protocol: podium.v1" in bytes(offering.wire.taken)
    assert b"permessage-deflate" not in bytes(offering.wire.taken).lower()


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"authorization": "Bearer wrong"}, "", b"HTTP/1.1 401"),
        ({"authorization": ""}, "", b"HTTP/1.1 401"),
        ({}, "after=never", b"HTTP/1.1 400"),
        ({}, "after=-1", b"HTTP/1.1 400"),
    ],
)
@pytest.mark.proves("COORDINATOR-CREDENTIAL")
async def test_a_request_that_is_not_the_clusters_never_becomes_a_stream(
    house: House, headers: dict[str, str], query: str, status: bytes
) -> None:
    instance = await house.create()
    client = Client(house, instance.facts.instance_id, query, **headers)
    assert bytes(client.wire.taken).startswith(status)
    assert msgspec.json.decode(bytes(client.wire.taken).partition(b"\r\n\r\n")[2])["code"]
