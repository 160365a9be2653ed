import sqlite3
import threading
from contextlib import closing

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import StoreOptions
from podium.wire.limits import COMMAND_MEMORY_MS
from tests.unit.coordinator.adapters.store.writing import INSTANCE, Opened, change_state, encode, give_state, set_count


def test_a_long_write_ahead_log_is_moved_into_its_file(opened: Opened) -> None:
    store = opened(StoreOptions(wal_max_bytes=100_000))
    batches = 0
    while not store.maintenance_due:
        with store.batch() as batch:
            batch.event("stream_update", encode({"text": "x" * 2000}), instance_id=INSTANCE)
        batches += 1
        assert batches < 1000
    before = store._messages.log_bytes()
    store.maintenance()
    assert not store.maintenance_due
    for _ in range(10):
        with store.batch() as batch:
            batch.event("stream_update", encode({"text": "x" * 2000}), instance_id=INSTANCE)
    assert store._messages.log_bytes() <= before
    assert len(store.events(0, 10_000)) == batches + 10


def test_after_a_checkpoint_the_files_alone_hold_everything(opened: Opened) -> None:
    store = opened()
    give_state(store, {"count": 0})
    with store.batch() as batch:
        batch.event("stream_update", b"{}", instance_id=INSTANCE)
        batch.log("info", "x", "m", "agent", 1)
    store.checkpoint_files()
    for database in store._files.values():
        frames = database.rows("PRAGMA wal_checkpoint(PASSIVE)")[0]
        assert frames[1] == frames[2]
        with closing(sqlite3.connect(f"file:{database.path}?immutable=1", uri=True)) as alone:
            table = {"state": "delta", "messages": "event", "logs": "log"}[database.name]
            assert alone.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_old_commands_are_forgotten_and_young_ones_stay(opened: Opened, clock: ManualClock) -> None:
    store = opened()
    with store.batch() as batch:
        for number in range(2500):
            batch.remember_command(f"old-{number}", b"{}")
    clock.advance(COMMAND_MEMORY_MS / 1000)
    with store.batch() as batch:
        batch.remember_command("young", b"{}")
    store.maintenance()
    assert store._messages.rows("SELECT command_id FROM command") == [("young",)]


def test_batches_go_on_while_maintenance_works(opened: Opened) -> None:
    store = opened(StoreOptions(snapshot_every_deltas=8, wal_max_bytes=50_000))
    give_state(store, {"count": 0})
    over = threading.Event()
    failures: list[BaseException] = []

    def maintain() -> None:
        try:
            while not over.is_set():
                store.maintenance()
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    worker = threading.Thread(target=maintain)
    worker.start()
    try:
        for number in range(1, 600):
            with store.batch() as batch:
                batch.event("stream_update", encode({"text": "x" * 200}), instance_id=INSTANCE)
                batch.delta(store.state_version + 1, set_count(number), "")
                batch.log("info", "line", "m", "agent", 1)
    finally:
        over.set()
        worker.join()
    assert failures == []
    assert (store.head_seq, store.state_version) == (599, 600)
    assert store.state().data == b'{"count":599}'
    assert store.state(300).data == b'{"count":299}'
    store.maintenance()
    assert len(store._state.rows("SELECT version FROM snapshot")) < 20


@pytest.mark.parametrize("point", ["snapshot.commit", "snapshot.committed"])
def test_a_snapshot_that_fails_is_due_again_after_as_many_deltas_and_costs_nothing(opened: Opened, point: str) -> None:
    failing = [True]

    def fault(reached: str) -> None:
        if failing[0] and reached == point:
            raise OSError("cut")

    store = opened(StoreOptions(snapshot_every_deltas=2, fault=fault))
    give_state(store, {"count": 0})
    for number in (1, 2, 3):
        change_state(store, set_count(number))
    with pytest.raises(OSError, match="cut"):
        store.maintenance()
    assert not store.maintenance_due
    assert store.state().data == b'{"count":3}'
    failing[0] = False
    for number in (4, 5):
        change_state(store, set_count(number))
    assert store.maintenance_due
    store.maintenance()
    assert not store.maintenance_due
    assert store.validate() == []
