from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, StoreOptions
from tests.unit.coordinator.adapters.store.writing import AGENT, Opened

LEVELS = ["debug", "info", "warning", "error", "critical"]


def log(store: AgentStore, *messages: str, level: str = "info") -> None:
    with store.batch() as batch:
        for message in messages:
            batch.log(level, message, "agent", "agent", 5)


def test_a_record_comes_back_whole(opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        batch.log("warning", "hot", "agent.py", "stderr", 77, turn_id="turn-1", fields={"degrees": 41.5})
    (record,) = store.logs()
    assert (record.id, record.ts, record.level, record.message) == (1, 77, "warning", "hot")
    assert (record.module, record.source, record.turn_id) == ("agent.py", "stderr", "turn-1")
    assert record.fields == {"degrees": 41.5}


def test_records_are_filtered_by_level_and_worse(opened: Opened) -> None:
    store = opened()
    for level in LEVELS:
        log(store, f"a {level}", level=level)
    for position, level in enumerate(LEVELS):
        assert [record.level for record in store.logs(level)] == LEVELS[position:]
        assert store.count_logs(level) == 5 - position
    assert store.count_logs() == 5


def test_records_are_read_in_pages_and_followed(opened: Opened) -> None:
    store = opened()
    log(store, *map(str, range(10)))
    assert [record.message for record in store.logs(limit=3, offset=4)] == ["4", "5", "6"]
    assert [record.message for record in store.logs(after_id=8)] == ["8", "9"]
    assert store.last_log_lines(3) == ["7", "8", "9"]


@pytest.mark.proves("STORE-LOG-CAPPED")
def test_the_log_stays_under_its_cap_and_the_oldest_go_first(directory: Path, clock: ManualClock) -> None:
    cap = 512 * 1024
    store = AgentStore.open(directory, AGENT, clock, StoreOptions(log_max_bytes=cap))
    total = 0
    for number in range(200):
        log(store, *(f"{total + n} {'x' * 200}" for n in range(40)))
        total += 40
        assert store.log_used_bytes < cap * 1.3, number
    store.maintenance()
    assert store.log_used_bytes <= cap
    kept = [int(line.split()[0]) for line in store.last_log_lines(100_000)]
    assert kept == list(range(kept[0], total))
    assert len(kept) * 200 > cap / 2
    assert store.logs(limit=1)[0].id == kept[0] + 1
    assert store.validate() == []
    store.close()
    assert (directory / "logs/agent.db").stat().st_size < cap * 2


@pytest.mark.parametrize("size", [1, 300_000])
def test_the_newest_record_is_kept_however_large(opened: Opened, size: int) -> None:
    store = opened(StoreOptions(log_max_bytes=64 * 1024))
    log(store, *("old" for _ in range(200)))
    log(store, "y" * size)
    store.maintenance()
    assert store.last_log_lines(1) == ["y" * size]


def test_ids_are_not_reused_after_records_went(opened: Opened) -> None:
    store = opened(StoreOptions(log_max_bytes=64 * 1024))
    for _ in range(20):
        log(store, *("z" * 500 for _ in range(50)))
    store.maintenance()
    store.close()
    store = opened(StoreOptions(log_max_bytes=64 * 1024))
    log(store, "next")
    assert store.logs(after_id=1000)[0].message == "next"
