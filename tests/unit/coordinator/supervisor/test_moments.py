"""Moments of an agent: whose changes are whose, forks, rewinds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from podium.coordinator.supervisor.instance import Instance
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.link import Init, Message, Request, Response, Shutdown, SteerTurn, ToAgent
from podium.wire.moments import CoordinatorFork, MomentRef
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, ScriptedAgent, contents, echo, events, polite, send, until
from tests.unit.coordinator.versioned import VersionedWorkspaces


class Writer:
    """An agent that counts its turns and writes files as it is told: `path=content`, `path=` removes."""

    def __init__(self) -> None:
        self.files: VersionedWorkspaces | None = None

    def __call__(self, agent: ScriptedAgent, frame: ToAgent) -> None:
        polite(agent, frame)
        if isinstance(frame, Init) and frame.state is None:
            agent.set_state({"count": 0})
        if isinstance(frame, Message):
            self._work(agent, frame)

    def _work(self, agent: ScriptedAgent, message: Message) -> None:
        assert self.files is not None
        text = str(message.data["text"])
        if text == "hang":
            return
        for part in text.split():
            path, given, content = part.partition("=")
            if given:
                self.files.write(agent.spec.agent_id, path, content.encode() or None)
        agent.change_state([{"op": "replace", "path": "/count", "value": agent.version}])
        agent.answer_to(message.id, f"did {text}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path, make_workspaces=VersionedWorkspaces)
    house.host.play = writer = Writer()
    writer.files = house.workspaces
    await house.open()
    yield house
    await house.close()


async def turn(instance: Instance, text: str) -> str:
    ack = send(instance, text)
    await until(lambda: not instance.queue.has_work, "the end of the turn")
    assert ack.turn_id is not None
    return ack.turn_id


def files_of(house: House, agent_id: str) -> dict[str, bytes]:
    found: dict[bytes, bytes] = house.workspaces.of[agent_id].files
    return {name.decode(): data for name, data in found.items()}


def state_of(instance: Instance) -> object:
    with instance.reading() as store:
        return msgspec.json.decode(store.state().data)


def said(instance: Instance) -> list[str]:
    with instance.reading() as store:
        return [message.text for message in store.conversation(1000)]


async def fork(house: House, at: MomentRef | None = None, agent_id: str = "fork", source: str = "agent") -> Instance:
    wanted = CoordinatorFork(agent_id, house.new_id("inst"), at)
    instance, _ = await house.supervisor.forks.fork(source, wanted, "default")
    return instance


# ── whose changes are whose ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_turns_changes_are_told_before_its_checkpoint_which_names_the_last_of_them(house: House) -> None:
    instance = await house.create()
    turn_id = await turn(instance, "a=1 b=22 a=")
    told = [row for row in events(instance) if row.turn_id == turn_id][-5:]
    assert [row.type for row in told] == ["stream_end", "file.changed", "file.changed", "file.changed", "checkpoint"]
    assert contents(instance, "file.changed") == [
        {"path": "a", "kind": "created", "iteration": 1, "size": 1},
        {"path": "b", "kind": "created", "iteration": 2, "size": 2},
        {"path": "a", "kind": "deleted", "iteration": 3},
    ]
    assert contents(instance, "checkpoint")[-1]["iteration"] == 3


async def test_the_workspace_knows_the_turn_before_the_agent_does_and_forgets_it_after(house: House) -> None:
    instance = await house.create()
    one, two = await turn(instance, "a=1"), await turn(instance, "b=1")
    house.supervisor.timers.run_due()
    await until(lambda: house.workspaces.notes[-1] == ("agent", None))
    assert [turn_id for _, turn_id in house.workspaces.notes if turn_id] == [one, two]
    assert house.workspaces.notes[-1] == ("agent", None)
    assert [found.turn_id for found in house.workspaces.of["agent"].iterations] == [one, two]


async def test_a_turn_that_touches_no_files_asks_nothing_of_the_workspace(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    house.workspaces.has_pages = True
    before, noted = house.workspaces.asked, len(house.workspaces.notes)
    turns = [await turn(instance, "hello") for _ in range(3)]
    assert house.workspaces.asked == before
    assert [turn_id for _, turn_id in house.workspaces.notes[noted:] if turn_id] == turns
    assert contents(instance, "checkpoint")[-1]["iteration"] == 1
    changing = await turn(instance, "b=1")
    assert house.workspaces.of["agent"].iterations[-1].turn_id == changing
    assert contents(instance, "checkpoint")[-1]["iteration"] == 2


async def test_what_changes_between_turns_belongs_to_none(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    await until(lambda: house.workspaces.of["agent"].turn_id is None)
    house.workspaces.write("agent", "by-hand", b"x")
    await until(lambda: len(events(instance, "file.changed")) == 2)
    assert events(instance, "file.changed")[-1].turn_id == ""


async def test_messages_that_come_while_a_turn_is_being_recorded_wait(house: House) -> None:
    instance = await house.create()
    house.workspaces.delay = 0.05
    first = send(instance, "a=1")
    running = instance.queue.running
    assert running is not None
    await until(lambda: running.concluding)
    second = send(instance, "b=1", on_busy="steer")
    third = send(instance, "c=1", on_busy="interrupt")
    with pytest.raises(PodiumError) as refused:
        instance.commands.steer("more", None)
    assert refused.value.code is ErrorCode.NO_TURN
    instance.commands.cancel(None)
    await until(lambda: not instance.queue.has_work)
    ended = [row["turn_id"] for row in contents(instance, "checkpoint")]
    assert ended == [first.turn_id, third.turn_id, second.turn_id]
    assert not any(isinstance(frame, SteerTurn) for frame in house.host.agent.heard)


async def test_an_agent_that_dies_while_its_turn_is_being_recorded_is_not_run_again(house: House) -> None:
    instance = await house.create()
    house.workspaces.delay = 0.05
    ack = send(instance, "a=1")
    running = instance.queue.running
    assert running is not None
    await until(lambda: running.concluding)
    house.host.agent.end(1)
    await until(lambda: instance.status is InstanceStatus.READY and not instance.queue.has_work)
    assert [row["turn_id"] for row in contents(instance, "checkpoint")] == [ack.turn_id]
    assert len(contents(instance, "stream_start")) == 1


async def test_a_coordinator_that_dies_while_a_turn_is_being_recorded_runs_it_again(house: House) -> None:
    instance = await house.create()
    house.workspaces.delay = 0.05
    ack = send(instance, "a=1")
    running = instance.queue.running
    assert running is not None
    await until(lambda: running.concluding)
    house.workspaces.delay = 0.0
    await house.crash()
    instance = house.supervisor.instances[instance.facts.instance_id]
    await until(lambda: not instance.queue.has_work and instance.status is InstanceStatus.READY)
    assert [row["turn_id"] for row in contents(instance, "checkpoint")] == [ack.turn_id]
    assert [row["attempt"] for row in contents(instance, "stream_start")] == [2]  # the first was not heard


@pytest.mark.noisy("files_not_recorded")
async def test_a_turn_ends_though_the_workspace_does_not_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.coordinator.supervisor.files.RECORD_SECONDS", 0.01)
    instance = await house.create()
    house.workspaces.delay = 5.0
    await turn(instance, "a=1")
    assert len(contents(instance, "checkpoint")) == 1
    house.workspaces.delay = 0.0


# ── what the agent asks ─────────────────────────────────────────────────────────────────────────────────────────


async def ask(house: House, number: int, method: str, **params: object) -> Response:
    agent = house.host.agent
    agent.say(Request(id=number, method=method, params=params))
    agent.flush()

    def answers() -> list[Response]:
        return [frame for frame in agent.heard if isinstance(frame, Response) and frame.id == number]

    await until(lambda: bool(answers()), f"the answer to {method}")
    return answers()[0]


async def test_an_agent_names_moments_sees_versions_and_takes_back(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1 b=1")
    named = await ask(house, 1, "checkpoint", label="good")
    assert named.result == {"iteration": 2, "label": "good"}
    await turn(instance, "a=2 b=")
    history = (await ask(house, 2, "history", path="a")).result
    assert [(found["iteration"], found["kind"], found["path"]) for found in history] == [
        (3, "modify", "a"),
        (1, "create", "a"),
    ]
    assert len((await ask(house, 3, "history")).result) == 4
    assert (await ask(house, 4, "restore", label="good", path="a")).result == {"iteration": 5}
    assert files_of(house, "agent") == {"a": b"1"}
    assert (await ask(house, 5, "restore", iteration=2)).result == {"iteration": 6}
    assert files_of(house, "agent") == {"a": b"1", "b": b"1"}
    for params in ({"label": "never"}, {"iteration": 99}, {}, {"iteration": 1, "label": "good"}, {"label": 5}):
        assert (await ask(house, 6 + hash(str(params)) % 1000, "restore", **params)).error


# ── forks ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_fork_begins_as_the_agent_was_and_can_be_talked_to(house: House) -> None:
    instance = await house.create(config={"model": "m"}, environment={"A": "1"}, secrets={"S": "hidden"})
    first = await turn(instance, "a=1")
    await turn(instance, "a=2 b=1")
    child = await fork(house, first)
    assert child.status is InstanceStatus.ASLEEP
    assert state_of(child) == {"count": 1}
    assert files_of(house, "fork") == {"a": b"1"}
    assert said(child) == ["a=1", "did a=1"]
    forked = contents(child, "agent.forked")[-1]
    assert forked["agent_id"] == "agent"
    assert forked["turn_id"] == first
    assert forked["iteration"] == 1
    await turn(child, "c=1")
    assert house.host.agent.spec.environment == {"A": "1", "S": "hidden"}
    assert house.host.agent.init is not None
    assert house.host.agent.init.config["model"] == "m"
    assert files_of(house, "fork") == {"a": b"1", "c": b"1"}
    assert files_of(house, "agent") == {"a": b"2", "b": b"1"}
    assert [row.seq for row in events(child)] == list(range(1, len(events(child)) + 1))


async def test_a_fork_of_now_while_a_turn_runs_is_of_the_last_turn_that_ended(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    ack = send(instance, "hang")
    child = await fork(house)
    assert said(child)[-1] == "did a=1"
    with pytest.raises(PodiumError) as refused:
        await fork(house, ack.turn_id, "other")
    assert refused.value.code is ErrorCode.BUSY
    assert instance.queue.running is not None


async def test_a_fork_at_an_event_is_of_the_newest_turn_that_had_ended(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2")
    with instance.reading() as store:
        moment = store.moments.of_turn(first)
    assert moment is not None
    child = await fork(house, moment.seq + 2)
    assert contents(child, "agent.forked")[-1]["turn_id"] == first


@pytest.mark.parametrize("at", ["turn-unknown", 1, 10_000])
async def test_a_moment_that_never_was_is_not_found(house: House, at: MomentRef) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    with pytest.raises(PodiumError) as refused:
        await fork(house, at)
    assert refused.value.code is ErrorCode.TURN_NOT_FOUND
    assert house.supervisor.parts.catalog.agent("fork") is None


async def test_a_name_that_is_taken_and_an_agent_that_is_not_there_are_told(house: House) -> None:
    await house.create()
    await house.create("other")
    with pytest.raises(PodiumError) as taken:
        await fork(house, agent_id="other")
    assert taken.value.code is ErrorCode.AGENT_IN_USE
    with pytest.raises(PodiumError) as missing:
        await fork(house, source="nobody")
    assert missing.value.code is ErrorCode.AGENT_NOT_FOUND
    with pytest.raises(PodiumError) as foreign:
        await house.supervisor.forks.fork("agent", CoordinatorFork("fork", "inst-1"), "another tenant")
    assert foreign.value.code is ErrorCode.AGENT_NOT_FOUND


async def test_the_same_fork_asked_for_twice_is_one(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    wanted = CoordinatorFork("fork", house.new_id("inst"))
    forks = await asyncio.gather(*(house.supervisor.forks.fork("agent", wanted, "default") for _ in range(3)))
    assert len({id(made) for made, _ in forks}) == 1
    assert {moment.seq for _, moment in forks} == {forks[0][1].seq}


async def test_stopped_agents_can_be_forked(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    await house.supervisor.stop(instance)
    child = await fork(house)
    await turn(child, "b=1")
    assert files_of(house, "fork") == {"a": b"1", "b": b"1"}


async def test_forks_of_forks_survive_a_restart_of_the_coordinator(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    child = await fork(house)
    await turn(child, "b=1")
    grandchild = await fork(house, agent_id="grandchild", source="fork")
    await house.crash()
    again = house.supervisor.instances[grandchild.facts.instance_id]
    await turn(again, "c=1")
    assert said(again) == ["a=1", "did a=1", "b=1", "did b=1", "c=1", "did c=1"]
    assert files_of(house, "grandchild") == {"a": b"1", "b": b"1", "c": b"1"}


async def test_a_fork_whose_files_can_not_be_had_is_not_made(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    kept = house.workspaces.of.pop("agent")
    with pytest.raises(PodiumError) as refused:
        await fork(house)
    assert refused.value.code is ErrorCode.ITERATION_NOT_FOUND
    assert house.supervisor.parts.catalog.agent("fork") is None
    assert not (house.supervisor.parts.directory / "fork").exists()
    house.workspaces.of["agent"] = kept


@pytest.mark.parametrize("point", ["fork.claimed", "fork.files", "fork.shared"])
async def test_a_coordinator_that_dies_in_a_fork_leaves_none_of_it(house: House, point: str) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    house.fault = _dying_at(point)
    with pytest.raises(_Died):
        await fork(house)
    house.fault = lambda _: None
    await house.crash()
    assert house.supervisor.of_agent("fork") is None
    child = await fork(house)
    assert files_of(house, "fork") == {"a": b"1"}
    assert said(child) == ["a=1", "did a=1"]


async def test_a_coordinator_that_dies_before_a_fork_has_an_instance_leaves_its_name_free(house: House) -> None:
    instance = await house.create()
    await turn(instance, "a=1")
    catalog = house.supervisor.parts.catalog
    catalog.ensure_agent("fork", "default", instance.facts.deployment, 0)
    await house.crash()
    assert house.supervisor.parts.catalog.agent("fork") is None
    child = await fork(house)
    assert said(child) == ["a=1", "did a=1"]


# ── rewinds ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_rewind_takes_state_files_and_conversation_back(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2 b=1")
    rewound = await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    assert rewound.moment.turn_id == first
    assert state_of(instance) == {"count": 1}
    assert files_of(house, "agent") == {"a": b"1"}
    assert said(instance) == ["a=1", "did a=1"]
    await until(lambda: instance.status is InstanceStatus.READY)
    assert house.host.agent.init is not None
    assert house.host.agent.init.state == {"count": 1}
    await turn(instance, "c=1")
    assert said(instance) == ["a=1", "did a=1", "c=1", "did c=1"]
    assert files_of(house, "agent") == {"a": b"1", "c": b"1"}
    assert [row.seq for row in events(instance)] == list(range(1, len(events(instance)) + 1))


async def test_a_rewind_is_undone_by_another(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2 b=1")
    house.workspaces.write("agent", "by-hand", b"x")
    rewinds = house.supervisor.rewinds
    rewound = await rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    await rewinds.rewind("agent", rewound.undo, cancel=False, tenant_id="default")
    assert state_of(instance) == {"count": 2}
    assert files_of(house, "agent") == {"a": b"2", "b": b"1", "by-hand": b"x"}
    assert said(instance) == ["a=1", "did a=1", "a=2 b=1", "did a=2 b=1"]


async def test_a_running_turn_is_in_the_way_unless_it_may_be_cancelled(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    running, waiting = send(instance, "hang"), send(instance, "b=1")
    with pytest.raises(PodiumError) as refused:
        await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    assert refused.value.code is ErrorCode.BUSY
    await house.supervisor.rewinds.rewind("agent", first, cancel=True, tenant_id="default")
    assert files_of(house, "agent") == {"a": b"1"}
    assert said(instance) == ["a=1", "did a=1"]
    with instance.reading() as store:
        states = [row.state for row in (store.turn(running.turn_id or ""), store.turn(waiting.turn_id or "")) if row]
    assert states == ["cancelled", "cancelled"]


async def test_a_message_that_comes_while_the_agent_is_taken_back_is_worked_on_after(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2")
    house.workspaces.delay = 0.05
    rewinding = asyncio.gather(house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default"))
    await until(lambda: instance.refusing)
    with pytest.raises(PodiumError) as refused:
        send(instance, "b=1")
    assert refused.value.code is ErrorCode.BUSY
    await until(lambda: not instance.refusing)
    send(instance, "c=1")
    await rewinding
    await until(lambda: not instance.queue.has_work)
    assert files_of(house, "agent") == {"a": b"1", "c": b"1"}
    assert said(instance) == ["a=1", "did a=1", "c=1", "did c=1"]


async def test_sleeping_agents_are_taken_back_without_being_woken(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2")
    instance.life.sleep()
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    assert instance.status is InstanceStatus.ASLEEP
    assert files_of(house, "agent") == {"a": b"1"}
    assert len(house.host.started) == 1


async def test_an_agent_that_does_not_come_up_is_taken_back_to_where_it_did(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2")
    instance.life.sleep()
    await until(lambda: not instance.life.busy)
    writer, house.host.play = house.host.play, lambda agent, frame: None
    instance.life.wake()
    await until(lambda: len(house.host.started) == 2)
    house.host.play = writer
    await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    await turn(instance, "c=1")
    assert files_of(house, "agent") == {"a": b"1", "c": b"1"}
    assert said(instance) == ["a=1", "did a=1", "c=1", "did c=1"]


async def test_agents_without_an_instance_and_unknown_moments_are_told(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    for at in ("turn-unknown", 1, 10_000):
        with pytest.raises(PodiumError) as unknown:
            await house.supervisor.rewinds.rewind("agent", at, cancel=False, tenant_id="default")
        assert unknown.value.code is ErrorCode.TURN_NOT_FOUND
    await house.supervisor.stop(instance)
    with pytest.raises(PodiumError) as over:
        await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    assert over.value.code is ErrorCode.INSTANCE_NOT_FOUND


@pytest.mark.noisy("task_failed")
@pytest.mark.parametrize("point", ["rewind.stopped", "rewind.committed", "rewind.restored", "rewind.arrived"])
async def test_a_coordinator_that_dies_in_a_rewind_has_done_it_wholly_or_not_at_all(house: House, point: str) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2 b=1")
    house.fault = _dying_at(point)
    with pytest.raises(_Died):
        await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    house.fault = lambda _: None
    await house.crash()
    instance = house.supervisor.instances[instance.facts.instance_id]
    await until(lambda: not instance.rewinding, "the end of the rewind")
    back = point != "rewind.stopped"
    assert state_of(instance) == {"count": 1 if back else 2}
    assert files_of(house, "agent") == ({"a": b"1"} if back else {"a": b"2", "b": b"1"})
    assert said(instance)[-1] == ("did a=1" if back else "did a=2 b=1")
    await turn(instance, "c=1")
    assert len(contents(instance, "agent.rewound")) == (1 if back else 0)


async def test_files_that_can_not_be_taken_back_are_told_and_tried_again_at_the_next_start(house: House) -> None:
    instance = await house.create()
    first = await turn(instance, "a=1")
    await turn(instance, "a=2")
    instance.life.sleep()
    await until(lambda: not instance.life.busy)
    house.workspaces.refuses = "the disk is full"
    with pytest.raises(PodiumError):
        await house.supervisor.rewinds.rewind("agent", first, cancel=False, tenant_id="default")
    house.workspaces.refuses = None
    await turn(instance, "c=1")
    assert files_of(house, "agent") == {"a": b"1", "c": b"1"}


class _Died(BaseException):
    """What ends a coordinator at a named point of these tests."""


def _dying_at(point: str):  # type: ignore[no-untyped-def]
    def fault(reached: str) -> None:
        if reached == point:
            raise _Died

    return fault


async def test_a_plain_directory_has_no_moments_to_go_back_to(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.host.play = echo
    await house.open()
    try:
        instance = await house.create()
        ack = send(instance, "hello")
        await until(lambda: not instance.queue.has_work)
        with pytest.raises(PodiumError) as refused:
            await house.supervisor.rewinds.rewind("agent", ack.turn_id or "", cancel=False, tenant_id=None)
        assert refused.value.code is ErrorCode.INVALID_REQUEST
        assert not any(isinstance(frame, Shutdown) for frame in house.host.agent.heard)
    finally:
        await house.close()
