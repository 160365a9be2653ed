"""What does making a batch durable cost the event loop, and what do a store's memory, opening and history cost?

`python -m benchmarks.store`. Directly on the databases, no daemon around. Times are wall-clock medians of single
calls, as the event loop would feel them; the rounds of each are interleaved by nothing else in this process.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.figures import Row, median, percentile, table
from benchmarks.machine import facts
from podium.base.clock import SystemClock
from podium.coordinator.adapters.store import AgentStore, Batch, InboxRow

BATCHES = 3_000
STORES = 200
TURNS = 10_000
STATE_BYTES = 1024 * 1024
CONTENT = b'{"text":"a token or two "}'
CLOCK = SystemClock()

Fill = Callable[[AgentStore, Batch, int], None]


def _events(count: int) -> Fill:
    def fill(_: AgentStore, batch: Batch, number: int) -> None:
        for _event in range(count):
            batch.event(
                "stream_update", CONTENT, instance_id="inst-aaaaaaaaaaaaaaaa", turn_id=f"turn-{number // 20:016}"
            )

    return fill


def _turn_end(store: AgentStore, batch: Batch, number: int) -> None:
    """What the end of a small turn writes: message, start, answer, state, checkpoint."""
    turn, message = f"turn-{number:016}", f"msg-{number:016}"
    asked = batch.event("message.user", b'{"message_id":"%s"}' % message.encode(), instance_id="inst-a", turn_id=turn)
    batch.accept(InboxRow(message, turn, CONTENT, b"{}", asked.seq))
    batch.remember_command(f"c{number}", b"{}")
    batch.start_turn(message, 1)
    batch.event("stream_end", CONTENT, instance_id="inst-a", turn_id=turn)
    batch.delta(store.state_version + 1, b'[{"op":"replace","path":"/count","value":%d}]' % number, turn)
    batch.finish_turn(message, "done", "end_turn")
    last = batch.event("checkpoint", b"{}", instance_id="inst-a", turn_id=turn)
    batch.checkpoint(turn, last.seq, store.state_version + 1, 0)


def _delta(store: AgentStore, batch: Batch, number: int) -> None:
    _events(3)(store, batch, number)
    batch.delta(store.state_version + 1, b'[{"op":"replace","path":"/count","value":%d}]' % number, "")


def _log(_: AgentStore, batch: Batch, number: int) -> None:
    batch.log("info", f"line {number}", "agent", "agent", 1)


BATCH_KINDS: dict[str, tuple[Fill, str]] = {
    "1 event": (_events(1), "< 100 µs"),
    "10 events": (_events(10), "< 100 µs"),
    "3 events and a state change (two files)": (_delta, "< 100 µs"),
    "a whole small turn: message to checkpoint": (_turn_end, ""),
    "1 log record": (_log, ""),
}


def _commit_times(directory: Path, fill: Fill) -> list[float]:
    store = AgentStore.open(directory, "agt-bench", CLOCK)
    with store.batch() as batch:
        batch.replace_state(1, 1, b'{"count":0}', "")
    times = []
    for number in range(BATCHES):
        started = time.perf_counter()
        with store.batch() as batch:
            fill(store, batch, number)
        times.append(time.perf_counter() - started)
    store.close()
    return times


def _commits(place: Path) -> list[Row]:
    rows = []
    for number, (name, (fill, aim)) in enumerate(BATCH_KINDS.items()):
        times = [seconds * 1e6 for seconds in _commit_times(place / f"commit-{number}", fill)]
        figure = f"{median(times):.0f} µs (p99 {percentile(times, 0.99):.0f})"
        rows.append(Row(f"commit {name}", figure, aim))
    return rows


def _pss_kib() -> int:
    return int(Path("/proc/self/smaps_rollup").read_text().split("\nPss:")[1].split()[0])


def _opening(place: Path) -> list[Row]:
    AgentStore.open(place / "warm-up", "agt-bench", CLOCK).close()
    before = _pss_kib()
    new, stores = [], []
    for number in range(STORES):
        started = time.perf_counter()
        stores.append(AgentStore.open(place / f"agent-{number}", "agt-bench", CLOCK))
        new.append((time.perf_counter() - started) * 1e3)
    for number, store in enumerate(stores):
        with store.batch() as batch:
            batch.replace_state(1, 1, b'{"count":0}', "")
            _events(3)(store, batch, number)
            _log(store, batch, number)
    memory = (_pss_kib() - before) / STORES
    closing = []
    for store in stores:
        started = time.perf_counter()
        store.close()
        closing.append((time.perf_counter() - started) * 1e3)
    again = []
    for number in range(STORES):
        started = time.perf_counter()
        store = AgentStore.open(place / f"agent-{number}", "agt-bench", CLOCK)
        again.append((time.perf_counter() - started) * 1e3)
        store.close()
    return [
        Row("open three databases, new agent", f"{median(new):.2f} ms (p95 {percentile(new, 0.95):.2f})", "< 3 ms"),
        Row("open three databases, known agent", f"{median(again):.2f} ms (p95 {percentile(again, 0.95):.2f})"),
        Row("close (checkpoint, sync), in a worker thread", f"{median(closing):.2f} ms"),
        Row(f"memory per open store (PSS, {STORES} open)", f"{memory:.0f} KiB"),
    ]


def _history(place: Path) -> list[Row]:
    words = [f"{number * 2654435761 % 2**32:08x}" for number in range(STATE_BYTES // 11)]
    store = AgentStore.open(place / "history", "agt-bench", CLOCK)
    with store.batch() as batch:
        batch.replace_state(1, 1, msgspec.json.encode({"items": words}), "")
    upkeep, commits = [], []
    for turn in range(TURNS):
        ops = b'[{"op":"replace","path":"/items/%d","value":"turn %d"}]' % (turn, turn)
        started = time.perf_counter()
        with store.batch() as batch:
            batch.delta(store.state_version + 1, ops, f"turn-{turn}")
            batch.event("stream_end", CONTENT, instance_id="inst-a", turn_id=f"turn-{turn}")
        commits.append((time.perf_counter() - started) * 1e6)
        if store.maintenance_due:
            started = time.perf_counter()
            store.maintenance()
            upkeep.append((time.perf_counter() - started) * 1e3)
    reads = []
    for version in (None, *range(1, TURNS, TURNS // 20)):
        started = time.perf_counter()
        store.state(version)
        reads.append((time.perf_counter() - started) * 1e3)
    store.close()
    used = sum(path.stat().st_size for path in (place / "history").rglob("*") if path.is_file())
    return [
        Row(f"{TURNS:,} turns over a 1 MiB state, on disk", f"{used / 2**20:.1f} MiB", "< 100 MiB"),
        Row("… commit of such a turn", f"{median(commits):.0f} µs (p99 {percentile(commits, 0.99):.0f})"),
        Row("… snapshot and upkeep, in a worker thread", f"{median(upkeep):.0f} ms, {len(upkeep)} times"),
        Row("… reading the newest state", f"{reads[0]:.1f} ms"),
        Row("… rebuilding an older version", f"{statistics.median(reads[1:]):.1f} ms (most {max(reads[1:]):.1f})"),
    ]


def measure() -> list[Row]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:
        place = Path(directory)
        return [*_commits(place), *_opening(place / "open"), *_history(place)]


if __name__ == "__main__":
    print(facts())
    print(table("Stores", measure()))
