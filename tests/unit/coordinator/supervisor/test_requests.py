"""Questions and permissions are rows that wait for a person: the first answer wins, a deadline takes the default."""

from typing import Any

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.supervisor.instance import Instance
from podium.wire.commands import Ack, AnswerContent
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.link import AnswerRequest
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, contents, events, forward, polite, send, statuses, until

OPTIONS = [
    {"option_id": "yes", "name": "Yes", "kind": "allow_once"},
    {"option_id": "no", "name": "No", "kind": "reject_once"},
]


async def asking(house: House, request_id: str = "req-1", **more: Any) -> tuple[Instance, Ack]:
    """An instance whose running turn waits for a permission."""
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "do it")
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    ask(house, ack, request_id, **more)
    return instance, ack


def ask(house: House, ack: Ack, request_id: str = "req-1", **more: Any) -> None:
    content = {"request_id": request_id, "tool_name": "rm", "options": OPTIONS, **more}
    house.host.agent.emit(ack.message_id or "", "tool.permission_requested", content)
    house.host.agent.flush()


def answers(house: House) -> list[AnswerRequest]:
    return [frame for frame in house.host.agent.heard if isinstance(frame, AnswerRequest)]


async def test_a_permission_waits_and_its_answer_reaches_the_agent(house: House) -> None:
    instance, ack = await asking(house)
    assert statuses(instance)[-1] == "waiting"
    instance.commands.answer(AnswerContent("req-1", option_id="yes"), None)
    assert instance.status is InstanceStatus.RUNNING
    assert answers(house) == [AnswerRequest(request_id="req-1", outcome="selected", option_id="yes")]
    assert contents(instance, "tool.approval_resolved") == [
        {"request_id": "req-1", "outcome": "selected", "by": "client", "option_id": "yes"}
    ]
    house.host.agent.finish(ack.message_id or "")
    assert statuses(instance)[-4:] == ["running", "waiting", "running", "ready"]


@pytest.mark.proves("REQUEST-FIRST-ANSWER-WINS")
async def test_the_first_answer_wins(house: House) -> None:
    instance, _ = await asking(house)
    instance.commands.answer(AnswerContent("req-1", option_id="no"), "first")
    with pytest.raises(PodiumError) as refused:
        instance.commands.answer(AnswerContent("req-1", option_id="yes"), "second")
    assert refused.value.code is ErrorCode.ALREADY_RESOLVED
    assert instance.commands.answer(AnswerContent("req-1", option_id="no"), "first").id == "first"
    assert len(answers(house)) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (AnswerContent("req-9", option_id="yes"), ErrorCode.REQUEST_NOT_FOUND),
        (AnswerContent("req-1", option_id="perhaps"), ErrorCode.INVALID_REQUEST),
        (AnswerContent("req-1", answers={"q": 1}), ErrorCode.INVALID_REQUEST),
    ],
)
async def test_an_answer_that_fits_nothing_is_refused(house: House, answer: AnswerContent, code: ErrorCode) -> None:
    instance, _ = await asking(house)
    with pytest.raises(PodiumError) as refused:
        instance.commands.answer(answer, None)
    assert refused.value.code is code
    assert instance.status is InstanceStatus.WAITING


async def test_a_dismissed_permission_is_told_as_dismissed(house: House) -> None:
    instance, _ = await asking(house)
    instance.commands.answer(AnswerContent("req-1", dismissed=True), None)
    assert answers(house) == [AnswerRequest(request_id="req-1", outcome="dismissed")]


@pytest.mark.proves("REQUEST-DEADLINE-DEFAULT")
async def test_at_its_deadline_the_default_is_taken(timed_house: House, clock: ManualClock) -> None:
    instance, _ = await asking(timed_house, expires_at=clock.now_ms() + 5_000, default="no")
    forward(timed_house, clock, 4.9)
    assert statuses(instance)[-1] == "waiting"
    forward(timed_house, clock, 0.2)
    assert answers(timed_house) == [AnswerRequest(request_id="req-1", outcome="expired", option_id="no")]
    assert instance.status is InstanceStatus.RUNNING


async def test_time_spent_waiting_for_a_person_does_not_count_against_the_turn(
    timed_house: House, clock: ManualClock
) -> None:
    instance, _ = await asking(timed_house)
    limit = instance.limits.turn_timeout_ms / 1000
    forward(timed_house, clock, 10 * limit)
    assert statuses(instance)[-1] == "waiting"
    instance.commands.answer(AnswerContent("req-1", option_id="yes"), None)
    forward(timed_house, clock, limit - 1)
    assert instance.queue.running is not None
    assert instance.queue.running.ending is None
    forward(timed_house, clock, 2)
    await until(lambda: instance.queue.running is None)
    assert contents(instance, "error")[0]["code"] == "turn_timeout"


@pytest.mark.proves("REQUEST-CANCELLED-WITH-TURN")
async def test_a_request_ends_with_its_turn(house: House) -> None:
    instance, ack = await asking(house)
    house.host.agent.finish(ack.message_id or "")
    assert contents(instance, "tool.approval_resolved") == [
        {"request_id": "req-1", "outcome": "cancelled", "by": "turn"}
    ]
    assert [row.type for row in events(instance)][-2:] == ["state.status", "state.status"]
    assert instance.status is InstanceStatus.READY


@pytest.mark.noisy("agent_restarts")
@pytest.mark.proves("REQUEST-SURVIVES-CRASH")
async def test_what_was_answered_while_the_process_was_away_is_answered_at_once_when_asked_again(house: House) -> None:
    instance, ack = await asking(house)
    house.host.play = lambda agent, frame: None
    house.host.agent.end(1)
    await until(lambda: len(house.host.started) == 2)
    instance.commands.answer(AnswerContent("req-1", option_id="yes"), None)
    house.host.play = polite
    house.host.agent.end(1)
    await until(lambda: len(house.host.started) == 3 and house.host.agent.messages() == [ack.message_id])
    ask(house, ack)
    assert answers(house) == [AnswerRequest(request_id="req-1", outcome="selected", option_id="yes")]
    assert len(events(instance, "tool.permission_requested")) == 1
    assert instance.status is InstanceStatus.RUNNING


@pytest.mark.noisy("agent_restarts")
async def test_a_question_asked_again_after_a_crash_is_not_told_twice(house: House) -> None:
    instance, ack = await asking(house)
    house.host.agent.end(1)
    await until(lambda: len(house.host.started) == 2 and house.host.agent.messages() == [ack.message_id])
    ask(house, ack)
    assert len(events(instance, "tool.permission_requested")) == 1
    assert statuses(instance)[-1] == "waiting"
    instance.commands.answer(AnswerContent("req-1", option_id="yes"), None)
    assert len(answers(house)) == 1


async def test_an_agent_that_waits_for_a_person_sleeps_and_the_answer_wakes_it(
    timed_house: House, clock: ManualClock
) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance, ack = await asking(house)
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    assert not instance.is_open
    instance.commands.answer(AnswerContent("req-1", option_id="yes"), None)
    await until(lambda: len(house.host.started) == 2 and house.host.agent.messages() == [ack.message_id])
    ask(house, ack)
    assert answers(house) == [AnswerRequest(request_id="req-1", outcome="selected", option_id="yes")]
    house.host.agent.finish(ack.message_id or "")
    assert instance.status is InstanceStatus.READY


async def test_a_deadline_passes_while_the_agent_sleeps(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance, ack = await asking(house, expires_at=clock.now_ms() + 600_000, default="no")
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    forward(house, clock, 600)
    await until(lambda: len(house.host.started) == 2 and house.host.agent.messages() == [ack.message_id])
    assert contents(instance, "tool.approval_resolved")[0]["outcome"] == "expired"


@pytest.mark.proves("REQUEST-SURVIVES-CRASH")
async def test_a_deadline_passes_while_the_coordinator_is_down(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    _, ack = await asking(house, expires_at=clock.now_ms() + 600_000, default="no")
    await house.crash()
    clock.advance(601)
    instance = house.supervisor.of_agent("agent")
    assert instance is not None
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    forward(house, clock, 1)
    assert contents(instance, "tool.approval_resolved")[0]["outcome"] == "expired"
