"""Does a workspace stay quick when it is large and old?

`python -m benchmarks.chronicle.scale [--files 100000] [--iterations 1000000]`

The history is made straight through the store (the mount would take minutes and is measured elsewhere): files in directories
of 100, then changes spread over them. Then each question a person asks is timed, in a process that has nothing cached.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from chronicle import Workspace
from chronicle.layout import Layout
from chronicle.model.changes import DIRECTORY, REGULAR, Change
from chronicle.store.history import History
from chronicle.store.pool import Pool

BATCH = 512
ROUNDS = 5


def _path(number: int) -> bytes:
    return b"d%d/f%d" % (number // 100, number)


def fill(root: Path, files: int, iterations: int) -> dict[str, float]:
    """Makes the workspace's history; how long that took, and how large it got."""
    layout = Layout(root)
    workspace = Workspace.open(root, create=True)
    pool_place = layout.pool(layout.read_settings())
    workspace.close()
    contents = [b"content number %d\n" % number * 40 for number in range(1_000)]
    pool = Pool.open(pool_place)
    with pool.batch() as stored:
        known = [stored.add(content) for content in contents]
    history = History.open(layout.history, writable=True)
    lots = random.Random(3)
    started = time.perf_counter()
    changes: list[Change] = []
    at = 1_700_000_000_000

    def flush() -> None:
        with history.batch() as batch:
            for change in changes:
                batch.apply(change)
        changes.clear()

    for number in range(iterations):
        if number < files and number % 100 == 0:
            changes.append(Change("mkdir", _path(number).split(b"/")[0], at + number, mode=DIRECTORY | 0o755))
        which = number if number < files else lots.randrange(files)
        content = known[(number * 7 + which) % 1_000]
        changes.append(
            Change("write", _path(which), at + number, mode=REGULAR | 0o644, size=content.size, digest=content.digest)
        )
        if len(changes) >= BATCH:
            flush()
    flush()
    took = time.perf_counter() - started
    head = history.head
    history.close()
    pool.close()
    (root / "clean").unlink(missing_ok=True)  # the working tree was never made: there is nothing to compare
    size = sum(file.stat().st_size for file in layout.history.iterdir())
    return {"iterations": head, "seconds": took, "bytes": size}


QUESTIONS: dict[str, Callable[[Workspace, int, int], object]] = {
    "history of a file": lambda w, files, head: w.history(_path(files // 2)),
    "a file's bytes half way back": lambda w, files, head: w.read(_path(files // 3), head // 2),
    "a directory at head": lambda w, files, head: w.entries(b"d7"),
    "a directory half way back": lambda w, files, head: w.entries(b"d7", head // 2),
    "the root's entries": lambda w, files, head: w.entries(b""),
    "newest 100 changes": lambda w, files, head: w.log(limit=100, newest_first=True),
    "what the last 1,000 changes differ in": lambda w, files, head: w.diff(head - 1_000, head),
    "the whole tree at head": lambda w, files, head: sum(1 for _ in w.tree(head)),
    "the whole tree half way back": lambda w, files, head: sum(1 for _ in w.tree(head // 2)),
}

_ASK = """
import sys, time, json
from pathlib import Path
started = time.perf_counter()
from benchmarks.chronicle.scale import QUESTIONS
from chronicle import Workspace
root, files = Path(sys.argv[1]), int(sys.argv[2])
started = time.perf_counter()
workspace = Workspace.open(root)
head = workspace.head
found = {"open": time.perf_counter() - started}
for name, ask in QUESTIONS.items():
    started = time.perf_counter()
    ask(workspace, files, head)
    found[name] = time.perf_counter() - started
started = time.perf_counter()
fork = workspace.fork(Path(sys.argv[3]), head // 2)
found["fork half way back"] = time.perf_counter() - started
fork.close()
workspace.close()
print(json.dumps(found))
"""


def ask(root: Path, files: int, scratch: Path) -> dict[str, list[float]]:
    """Seconds for each question, from fresh processes."""
    found: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        command = [sys.executable, "-c", _ASK, str(root), str(files), str(scratch / f"fork{number}")]
        said = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=600
        ).stdout
        for name, seconds in json.loads(said).items():
            found.setdefault(name, []).append(seconds)
    return found


AIMS = {"open": "< 1 s", "history of a file": "< 10 ms", "fork half way back": "< 100 ms"}


def measure(files: int, iterations: int) -> list[Row]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory(prefix="chronicle-scale-") as place:
        root = Path(place) / "workspace"
        made = fill(root, files, iterations)
        rows = [
            Row("into history, one process", f"{made['iterations'] / made['seconds']:,.0f} iterations/s", "≥ 10,000/s"),
            Row("size of the history", f"{made['bytes'] / made['iterations']:.0f} bytes an iteration"),
        ]
        for name, seconds in ask(root, files, Path(place)).items():
            rows.append(Row(name, f"{median(seconds) * 1000:.2f} ms", AIMS.get(name, "")))
        started = time.perf_counter()
        workspace = Workspace.open(root)
        damage = list(workspace.fsck())
        rows.append(Row("fsck", f"{time.perf_counter() - started:.1f} s", note=f"{len(damage)} findings"))
        workspace.close()
    return rows


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--iterations", type=int, default=1_000_000)
    chosen = parser.parse_args()
    print(facts(), flush=True)
    print(table(f"{chosen.files:,} files, {chosen.iterations:,} iterations", measure(chosen.files, chosen.iterations)))


if __name__ == "__main__":
    main()
