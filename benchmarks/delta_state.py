"""What does it cost to change tracked state, and what does one changed leaf of a large state write?

`python -m benchmarks.delta_state [--rounds N]`. No server: mutations of a state whose changes are recorded, including
the writing of the operations as JSON, beside the same mutations of plain objects.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from podium.agent import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored

MUTATIONS = 20_000
"""Per round and kind."""

PER_TURN = 100
"""Mutations between two frames: the operations are written this often."""

LARGE_BYTES = 1024 * 1024
AIM_MICROSECONDS = 3.0


class Bench(DeltaState):
    """A state with one field of every kind."""

    count: int = 0
    history: list[Any] = []
    table: dict[str, Any] = {}
    tags: set[int] = set()


class Plain:
    """The same without tracking."""

    def __init__(self) -> None:
        self.count = 0
        self.history: list[Any] = []
        self.table: dict[str, Any] = {}
        self.tags: set[int] = set()


def _count(state: Any, number: int) -> None:
    state.count = number


def _append(state: Any, _: int) -> None:
    state.history.append("some text of a message")


def _item(state: Any, number: int) -> None:
    state.table["key"] = number


def _leaf(state: Any, number: int) -> None:
    state.table["rows"][number % 50]["done"] = number


def _add(state: Any, number: int) -> None:
    (state.tags.add if number % 400 < 200 else state.tags.discard)(number % 200)


def _record(state: Any, number: int) -> None:
    state.history.append({"role": "user", "text": "hello", "n": number})


KINDS: dict[str, Callable[[Any, int], None]] = {
    "`state.count = n`": _count,
    '`state.table["key"] = n`': _item,
    '`state.table["rows"][i]["done"] = n`': _leaf,
    "`state.history.append(text)`": _append,
    "`state.history.append({…3 members})`": _record,
    "`state.tags.add(n)`, `.discard(n)`": _add,
}


def fresh() -> tuple[Bench, Journal]:
    """A recorded state with fifty rows."""
    state, journal = restored(Bench, {"table": {"rows": [{"done": 0} for _ in range(50)]}}), Journal()
    begin_recording(state, journal)
    journal.take()
    return state, journal


def microseconds(mutate: Callable[[Any, int], None], *, tracked: bool) -> float:
    """Mean cost of one mutation over a round."""
    plain = Plain()
    plain.table["rows"] = [{"done": 0} for _ in range(50)]
    state, journal = fresh()
    target: Any = state if tracked else plain
    started = time.process_time()
    for number in range(MUTATIONS):
        mutate(target, number)
        if tracked and number % PER_TURN == 0:
            journal.take()
    journal.take()
    return (time.process_time() - started) / MUTATIONS * 1e6


def leaf_of_a_large_state() -> tuple[int, int]:
    """Bytes of a state of `LARGE_BYTES`, and bytes written when one leaf of it changes."""
    rows = [{"id": n, "text": "x" * 1000, "done": False} for n in range(LARGE_BYTES // 1030 + 1)]
    state, journal = restored(Bench, {"table": {"rows": rows}}), Journal()
    begin_recording(state, journal)
    journal.take()
    state.table["rows"][len(rows) // 2]["done"] = True
    return sum(len(str(row)) for row in rows), sum(map(len, journal.take()))


def measure(rounds: int = 5) -> list[Row]:
    """The rows of this benchmark."""
    rows = []
    for name, mutate in KINDS.items():
        cost = median([microseconds(mutate, tracked=True) for _ in range(rounds)])
        plain = median([microseconds(mutate, tracked=False) for _ in range(rounds)])
        rows.append(Row(name, f"{cost:.2f} µs", f"≤ {AIM_MICROSECONDS:g} µs", f"untracked {plain:.2f} µs"))
    whole, written = leaf_of_a_large_state()
    rows.append(Row("one leaf of a 1 MiB state", f"{written} bytes written", "one leaf", f"the state: {whole} bytes"))
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    print(facts())
    print(table("Delta state", measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
