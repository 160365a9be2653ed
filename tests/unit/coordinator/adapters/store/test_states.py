from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import StateRow, StoreConflictError, StoreOptions
from podium.wire.limits import SNAPSHOT_EVERY_BYTES, SNAPSHOT_EVERY_DELTAS
from tests.unit.coordinator.adapters.store.writing import (
    Opened,
    change_state,
    counting,
    encode,
    give_state,
    set_count,
)


def test_before_anything_was_written_the_state_is_the_empty_object(opened: Opened) -> None:
    store = opened()
    assert store.state() == StateRow(0, None, b"{}")
    assert store.state(0) == StateRow(0, None, b"{}")


def test_every_version_can_be_read_again(opened: Opened) -> None:
    store = opened()
    give_state(store, {"count": 0})
    for number in range(1, 40):
        change_state(store, set_count(number))
    give_state(store, {"count": -1, "moved": True}, schema=2)
    change_state(store, set_count(-2))
    assert store.state(0) == StateRow(0, None, b"{}")
    for number in range(40):
        assert store.state(number + 1) == StateRow(number + 1, 1, encode({"count": number}))
    assert store.state(41) == StateRow(41, 2, b'{"count":-1,"moved":true}')
    assert store.state() == StateRow(42, 2, b'{"count":-2,"moved":true}')
    assert (store.state_version, store.state_schema) == (42, 2)


@pytest.mark.parametrize("version", [-1, 2])
def test_a_version_that_does_not_exist_is_refused(opened: Opened, version: int) -> None:
    store = opened()
    give_state(store, {"count": 0})
    with pytest.raises(StoreConflictError, match="there is no version"):
        store.state(version)


def test_deltas_may_come_before_any_whole_state(opened: Opened) -> None:
    store = opened()
    change_state(store, encode([{"op": "add", "path": "/a", "value": 1}]))
    assert store.state() == StateRow(1, None, b'{"a":1}')


def test_versions_are_the_same_after_snapshots_were_taken_and_thinned(opened: Opened) -> None:
    store = opened(StoreOptions(snapshot_every_deltas=4))
    give_state(store, {"count": 0})
    for number in range(1, 100):
        change_state(store, set_count(number))
        if store.maintenance_due:
            store.maintenance()
    snapshots = [row[0] for row in store._state.rows("SELECT version FROM snapshot ORDER BY version")]
    assert 4 < len(snapshots) < 14
    assert [store.state(number + 1).data for number in range(100)] == [encode({"count": n}) for n in range(100)]


def test_a_snapshot_is_due_after_enough_deltas_or_enough_bytes(opened: Opened) -> None:
    store = opened(StoreOptions(snapshot_every_deltas=3, snapshot_every_bytes=10_000))
    give_state(store, {"text": ""})
    assert not store.maintenance_due
    for _ in range(3):
        assert not store.maintenance_due
        change_state(store, b"[]")
    assert store.maintenance_due
    store.maintenance()
    assert not store.maintenance_due
    change_state(store, encode([{"op": "replace", "path": "/text", "value": "x" * 10_000}]))
    assert store.maintenance_due
    store.maintenance()
    assert not store.maintenance_due


def test_what_is_due_is_known_again_after_opening(directory: Path, clock: ManualClock, opened: Opened) -> None:
    options = StoreOptions(snapshot_every_deltas=3)
    store = counting(directory, clock, options)
    for number in range(3):
        change_state(store, set_count(number))
    store.close()
    assert opened(options).maintenance_due


def test_large_whole_states_are_packed_by_maintenance_and_read_the_same(opened: Opened) -> None:
    store = opened()
    give_state(store, {"text": "again and again " * 10_000})
    before = store.state()
    assert store.maintenance_due
    store.maintenance()
    codec, stored = store._state.rows("SELECT codec, length(data) FROM snapshot")[0]
    assert codec == "json+zlib"
    assert stored < len(before.data) / 20
    assert store.state() == before
    assert not store.maintenance_due


@pytest.mark.proves("STORE-SNAPSHOTS-BOUND-TAIL")
@pytest.mark.parametrize(("deltas", "size"), [(2_000, 10), (60, 30_000)])
def test_reading_the_state_applies_a_bounded_number_of_changes(opened: Opened, deltas: int, size: int) -> None:
    store = opened()
    give_state(store, {"text": ""})
    tail = (
        "SELECT count(*), coalesce(sum(length(ops)), 0) FROM delta WHERE version > (SELECT max(version) FROM snapshot)"
    )
    for number in range(deltas):
        change_state(store, encode([{"op": "replace", "path": "/text", "value": f"{number:0{size}}"}]))
        if store.maintenance_due:
            store.maintenance()
        count, length = store._state.rows(tail)[0]
        assert count < SNAPSHOT_EVERY_DELTAS
        assert length < SNAPSHOT_EVERY_BYTES
    assert len(store._state.rows("SELECT version FROM snapshot")) > 2
