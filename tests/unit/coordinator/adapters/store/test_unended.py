"""An agent's three replicas end at different moments: whatever the combination, the journal says nothing the others don't reach."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, MomentRow, validate_directory
from podium.coordinator.adapters.store.lost import end_history, fill_lost
from tests.unit.coordinator.adapters.store.writing import (
    AGENT,
    FILES,
    INSTANCE,
    accept,
    ask,
    change_state,
    counting,
    encode,
    resolve,
    set_count,
    start,
)

TURNS = 2

MOMENTS = range(2 * TURNS + 2)
"""Moments of `lived`: all is accepted; then of each turn: it has changed state and files, it has ended; at last the next has begun."""


class Restored(NamedTuple):
    """What is there after a restore, and what is said of it."""

    store: AgentStore
    reopened: list[str]


def end(store: AgentStore, name: str, iteration: int, *, outcome: str = "done") -> int:
    """The turn ends in a checkpoint as the coordinator writes it; its number."""
    turn_id = f"turn-{name}"
    with store.batch() as batch:
        content = encode({"text": name, "stop_reason": "end_turn"})
        batch.event("stream_end", content, instance_id=INSTANCE, turn_id=turn_id)
        seq, version = batch.heads.seq + 1, batch.heads.version
        told = {"turn_id": turn_id, "seq": seq, "state_version": version, "iteration": iteration}
        batch.event("checkpoint", encode(told), instance_id=INSTANCE, turn_id=turn_id)
        batch.checkpoint(turn_id, seq, version, iteration)
        batch.finish_turn(name, "cancelled" if outcome == "cancelled" else "done", "end_turn")
    return seq


def copied(source: Path, moment: int) -> None:
    """What a replica has at this moment: the database files with their logs."""
    for path in FILES.values():
        to = source.parent / f"at-{moment}" / path
        to.parent.mkdir(parents=True)
        for suffix in ("", "-wal"):
            if Path(f"{source / path}{suffix}").exists():
                shutil.copy(f"{source / path}{suffix}", f"{to}{suffix}")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent of two turns that ended and a third that runs; beside it what it was at each moment."""
    clock, directory = ManualClock(), tmp_path_factory.mktemp("lived") / AGENT
    with closing(counting(directory, clock)) as store:
        for name in ("1", "2", "3"):
            accept(store, name)
        copied(directory, 0)
        for turn in range(1, TURNS + 1):
            clock.advance(1)
            start(store, str(turn))
            change_state(store, set_count(turn), f"turn-{turn}")
            copied(directory, 2 * turn - 1)
            end(store, str(turn), turn)
            copied(directory, 2 * turn)
        clock.advance(1)
        start(store, "3")
        copied(directory, 2 * TURNS + 1)
    return directory.parent


def restored(lived: Path, target: Path, clock: ManualClock, state: int, messages: int, files: int) -> Restored:
    """The agent from a journal of this moment, and a state and a history with the changes of so many turns."""
    for kind, moment in (("state", 2 * state), ("messages", messages), ("logs", messages)):
        shutil.copytree((lived / f"at-{moment}" / FILES[kind]).parent, (target / FILES[kind]).parent)
    fill_lost(target, AGENT, clock, INSTANCE, 0)
    end_history(target, files)
    store = AgentStore.open(target, AGENT, clock)
    return Restored(store, [row.turn_id for row in store.inbox_open() if row.attempt])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.proves("ENDED-IS-WHOLE")
@pytest.mark.parametrize(
    ("messages", "state", "files"), list(itertools.product(MOMENTS, range(TURNS + 1), range(TURNS + 1)))
)
def test_a_turn_has_ended_when_journal_state_and_files_all_say_so(
    lived: Path, tmp_path: Path, clock: ManualClock, messages: int, state: int, files: int
) -> None:
    back = restored(lived, tmp_path / "back", clock, state, messages, files)
    with closing(back.store) as store:
        whole = min(messages // 2, state, files)
        started = min((messages + 1) // 2, TURNS + 1)
        ended = [row.turn_id for row in store.checkpoints()]
        assert ended == [f"turn-{turn}" for turn in range(1, whole + 1)]
        assert back.reopened == [f"turn-{turn}" for turn in range(whole + 1, started + 1)]
        rows = store.inbox_open()
        assert [row.message_id for row in rows] == [str(turn) for turn in range(whole + 1, TURNS + 2)], (
            "nothing accepted is lost"
        )
        assert [row.state for row in rows if row.state == "running"] == ["running"] * bool(back.reopened)
        assert not back.reopened or rows[0].state == "running"
        events = store.events(0, 1000)
        assert [row.seq for row in events] == list(range(1, len(events) + 1))
        assert sum(row.type == "message.user" for row in events) == TURNS + 1
        assert [row.turn_id for row in events if row.type == "checkpoint"] == ended
        assert store.validate() == []
        for row in rows:  # they run again, one after the other, and can end
            start(store, row.message_id, row.attempt + 1)
            end(store, row.message_id, TURNS + 1)
        assert len(store.checkpoints()) == TURNS + 1
    assert validate_directory(tmp_path / "back") == []


@pytest.fixture
def agent(tmp_path: Path, clock: ManualClock) -> Iterator[AgentStore]:
    """An agent of one turn whose state and files are whole: version 2, iteration 1."""
    store = counting(tmp_path / AGENT, clock)
    accept(store, "1")
    start(store, "1")
    change_state(store, set_count(1), "turn-1")
    end(store, "1", 1)
    yield store
    store.close()


def beyond(store: AgentStore, name: str, clock: ManualClock, *, outcome: str = "done") -> int:
    """A turn that changes state and files after a copy of the state was made."""
    clock.advance(1)
    accept(store, name)
    start(store, name)
    change_state(store, set_count(int(name)), f"turn-{name}")
    return end(store, name, int(name), outcome=outcome)


def without(agent: AgentStore, tmp_path: Path, clock: ManualClock, files: int = 1) -> AgentStore:
    """The agent restored with its whole journal, the first two versions of its state, and so much of its files."""
    agent.checkpoint_files()
    agent.close()
    directory = tmp_path / AGENT
    with closing(counting(tmp_path / "older", clock)) as older:
        change_state(older, set_count(1), "turn-1")
    shutil.rmtree((directory / FILES["state"]).parent)
    shutil.copytree((tmp_path / "older" / FILES["state"]).parent, (directory / FILES["state"]).parent)
    fill_lost(directory, AGENT, clock, INSTANCE, 0)
    end_history(directory, files)
    assert validate_directory(directory) == []
    return AgentStore.open(directory, AGENT, clock)


def test_a_turn_that_was_cancelled_stays_over(agent: AgentStore, tmp_path: Path, clock: ManualClock) -> None:
    beyond(agent, "2", clock, outcome="cancelled")
    with closing(without(agent, tmp_path, clock)) as store:
        assert store.inbox_open() == []
        assert [(row.turn_id, row.iteration) for row in store.checkpoints()] == [("turn-1", 1), ("turn-2", 1)]


def test_what_was_asked_and_answered_in_turns_that_run_again_is_kept(
    agent: AgentStore, tmp_path: Path, clock: ManualClock
) -> None:
    beyond(agent, "2", clock)
    accept(agent, "3")
    start(agent, "3")
    ask(agent, "answered", "turn-3")
    resolve(agent, "answered", "yes")
    ask(agent, "open", "turn-3")
    with closing(without(agent, tmp_path, clock)) as store:
        assert [(row.request_id, row.status) for row in store.requests()] == [
            ("answered", "resolved"),
            ("open", "open"),
        ]
        assert [(row.turn_id, row.state, row.attempt) for row in store.inbox_open()] == [
            ("turn-2", "running", 1),
            ("turn-3", "queued", 1),
        ]
        assert [row.type for row in store.turn_events("turn-3")] == [
            "message.user",
            "tool.permission_requested",
            "tool.permission_requested",
        ]


@pytest.mark.parametrize(("files", "pending"), [(1, False), (2, True), (3, False)])
def test_a_rewind_that_the_journal_knows_is_made_again(
    agent: AgentStore, tmp_path: Path, clock: ManualClock, files: int, *, pending: bool
) -> None:
    ended = agent.checkpoint("turn-1")
    assert ended is not None
    beyond(agent, "2", clock)
    told = {"seq": ended.seq, "state_version": 4, "iteration": 1, "turn_id": "turn-1"}
    with agent.batch() as batch:
        batch.replace_state(4, 1, encode({"count": 1}), "turn-1")
        event = batch.event("agent.rewound", encode(told), instance_id=INSTANCE)
        batch.turn_back(MomentRow(event.seq, "rewind", ended.seq, 4, 1, 3, 2, pending=False))
    with closing(without(agent, tmp_path, clock, files)) as store:
        assert store.state_version == 4
        assert store.state().data == b'{"count":1}'
        assert store.inbox_open() == [], "the turn that was taken back does not run again"
        waits = store.moments.pending()
        assert (waits is not None) is pending
