"""Turns and starts are seen: as spans below whatever asked for them, and as measures."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from podium.base import telemetry
from podium.base.clock import ManualClock
from podium.base.telemetry.spans import Span, record_with
from podium.coordinator.adapters.store import StoreError
from podium.coordinator.supervisor.course import CHILDREN_MAX
from podium.wire.errors import PodiumError
from podium.wire.link import Failed, Init, Message, ToAgent, TurnError
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, ScriptedAgent, contents, forward, polite, send, until
from tests.unit.coordinator.wires import Client

CLIENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


class Noted(Span):
    """A span that is kept."""

    def __init__(self, name: str, parent: str, attributes: Mapping[str, Any], number: int) -> None:
        super().__init__(f"{parent[:36] or f'00-{number:032x}-'}{number:016x}-01")
        self.name, self.parent, self.attributes = name, parent, dict(attributes)
        self.events: list[str] = []
        self.failure = ""
        self.ends = 0

    @property
    def recorded(self) -> bool:
        return self.ends == 0

    def set(self, attributes: Mapping[str, Any]) -> None:
        self.attributes |= attributes

    def event(self, name: str, attributes: Mapping[str, Any] = {}) -> None:
        self.events.append(name)

    def fail(self, reason: str) -> None:
        self.failure = reason

    def end(self) -> None:
        self.ends += 1


class Book:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.spans: list[Noted] = []

    def begin(self, name: str, parent: str, _kind: str, attributes: Mapping[str, Any]) -> Noted:
        self.spans.append(Noted(name, parent, attributes, len(self.spans) + 1))
        return self.spans[-1]

    def named(self, name: str) -> list[Noted]:
        return [span for span in self.spans if span.name.startswith(name)]


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
    record_with(made)
    yield made
    record_with(None)


def messages(agent: ScriptedAgent) -> list[Message]:
    return [frame for frame in agent.heard if isinstance(frame, Message)]


def sample(house: House, line: str) -> float:
    """A value of the metrics page."""
    lines = house.supervisor.parts.metrics.page().splitlines()
    return next((float(each.rsplit(" ", 1)[1]) for each in lines if each.startswith(f"podium_{line} ")), 0.0)


@pytest.mark.proves("TRACE-ONE")
async def test_the_start_of_an_agent_that_is_woken_belongs_to_the_turn_that_woke_it(
    timed_house: House, clock: ManualClock, book: Book
) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    with telemetry.span("create", parent=CLIENT) as create:
        instance = await house.create()
    (first,) = book.named("agent.start")
    assert first.parent == create.traceparent
    assert house.host.agent.spec.environment["TRACEPARENT"] == first.traceparent
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)

    with telemetry.span("request", parent=CLIENT) as request:
        send(instance, "wake up")
    await until(lambda: contents(instance, "stream_end") != [])
    (turn,) = book.named("invoke_agent echo")
    woken = book.named("agent.start")[1]
    assert (turn.parent, woken.parent) == (request.traceparent, turn.traceparent)
    assert [span.parent for span in book.named("workspace.open")] == [first.traceparent, woken.traceparent]
    assert house.host.agent.spec.environment["TRACEPARENT"] == woken.traceparent
    assert [message.traceparent for message in messages(house.host.agent)] == [turn.traceparent]
    assert all(span.ends == 1 for span in book.spans)


@pytest.mark.proves("TRACE-STREAM")
async def test_an_agent_that_is_woken_by_a_connection_is_woken_in_its_trace(
    timed_house: House, clock: ManualClock, book: Book
) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    client = Client(house, instance.facts.instance_id, traceparent=CLIENT)
    await until(lambda: instance.status is InstanceStatus.READY)
    assert book.named("agent.start")[1].parent == CLIENT
    client.say({"type": "process_message", "id": "c-1", "content": {"text": "hello"}})
    await until(lambda: contents(instance, "stream_end") != [])
    (command,) = book.named("command process_message")
    assert command.parent == CLIENT
    assert book.named("invoke_agent")[0].parent == command.traceparent
    client.leave()
    await until(lambda: not len(instance.audience))


async def test_a_turn_is_measured_from_its_acceptance_over_its_wait_to_its_end(
    timed_house: House, clock: ManualClock, book: Book
) -> None:
    house = timed_house
    house.host.play = polite
    instance = await house.create()
    one, two = send(instance, "one"), send(instance, "two")
    agent = house.host.agent
    clock.advance(7)
    agent.emit(one.message_id or "", "stream_start", {"message_id": one.message_id, "attempt": 1})
    agent.flush()
    assert sample(house, "turn_first_output_seconds_count") == 0  # nobody sees anything of it yet
    agent.emit(one.message_id or "", "stream_update", {"text": "x"})
    agent.flush()
    assert sample(house, "turn_first_output_seconds_sum") == 7
    agent.answer_to(one.message_id or "", "x")
    agent.flush()
    await until(lambda: len(messages(agent)) == 2)
    assert sample(house, "turn_queue_seconds_sum") == 7
    clock.advance(1)
    agent.answer_to(two.message_id or "", "y")
    agent.flush()
    assert sample(house, 'turn_seconds_sum{outcome="done"}') == 7 + 8
    assert sample(house, "turns_total") == 2
    assert sample(house, "commit_seconds_count") == sample(house, "batches_total")
    assert [turn.events for turn in book.named("invoke_agent")] == [["delivered", "first output"]] * 2


async def test_a_turn_another_process_of_the_coordinator_goes_on_with_stays_in_its_trace(
    house: House, book: Book
) -> None:
    house.host.play = polite
    instance = await house.create()
    with telemetry.span("request", parent=CLIENT) as request:
        send(instance, "long")
    await until(lambda: messages(house.host.agent) != [])
    supervisor = await house.crash()
    again = supervisor.instances[instance.facts.instance_id]
    await until(lambda: len(house.host.started) == 2 and messages(house.host.agent) != [])
    before, after = book.named("invoke_agent")
    (message,) = messages(house.host.agent)
    assert after.parent == before.parent == request.traceparent
    assert (message.attempt, message.traceparent) == (2, after.traceparent)
    assert message.origin.channel == "stream"  # what the agent is told of where it came from is as before
    house.host.agent.answer_to(message.id, "done")
    house.host.agent.flush()
    await until(lambda: contents(again, "stream_end") != [])
    assert (after.ends, after.attributes["podium.turn.outcome"]) == (1, "done")


async def test_an_agent_can_not_fill_a_trace_with_tool_calls(house: House, book: Book) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "go")
    await until(lambda: messages(house.host.agent) != [])
    for number in range(CHILDREN_MAX + 50):
        call = {"tool_call_id": f"call-{number}", "tool_name": "x" * 1000}
        house.host.agent.emit(ack.message_id or "", "tool.call", {**call, "arguments": {}})
        if number % 2:
            house.host.agent.emit(ack.message_id or "", "tool.error", {**call, "message": "a secret"})
    house.host.agent.answer_to(ack.message_id or "", "")
    house.host.agent.flush()
    tools = book.named("execute_tool")
    assert len(tools) == CHILDREN_MAX
    assert all(tool.ends == 1 and len(tool.name) < 150 for tool in tools)
    assert "secret" not in repr([(tool.attributes, tool.failure) for tool in tools])
    assert sum(tool.failure != "" for tool in tools) == CHILDREN_MAX / 2


async def test_what_models_took_is_added_up(house: House, book: Book) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "go")
    await until(lambda: messages(house.host.agent) != [])
    for tokens in (10, 5):
        used = {"model": "m", "provider": "p", "input_tokens": tokens, "output_tokens": 1, "cached_tokens": 0}
        house.host.agent.emit(ack.message_id or "", "usage.update", {**used, "cost_micro_dollars": 500_000})
    house.host.agent.answer_to(ack.message_id or "", "")
    house.host.agent.flush()
    (turn,) = book.named("invoke_agent")
    assert turn.attributes["gen_ai.usage.input_tokens"] == 15
    assert turn.events.count("gen_ai.usage") == 2
    assert sample(house, 'tokens_total{kind="input"}') == 15
    assert sample(house, "model_cost_dollars_total") == 1


async def test_a_turn_that_fails_is_a_span_that_failed_and_what_was_said_is_not_in_it(house: House, book: Book) -> None:
    def fails(agent: ScriptedAgent, frame: ToAgent) -> None:
        polite(agent, frame)
        if isinstance(frame, Message):
            agent.say(Failed(message_id=frame.id, error=TurnError("ValueError", "a secret")))

    house.host.play = fails
    instance = await house.create()
    send(instance, "go")
    await until(lambda: contents(instance, "error") != [])
    (turn,) = book.named("invoke_agent")
    assert (turn.ends, turn.failure, turn.attributes["podium.turn.outcome"]) == (1, "error", "failed")
    assert "secret" not in repr(turn.attributes)
    assert sample(house, 'turn_seconds_count{outcome="failed"}') == 1


@pytest.mark.noisy("agent_restarts")
async def test_a_process_that_is_lost_shows_in_the_span_of_its_turn_and_the_next_start_is_below_it(
    house: House, book: Book
) -> None:
    house.host.play = polite
    instance = await house.create()
    send(instance, "go")
    await until(lambda: messages(house.host.agent) != [])
    house.host.agent.end(1)
    await until(lambda: len(house.host.started) == 2 and messages(house.host.agent) != [])
    (turn,) = book.named("invoke_agent")
    assert turn.events == ["delivered", "process lost", "delivered"]
    assert book.named("agent.start")[1].parent == turn.traceparent
    assert sample(house, "turn_queue_seconds_count") == 1  # the second delivery is no wait of the message


@pytest.mark.noisy("instance_failed")
async def test_a_start_that_fails_is_counted_and_marked(house: House, book: Book) -> None:
    def broken(agent: ScriptedAgent, frame: ToAgent) -> None:
        if isinstance(frame, Init):
            agent.say(Failed(message_id="", error=TurnError("ValueError", "no")))

    house.host.play = broken
    with pytest.raises(PodiumError):
        await house.create()
    (start,) = book.named("agent.start")
    assert (start.ends, start.failure) == (1, "StartFailure")
    assert sample(house, "start_failures_total") == 1
    assert sample(house, "start_seconds_count") == 0


@pytest.mark.noisy("storage_failed")
async def test_a_message_that_could_not_be_accepted_leaves_no_turn_behind(house: House, book: Book) -> None:
    house.host.play = polite
    instance = await house.create()

    def refuse(point: str) -> None:
        if point == "messages.commit":
            raise StoreError("messages", "a fault of the test")

    house.fault = refuse
    with pytest.raises(PodiumError):
        send(instance, "go")
    house.fault = lambda _: None
    (turn,) = book.named("invoke_agent")
    assert (turn.ends, turn.failure) == (1, "not accepted")
    assert sample(house, "storage_failures_total") == 1
