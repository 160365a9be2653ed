"""Databases restored from replicas that end at different moments."""

from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, StoreDamagedError
from podium.coordinator.adapters.store.lost import end_history, fill_lost, refuse_damaged
from tests.unit.coordinator.adapters.store.writing import (
    AGENT,
    FILES,
    INSTANCE,
    Opened,
    change_state,
    counting,
    set_count,
    tamper,
    whole_turn,
)


def made(directory: Path, clock: ManualClock) -> AgentStore:
    store = counting(directory, clock)
    whole_turn(store, "m-1", ops=set_count(1))
    change_state(store, set_count(2))
    return store


def test_what_may_have_been_shown_is_told_as_lost_and_what_follows_has_the_next_number(
    directory: Path, clock: ManualClock, opened: Opened
) -> None:
    store = made(directory, clock)
    head = store.head_seq
    store.close()
    assert fill_lost(directory, AGENT, clock, INSTANCE, head + 500) == (head, head + 500, 0, 0)
    store = opened()
    rows = store.events(head, 1000)
    assert [row.seq for row in rows] == list(range(head + 1, head + 501))
    assert {(row.type, row.content, row.instance_id, row.turn_id) for row in rows} == {
        ("event.lost", b"", INSTANCE, "")
    }
    whole_turn(store, "m-2")
    assert store.events(head + 500, 1)[0].type == "message.user"
    assert [each.role for each in store.conversation(10)] == ["user", "agent"] * 2


def test_nothing_is_written_when_nothing_was_lost(directory: Path, clock: ManualClock, opened: Opened) -> None:
    store = made(directory, clock)
    head = store.head_seq
    store.close()
    assert fill_lost(directory, AGENT, clock, INSTANCE, head - 1) == (head, head, 0, 0)
    assert opened().head_seq == head


def test_an_agent_of_which_nothing_was_replicated_yet_begins_behind_what_was_shown(
    directory: Path, clock: ManualClock, opened: Opened
) -> None:
    assert fill_lost(directory, AGENT, clock, INSTANCE, 3) == (0, 3, 0, 0)
    assert [row.type for row in opened().events(0, 10)] == ["event.lost"] * 3


def test_a_state_behind_its_journal_keeps_its_numbers(directory: Path, clock: ManualClock, opened: Opened) -> None:
    store = made(directory, clock)
    head, version = store.head_seq, store.state_version
    store.close()
    tamper(directory, "state", f"DELETE FROM delta WHERE version > {version - 1}")
    assert fill_lost(directory, AGENT, clock, INSTANCE, head) == (head, head, 1, 0)
    store = opened()
    assert store.state_version == version
    assert store.state().data == b'{"count":1}'
    assert [row.state for row in (store.inbox("m-1"),) if row] == ["done"]


def test_a_restored_file_with_damaged_pages_is_refused(directory: Path, clock: ManualClock) -> None:
    store = made(directory, clock)
    for number in range(200):
        whole_turn(store, f"more-{number}")
    store.close()
    refuse_damaged(directory)
    path = directory / FILES["messages"]
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 8192 * 4096)
        file.write(bytes(8192))
    with pytest.raises(StoreDamagedError):
        refuse_damaged(directory)


def test_a_checkpoint_of_a_cancelled_turn_does_not_name_files_that_are_gone(
    directory: Path, clock: ManualClock, opened: Opened
) -> None:
    made(directory, clock).close()
    tamper(directory, "messages", "UPDATE checkpoint SET iteration = 12")
    tamper(directory, "messages", "UPDATE inbox SET state = 'cancelled', stop_reason = 'cancelled'")
    assert end_history(directory, 7) == []
    assert [row.iteration for row in opened().checkpoints()] == [7]
