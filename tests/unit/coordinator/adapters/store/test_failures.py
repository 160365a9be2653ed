"""Errors of the disk and of SQLite: named by what to do, and never leaving numbers that are not in the file."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import (
    AgentStore,
    StoreBusyError,
    StoreClosedError,
    StoreConflictError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreOptions,
    StoreTooNewError,
    StoreUnavailableError,
)
from podium.coordinator.adapters.store.errors import store_error
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


class Faults:
    """Raises what it is told at the point it is told."""

    def __init__(self) -> None:
        self.point = ""
        self.error: BaseException = full()

    def __call__(self, point: str) -> None:
        if point == self.point:
            raise self.error


def full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def write_one(store: AgentStore, count: int) -> None:
    with store.batch() as batch:
        batch.event("stream_update", b'{"text":"x"}', instance_id=INSTANCE)
        batch.delta(store.state_version + 1, set_count(count), "")
        batch.log("info", f"count {count}", "m", "agent", 1)


@pytest.mark.parametrize("point", ["state.commit", "messages.commit"])
def test_after_a_full_disk_the_store_goes_on_where_the_files_are(
    directory: Path, clock: ManualClock, opened: Opened, point: str
) -> None:
    counting(directory, clock).close()
    faults = Faults()
    store = opened(StoreOptions(fault=faults))
    write_one(store, 1)
    faults.point = point
    with pytest.raises(StoreFullError, match="free disk space"):
        write_one(store, 2)
    assert (store.head_seq, store.state_version) == (1, 2)
    assert store.validate() == []
    faults.point = ""
    write_one(store, 3)
    assert (store.head_seq, store.state_version) == (2, 3)
    assert store.state().data == b'{"count":3}'
    assert store.last_log_lines(9) == ["count 1", "count 3"]


def test_a_disk_that_stays_full_keeps_the_store_refusing_until_it_can_undo(
    directory: Path, clock: ManualClock, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting(directory, clock).close()
    faults = Faults()
    store = opened(StoreOptions(fault=faults))
    faults.point = "messages.commit"
    real = store._state.write

    def failing(*_: object) -> None:
        raise StoreFullError("state", "still full")

    def first_then_full(changes: object, fault: object) -> None:
        real(changes, fault)  # type: ignore[arg-type]
        monkeypatch.setattr(store._state, "write", failing)

    monkeypatch.setattr(store._state, "write", first_then_full)
    with pytest.raises(StoreFullError):
        write_one(store, 1)
    with pytest.raises(StoreFullError, match="still full"):
        store.batch()
    assert store.state().data == b'{"count":0}'
    monkeypatch.setattr(store._state, "write", real)
    faults.point = ""
    write_one(store, 5)
    assert (store.state_version, store.state().data) == (2, b'{"count":5}')


@pytest.mark.noisy("log_records_lost")
def test_a_full_disk_costs_log_records_but_not_the_batch(
    directory: Path, clock: ManualClock, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    counting(directory, clock).close()
    faults = Faults()
    store = opened(StoreOptions(fault=faults))
    faults.point = "logs.commit"
    with caplog.at_level(logging.WARNING):
        write_one(store, 1)
    assert [record.message for record in caplog.records] == ["log_records_lost"]
    caplog.clear()
    assert (store.head_seq, store.state_version, store.lost_log_records) == (1, 2, 1)
    assert store.last_log_lines(9) == []


def test_a_really_full_file_is_a_full_disk(opened: Opened) -> None:
    store = opened()
    pages = store._messages.value("PRAGMA page_count")
    store._messages.rows(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreFullError), store.batch() as batch:
        batch.event("stream_update", b"x" * 100_000, instance_id=INSTANCE)
    assert store.head_seq == 0
    store._messages.rows("PRAGMA max_page_count = 1000000")
    with store.batch() as batch:
        assert batch.event("stream_update", b"{}", instance_id=INSTANCE).seq == 1


def test_another_writer_makes_a_commit_busy(directory: Path, opened: Opened) -> None:
    store = opened()
    store._messages.rows("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(directory / FILES["messages"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="end the other writer"), store.batch() as batch:
            batch.event("stream_update", b"", instance_id=INSTANCE)
        other.execute("ROLLBACK")
    assert store.head_seq == 0


def test_a_reader_elsewhere_disturbs_nothing(directory: Path, opened: Opened) -> None:
    store = opened()
    with closing(sqlite3.connect(directory / FILES["messages"], isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM event").fetchone() == (0,)
        with store.batch() as batch:
            batch.event("stream_update", b"", instance_id=INSTANCE)
        store.checkpoint_files()
        assert other.execute("SELECT count(*) FROM event").fetchone() == (0,)
    assert store.head_seq == 1


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_database_is_damage(directory: Path, clock: ManualClock, name: str) -> None:
    counting(directory, clock).close()
    (directory / FILES[name]).write_bytes(b"no database at all, but long enough to look at" * 200)
    with pytest.raises(StoreDamagedError, match="podium doctor") as caught:
        AgentStore.open(directory, AGENT, clock)
    assert caught.value.database == name


def test_a_newer_release_is_told_as_such(directory: Path, clock: ManualClock) -> None:
    counting(directory, clock).close()
    with closing(sqlite3.connect(directory / FILES["state"], isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    with pytest.raises(StoreTooNewError, match="use that release"):
        AgentStore.open(directory, AGENT, clock)


def test_a_place_that_can_not_be_written_is_unavailable(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError, match="permissions"):
        AgentStore.open(tmp_path / "file" / "agent", AGENT, clock)


def test_a_closed_store_refuses(opened: Opened) -> None:
    store = opened()
    store.close()
    with pytest.raises(StoreClosedError):
        store.batch()
    with pytest.raises(StoreClosedError):
        store.events(0, 1)
    store.maintenance()
    store.close()


def test_a_delta_that_does_not_apply_is_told_when_the_state_is_read(directory: Path, clock: ManualClock) -> None:
    store = counting(directory, clock)
    change_state(store, b'[{"op":"remove","path":"/nothing"}]')
    with pytest.raises(StoreDamagedError, match="version 2 does not apply"):
        store.state()
    store.close()


def test_a_missing_change_is_told_when_the_state_is_read(directory: Path, clock: ManualClock) -> None:
    store = counting(directory, clock)
    for number in (1, 2):
        change_state(store, set_count(number))
    store.close()
    tamper(directory, "state", "DELETE FROM delta WHERE version = 2")
    store = AgentStore.open(directory, AGENT, clock)
    with pytest.raises(StoreDamagedError, match="version 2 is missing"):
        store.state()
    store.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StoreFullError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusyError),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailableError),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreDamagedError),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, StoreConflictError),
    ],
)
def test_codes_of_sqlite_become_errors_that_say_what_to_do(code: int, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("some text")
    error.sqlite_errorcode = code
    told = store_error("state", error)
    assert type(told) is kind
    assert str(told) == f"state: some text ({kind.advice})"
