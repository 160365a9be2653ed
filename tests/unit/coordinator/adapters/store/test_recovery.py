"""What a crash can leave, set right at the next opening. The crashes themselves are in tests/faults/store."""

import logging
from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, StoreDamagedError, StoreOptions
from tests.unit.coordinator.adapters.store.writing import (
    AGENT,
    FILES,
    INSTANCE,
    Opened,
    change_state,
    counting,
    set_count,
    tamper,
)


class Cut(BaseException):
    """The process would have ended here."""


def cut_at(point: str) -> StoreOptions:
    def fault(reached: str) -> None:
        if reached == point:
            raise Cut

    return StoreOptions(fault=fault)


def write_one(store: AgentStore) -> None:
    with store.batch() as batch:
        batch.event("stream_update", b'{"text":"x"}', instance_id=INSTANCE)
        batch.delta(store.state_version + 1, set_count(1), "")
        batch.log("info", "x", "m", "agent", 1)


@pytest.mark.parametrize("point", ["state.commit", "state.committed", "messages.commit"])
def test_a_batch_cut_before_the_commit_of_messages_never_happened(
    directory: Path, clock: ManualClock, opened: Opened, point: str
) -> None:
    counting(directory, clock).close()
    store = opened(cut_at(point))
    with pytest.raises(Cut):
        write_one(store)
    assert (store.head_seq, store.state_version) == (0, 1)
    store.close()
    store = opened()
    assert (store.head_seq, store.state_version) == (0, 1)
    assert store.state().data == b'{"count":0}'
    write_one(store)
    assert (store.head_seq, store.state_version) == (1, 2)


@pytest.mark.parametrize("point", ["messages.committed", "logs.commit", "logs.committed"])
def test_a_batch_cut_after_the_commit_of_messages_happened(
    directory: Path, clock: ManualClock, opened: Opened, point: str
) -> None:
    counting(directory, clock).close()
    store = opened(cut_at(point))
    with pytest.raises(Cut):
        write_one(store)
    assert (store.head_seq, store.state_version) == (1, 2)
    store.close()
    store = opened()
    assert (store.head_seq, store.state_version) == (1, 2)
    assert store.state().data == b'{"count":1}'


def test_changes_above_the_mark_are_deleted_at_opening(directory: Path, clock: ManualClock, opened: Opened) -> None:
    counting(directory, clock).close()
    tamper(directory, "state", "INSERT INTO delta VALUES (2, 't', 1, '[]'), (3, 't', 1, NULL)")
    tamper(directory, "state", "INSERT INTO snapshot VALUES (3, 1, 'given', 'json', 2, '{}')")
    store = opened()
    assert store.state_version == 1
    assert store.validate() == []


@pytest.mark.noisy("state_behind_journal")
def test_a_state_that_lost_its_end_goes_back_and_says_so(
    directory: Path, clock: ManualClock, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    store = counting(directory, clock)
    for number in range(1, 5):
        change_state(store, set_count(number))
    store.close()
    tamper(directory, "state", "DELETE FROM delta WHERE version > 3")
    with caplog.at_level(logging.WARNING):
        store = opened()
    assert [record.message for record in caplog.records] == ["state_behind_journal"]
    caplog.clear()
    assert store.state().data == b'{"count":2}'
    assert store.state_version == 3


def test_a_directory_of_another_agent_is_refused(directory: Path, clock: ManualClock) -> None:
    counting(directory, clock).close()
    with pytest.raises(StoreDamagedError, match=f"belongs to agent {AGENT}, not agt-2"):
        AgentStore.open(directory, "agt-2", clock)


@pytest.mark.parametrize("name", ["state", "messages"])
def test_a_database_that_is_missing_beside_the_other_is_not_made_anew(
    directory: Path, clock: ManualClock, name: str
) -> None:
    counting(directory, clock).close()
    (directory / FILES[name]).unlink()
    for _ in range(2):
        with pytest.raises(StoreDamagedError, match=f"{FILES[name]} is missing beside") as caught:
            AgentStore.open(directory, AGENT, clock)
        assert caught.value.database == name
    assert not (directory / FILES[name]).exists()


def test_a_crash_between_making_the_databases_is_gone_over(directory: Path, opened: Opened) -> None:
    opened().close()
    (directory / FILES["messages"]).unlink()
    (directory / FILES["logs"]).unlink()
    assert opened().validate() == []


def test_a_half_made_database_is_made_again(directory: Path, opened: Opened) -> None:
    for path in FILES.values():
        (directory / path).parent.mkdir(parents=True)
        (directory / f"{path}.new").write_bytes(b"half of a templ")
        (directory / f"{path}-wal").write_bytes(b"left over")
    store = opened()
    write_first = store.validate()
    assert write_first == []
    assert not (directory / "db/state.db.new").exists()


def test_the_databases_are_readable_by_their_owner_alone(directory: Path, opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        batch.event("stream_update", b"", instance_id=INSTANCE)
    for path in FILES.values():
        assert (directory / path).stat().st_mode & 0o777 == 0o600
        assert (directory / f"{path}-wal").stat().st_mode & 0o777 == 0o600
        assert (directory / path).parent.stat().st_mode & 0o777 == 0o700
