"""What does it cost to change tracked state, and what does one changed leaf of a large state write?

`python -m benchmarks.delta_state [--rounds N]`. No server: mutations of a state whose changes are recorded, including
the writing of the operations as JSON, beside the same mutations of plain objects.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from podium.agent import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored
from podium.base.bun import find_bun

MUTATIONS = 20_000
"""Per round and kind."""

PER_TURN = 100
"""Mutations between two frames: the operations are written this often."""

LARGE_BYTES = 1024 * 1024
AIM_MICROSECONDS = 3.0
PROGRAM = Path(__file__).parent / "typescript" / "delta_state.ts"


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


KINDS: dict[str, tuple[str, Callable[[Any, int], None]]] = {
    "count": ("`state.count = n`", _count),
    "item": ('`state.table["key"] = n`', _item),
    "leaf": ('`state.table["rows"][i]["done"] = n`', _leaf),
    "append": ("`state.history.append(text)`", _append),
    "record": ("`state.history.append({…3 members})`", _record),
    "add": ("`state.tags.add(n)`, `.discard(n)`", _add),
}
"""By the name that the same change has in `typescript/delta_state.ts`."""


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


def in_typescript(rounds: int) -> dict[str, tuple[float, float]]:
    """Tracked and untracked cost of each kind in TypeScript; nothing without Bun."""
    bun = find_bun()
    if bun is None:
        return {}
    said = subprocess.run([bun, PROGRAM, str(rounds)], capture_output=True, check=True, timeout=300)
    return {name: (pair[0], pair[1]) for name, pair in json.loads(said.stdout).items()}


def measure(rounds: int = 5) -> list[Row]:
    """The rows of this benchmark."""
    rows, aim = [], f"≤ {AIM_MICROSECONDS:g} µs"
    for what, mutate in KINDS.values():
        cost = median([microseconds(mutate, tracked=True) for _ in range(rounds)])
        plain = median([microseconds(mutate, tracked=False) for _ in range(rounds)])
        rows.append(Row(f"Python: {what}", f"{cost:.2f} µs", aim, f"untracked {plain:.2f} µs"))
    for name, (cost, plain) in in_typescript(rounds).items():
        rows.append(
            Row(f"TypeScript: the same as {KINDS[name][0]}", f"{cost:.2f} µs", aim, f"untracked {plain:.2f} µs")
        )
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
