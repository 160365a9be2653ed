"""A message becomes durable, reaches the agent, and its answer the journal and everyone who follows."""

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.supervisor.instance import Instance
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.link import CancelTurn, Complete, Failed, Init, Message, Ready, SteerTurn, ToAgent, TurnError
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import (
    House,
    ScriptedAgent,
    contents,
    events,
    forward,
    polite,
    send,
    statuses,
    texts,
    until,
)


def silent(agent: ScriptedAgent, frame: ToAgent) -> None:
    """Takes messages and says nothing; ends turns when they are cancelled."""
    polite(agent, frame)


def deaf(agent: ScriptedAgent, frame: ToAgent) -> None:
    """Takes messages and never ends a turn, whatever it is told."""
    if isinstance(frame, Init):
        agent.say(Ready(protocol=1))


async def idle(instance: Instance) -> None:
    await until(lambda: not instance.queue.has_work, "the end of all turns")


@pytest.mark.proves("STREAM-CHECKPOINT-LAST")
async def test_a_turn_goes_from_message_to_checkpoint(house: House) -> None:
    instance = await house.create()
    ack = send(instance, "hello")
    await idle(instance)
    assert [row.type for row in events(instance)] == [
        "state.status",
        "sandbox.provisioning",
        "sandbox.init",
        "state.status",
        "message.user",
        "state.status",
        "stream_start",
        "stream_update",
        "stream_end",
        "checkpoint",
        "state.status",
    ]
    assert contents(instance, "message.user") == [{"text": "hello", "message_id": ack.message_id}]
    assert contents(instance, "checkpoint") == [{"turn_id": ack.turn_id, "seq": 10, "state_version": 0, "iteration": 0}]
    assert instance.status is InstanceStatus.READY


@pytest.mark.proves("STREAM-JOURNAL-FIRST")
async def test_the_acknowledgement_comes_before_any_event_of_the_message_is_shown(house: House) -> None:
    instance = await house.create()
    order: list[str] = []
    instance.audience.join(_Recorder(order))
    send(instance, "hello", acknowledge=lambda ack: order.append("ack"))
    assert order == ["ack", "events"]


@pytest.mark.proves("ON-BUSY-QUEUE")
async def test_turns_run_one_at_a_time_in_the_order_of_their_messages(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    acks = [send(instance, text) for text in ("one", "two", "three")]
    for ack in acks:
        running = instance.queue.running
        assert running is not None
        assert running.entry.message_id == ack.message_id
        await until(lambda expected=ack: house.host.agent.messages()[-1:] == [expected.message_id])  # type: ignore[misc]
        house.host.agent.finish(ack.message_id or "")
    assert not instance.queue.has_work
    assert [row.turn_id for row in events(instance, "checkpoint")] == [ack.turn_id for ack in acks]


@pytest.mark.proves("COMMAND-IDEMPOTENT-BY-ID")
async def test_the_same_command_is_acknowledged_again_and_done_once(house: House) -> None:
    instance = await house.create()
    first = send(instance, "hello", "command-1")
    await idle(instance)
    assert send(instance, "hello", "command-1") == first
    assert len(events(instance, "message.user")) == 1
    assert (await house.crash()).alive(instance.facts.instance_id)
    again = house.supervisor.alive(instance.facts.instance_id)
    assert send(again, "hello", "command-1") == first


@pytest.mark.proves("ON-BUSY-REJECT")
async def test_a_message_that_may_not_wait_is_refused_while_a_turn_runs(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    send(instance, "one")
    with pytest.raises(PodiumError) as refused:
        send(instance, "two", on_busy="reject")
    assert refused.value.code is ErrorCode.BUSY
    assert len(events(instance, "message.user")) == 1


@pytest.mark.proves("ON-BUSY-INTERRUPT")
async def test_an_interrupting_message_cancels_the_turn_and_runs_next(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    first, second = send(instance, "one"), send(instance, "two")
    urgent = send(instance, "now", on_busy="interrupt")
    await until(lambda: house.host.agent.messages() == [first.message_id, urgent.message_id])
    house.host.agent.finish(urgent.message_id or "")
    await until(lambda: house.host.agent.messages()[-1] == second.message_id)
    ends = contents(instance, "stream_end")
    assert [end["stop_reason"] for end in ends] == ["cancelled", "end_turn"]


@pytest.mark.proves("STEER")
async def test_a_steering_message_joins_the_running_turn(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    first = send(instance, "one")
    joined = send(instance, "also this", on_busy="steer")
    assert joined.turn_id == first.turn_id
    await until(lambda: SteerTurn(turn_id=first.turn_id or "", text="also this") in house.host.agent.heard)


@pytest.mark.proves("STEER")
async def test_steering_without_a_turn_is_refused(house: House) -> None:
    instance = await house.create()
    with pytest.raises(PodiumError) as refused:
        instance.commands.steer("left", None)
    assert refused.value.code is ErrorCode.NO_TURN


@pytest.mark.proves("TURN-CANCEL")
async def test_a_cancelled_turn_ends_cancelled(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    send(instance, "one")
    instance.commands.cancel(None)
    await idle(instance)
    assert contents(instance, "stream_end") == [{"text": "", "stop_reason": "cancelled"}]
    assert instance.status is InstanceStatus.READY


async def test_a_waiting_turn_can_be_cancelled_before_it_begins(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    first, second = send(instance, "one"), send(instance, "two")
    instance.commands.cancel_turn(second.turn_id or "")
    house.host.agent.finish(first.message_id or "")
    assert not instance.queue.has_work
    assert [row.turn_id for row in events(instance, "checkpoint")] == [second.turn_id, first.turn_id]
    with pytest.raises(PodiumError) as refused:
        instance.commands.cancel_turn(second.turn_id or "")
    assert refused.value.code is ErrorCode.NO_TURN
    with pytest.raises(PodiumError) as refused:
        instance.commands.cancel_turn("turn-never")
    assert refused.value.code is ErrorCode.TURN_NOT_FOUND


@pytest.mark.noisy("agent_restarts")
@pytest.mark.proves("TURN-CANCEL-IGNORED-RESTART")
async def test_an_agent_that_ignores_a_cancel_is_restarted_and_the_turn_is_not_run_again(
    timed_house: House, clock: ManualClock
) -> None:
    house = timed_house
    house.host.play = deaf
    instance = await house.create()
    send(instance, "one")
    instance.commands.cancel(None)
    await until(lambda: any(isinstance(frame, CancelTurn) for frame in house.host.agent.heard))
    forward(house, clock, 9)
    assert len(house.host.started) == 1
    forward(house, clock, 2)
    await until(lambda: len(house.host.started) == 2 and instance.status is InstanceStatus.READY)
    assert contents(instance, "stream_end") == [{"text": "", "stop_reason": "cancelled"}]
    assert house.host.agent.messages() == []
    await house.supervisor.stop(instance)


@pytest.mark.noisy("agent_restarts")
async def test_a_turn_that_takes_too_long_ends_with_an_error(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    house.host.play = silent
    instance = await house.create()
    send(instance, "one")
    forward(house, clock, instance.limits.turn_timeout_ms / 1000 + 1)
    await idle(instance)
    assert [error["code"] for error in contents(instance, "error")] == ["turn_timeout"]
    assert [row.type for row in events(instance)][-2:] == ["checkpoint", "state.status"]


@pytest.mark.noisy("agent_restarts")
@pytest.mark.proves("AGENT-CRASH-RERUN-ATTEMPT")
async def test_a_turn_is_run_again_when_its_process_dies(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    ack = send(instance, "one")
    instance.commands.steer("and this", None)
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    house.host.agent.end(None, "SIGKILL")
    await until(lambda: len(house.host.started) == 2 and house.host.agent.messages() == [ack.message_id])
    again = house.host.agent
    assert again.init is not None
    assert again.init.turn is not None
    assert [frame.attempt for frame in again.heard if isinstance(frame, Message)] == [2]
    assert SteerTurn(turn_id=ack.turn_id or "", text="and this") in again.heard
    again.finish(ack.message_id or "")
    assert statuses(instance)[-4:] == ["initializing", "ready", "running", "ready"]


async def test_a_turn_without_a_stream_end_gets_one_with_what_was_streamed(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    ack = send(instance, "one")
    agent, message = house.host.agent, ack.message_id or ""
    agent.emit(message, "stream_start", {"message_id": message, "attempt": 1})
    agent.emit(message, "stream_update", {"text": "half an "})
    agent.emit(message, "stream_update", {"text": "answer"})
    agent.say(Complete(message_id=message, stop_reason="max_tokens"))
    agent.flush()
    assert contents(instance, "stream_end") == [{"text": "half an answer", "stop_reason": "max_tokens"}]


@pytest.mark.proves("AGENT-EXCEPTION-ERROR-EVENT")
async def test_an_exception_ends_the_turn_with_an_error_and_the_agent_lives_on(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    ack = send(instance, "one")
    house.host.agent.say(Failed(message_id=ack.message_id or "", error=TurnError("ValueError", "no such thing")))
    house.host.agent.flush()
    assert contents(instance, "error") == [
        {"code": "agent_error", "message": "ValueError: no such thing", "retryable": False}
    ]
    assert instance.status is InstanceStatus.READY
    assert events(instance, "stream_end") == []


async def test_state_and_events_of_one_read_are_one_commit(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    ack = send(instance, "one")
    agent = house.host.agent
    agent.set_state({"count": 0})
    agent.change_state([{"op": "replace", "path": "/count", "value": 1}])
    agent.answer_to(ack.message_id or "", "done")
    agent.flush()
    with instance.reading() as store:
        assert (store.state_version, store.state().data) == (2, b'{"count":1}')
    assert contents(instance, "checkpoint")[0]["state_version"] == 2


async def test_metadata_of_a_message_reaches_the_agent_and_every_client(house: House) -> None:
    house.host.play = silent
    instance = await house.create()
    send(instance, "hello", mood="good")
    await until(lambda: len(house.host.agent.messages()) == 1)
    heard = next(frame for frame in house.host.agent.heard if isinstance(frame, Message))
    assert heard.data == {"text": "hello", "mood": "good", "role": "user"}
    assert contents(instance, "message.user")[0]["mood"] == "good"


async def test_a_message_too_large_for_a_frame_is_refused(house: House) -> None:
    instance = await house.create()
    with pytest.raises(PodiumError) as refused:
        send(instance, "x" * (1024 * 1024))
    assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.proves("AGENT-PRINT-LOGGED")
async def test_what_an_agent_prints_is_in_its_log(house: House) -> None:
    instance = await house.create()
    house.host.agent.prints(b"first line\nsecond ")
    house.host.agent.prints(b"line\n")
    await until(lambda: texts(instance) == ["first line", "second line"])


class _Recorder:
    def __init__(self, order: list[str]) -> None:
        self._order = order

    def published(self, batch: object) -> None:
        self._order.append("events")

    def ended(self, code: object, reason: str) -> None:
        pass
