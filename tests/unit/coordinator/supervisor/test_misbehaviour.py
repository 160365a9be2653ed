"""What an agent may not say is dropped, or ends its process; nothing it does harms anyone else."""

import msgspec
import pytest

from podium.coordinator.supervisor.voice import CONTENT_MAX_BYTES
from podium.wire.link import (
    Delta,
    Element,
    IdleReply,
    Init,
    Ready,
    Request,
    Response,
    StateDelta,
    StreamUpdate,
    ToAgent,
)
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, ScriptedAgent, contents, events, polite, send, texts, until


@pytest.mark.parametrize(
    ("event", "content"),
    [
        ("state.status", {"status": "ready", "previous": "running"}),
        ("checkpoint", {}),
        ("no.such.event", {}),
        ("stream_update", {"text": 5}),
        ("stream_update", {}),
        ("tool.permission_requested", {"request_id": "r"}),
        ("stream_update", {"text": "x" * CONTENT_MAX_BYTES}),
    ],
)
@pytest.mark.noisy("event_refused")
async def test_an_event_that_breaks_the_protocol_is_dropped_and_logged(
    house: House, event: str, content: dict[str, object]
) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "hello")
    before = len(events(instance))
    house.host.agent.emit(ack.message_id or "", event, content)
    house.host.agent.flush()
    assert len(events(instance)) == before
    assert any("was dropped" in line for line in texts(instance))
    house.host.agent.answer_to(ack.message_id or "", "still here")
    house.host.agent.flush()
    assert contents(instance, "stream_end")[0]["text"] == "still here"


@pytest.mark.noisy("event_refused")
async def test_content_that_is_no_utf8_is_dropped(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "hello")
    content = msgspec.Raw(b'{"text":"ok","more":"\xff"}')
    house.host.agent.say(StreamUpdate(message_id=ack.message_id or "", element=Element("stream_update", content)))
    house.host.agent.flush()
    assert events(instance, "stream_update") == []


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\x02\x00\x00\x00{}", b"\x05\x00\x00\x00nope!", b'\x10\x00\x00\x00{"type":"wrong"}'],
)
@pytest.mark.noisy("agent_restarts")
async def test_a_broken_frame_ends_the_process_and_what_came_before_it_counts(house: House, data: bytes) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "hello")
    agent = house.host.agent
    await until(lambda: agent.messages() == [ack.message_id])
    agent.emit(ack.message_id or "", "stream_start", {"message_id": ack.message_id, "attempt": 1})
    agent.flush(data)
    await until(lambda: len(house.host.started) == 2 and instance.status is InstanceStatus.RUNNING)
    assert len(events(instance, "stream_start")) == 1
    assert agent.ended
    assert any("broke the protocol" in line for line in texts(instance))


@pytest.mark.noisy("agent_restarts")
async def test_a_delta_out_of_order_ends_the_process_and_the_state_stays_true(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    house.host.agent.set_state({"count": 1})
    house.host.agent.flush()
    house.host.agent.say(StateDelta(deltas=[Delta(7, msgspec.Raw(b"[]"))]))
    house.host.agent.flush()
    await until(lambda: len(house.host.started) == 2 and instance.status is InstanceStatus.READY)
    with instance.reading() as store:
        assert store.state_version == 1
    assert house.host.agent.init is not None
    assert house.host.agent.init.state == {"count": 1}


async def test_what_needs_a_versioned_workspace_is_answered_with_the_reason(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    agent = house.host.agent
    agent.say(Request(id=1, method="checkpoint", params={}), Request(id=2, method="nonsense", params={}))
    agent.flush()
    assert instance.status is InstanceStatus.READY
    answers = [frame for frame in agent.heard if isinstance(frame, Response)]
    assert [answer.id for answer in answers] == [1, 2]
    assert "Chronicle" in (answers[0].error or "")


async def test_an_agent_may_ask_while_it_starts(house: House) -> None:
    def curious(agent: ScriptedAgent, frame: ToAgent) -> None:
        if isinstance(frame, Init):
            agent.say(Request(id=1, method="messages", params={}))
        elif isinstance(frame, Response):
            agent.say(Ready(protocol=1))
        else:
            polite(agent, frame)

    house.host.play = curious
    assert (await house.create()).status is InstanceStatus.READY


async def test_an_answer_too_large_for_the_link_is_told_as_an_error(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    for _ in range(18):
        send(instance, "x" * 1_000_000)
    house.host.agent.say(Request(id=1, method="messages", params={"limit": 1000}))
    house.host.agent.flush()
    answer = next(frame for frame in house.host.agent.heard if isinstance(frame, Response))
    assert "ask for fewer" in (answer.error or "")
    assert instance.status is InstanceStatus.RUNNING


async def test_an_agent_reads_the_conversation(house: House) -> None:
    instance = await house.create()
    send(instance, "hello")
    await until(lambda: not instance.queue.has_work)
    house.host.agent.say(Request(id=1, method="messages", params={"limit": 10}), IdleReply(allow=True))
    house.host.agent.flush()
    answer = next(frame for frame in house.host.agent.heard if isinstance(frame, Response))
    assert [(message["role"], message["text"]) for message in answer.result] == [("user", "hello"), ("agent", "hello")]
    assert instance.status is InstanceStatus.READY
