"""What does a versioned workspace cost, against the host's file system, other engines and other people's file systems?

`python -m benchmarks.chronicle.filesystem [--rounds N] [--where disk|memory] [--only NAME,…] [--json FILE]`

Every side runs in every round, in rotated order; a ratio is taken to the host's file system in the same round, and the
table has the median of the ratios.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.chronicle import product
from benchmarks.chronicle.mounts import FileSystem, bindfs, memory_disk, native, overlay, with_mfusepy, with_pyfuse3
from benchmarks.chronicle.workloads import ITEMS, Item, Materials
from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from benchmarks.peers.install import PeerUnavailableError

HOST = "host"
SIDES: dict[str, FileSystem] = {
    HOST: native,
    "chronicle": product.mounted(),
    "without history": product.mounted(history=False),
    "without passthrough": product.mounted(passthrough=False),
    "io_uring": product.mounted(io_uring=True),
    "may sleep": product.mounted(keep_awake=False),
    "overlayfs": overlay,
    "bindfs": bindfs(),
    "pyfuse3": with_pyfuse3(),
    "mfusepy": with_mfusepy(),
}
"""`io_uring` and `may sleep` (processors are not kept awake) keep history too; the rest below are other engines and file systems,
without history."""

Seconds = dict[str, float]


def _forget_caches() -> bool:
    """Drops the kernel's caches; False when that is not ours to do."""
    if os.geteuid() != 0:
        return False
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    return True


def _run_side(open_side: FileSystem, place: Path, materials: Materials, items: tuple[Item, ...]) -> Seconds:
    scratch = Path(tempfile.mkdtemp(dir=place))
    found: Seconds = {}
    try:
        with open_side(scratch) as directory:
            for item in items:
                os.sync()  # what the last one left to the disk is not this one's burden
                seconds = item.workload(directory, materials)
                if seconds is not None:
                    found[item.name] = seconds
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return found


@contextmanager
def _place(where: str) -> Iterator[Path]:
    if where == "memory":
        with memory_disk() as place:
            yield place
        return
    with tempfile.TemporaryDirectory(prefix="chronicle-bench-") as directory:
        yield Path(directory)


def run(
    rounds: int, where: str, sides: list[str], *, files: int, large_mib: int
) -> tuple[list[dict[str, Seconds]], dict[str, str]]:
    """Seconds by side and item for each round, and why sides were left out."""
    skipped: dict[str, str] = {}
    results: list[dict[str, Seconds]] = []
    with tempfile.TemporaryDirectory(prefix="chronicle-materials-") as prepared, _place(where) as place:
        materials = Materials(Path(prepared), files=files, large_mib=large_mib, cold=_forget_caches)
        for number in range(rounds):
            found: dict[str, Seconds] = {}
            shift = number % len(sides)
            for side in sides[shift:] + sides[:shift]:
                if side in skipped:
                    continue
                try:
                    found[side] = _run_side(SIDES[side], place, materials, ITEMS)
                except PeerUnavailableError as reason:
                    skipped[side] = str(reason)
                except (OSError, subprocess.SubprocessError) as error:
                    skipped[side] = f"failed: {error}"
            results.append(found)
    return results, skipped


def ratios(results: list[dict[str, Seconds]], side: str, item: str) -> list[float]:
    """The side's time over the host's, round by round."""
    return [r[side][item] / r[HOST][item] for r in results if item in r.get(side, {}) and item in r.get(HOST, {})]


def _verdict(item: Item, value: float) -> str:
    if item.must is None or item.aim is None:
        return ""
    if value <= item.aim:
        return "aim"
    return "must" if value <= item.must else "MISSED"


def as_table(results: list[dict[str, Seconds]], sides: list[str]) -> str:
    """The ratios, one line for each workload."""
    others = [side for side in sides if side != HOST and any(side in result for result in results)]
    lines = [
        f"| workload | {HOST} s | {' | '.join(others)} | must / aim | chronicle |",
        "| --- " * (len(others) + 4) + "|",
    ]
    for item in ITEMS:
        base = median([result[HOST][item.name] for result in results if item.name in result.get(HOST, {})])
        cells = [f"{median(found):.2f}" if (found := ratios(results, side, item.name)) else "–" for side in others]
        ours = ratios(results, "chronicle", item.name)
        goal = f"{item.must:g} / {item.aim:g}" if item.must is not None else ""
        lines.append(
            f"| {item.name} | {base:.3f} | {' | '.join(cells)} | {goal} | {_verdict(item, median(ours)) if ours else ''} |"
        )
    return "\n".join(lines)


def history_cost(results: list[dict[str, Seconds]]) -> list[Row]:
    """What history adds, over all workloads that change files."""
    changing = {
        "write 1 GiB",
        "4 KiB random write",
        "create small files",
        "git clone",
        "cp -r",
        "npm ci",
        "compileall",
        "four writers",
    }
    shares = []
    for result in results:
        with_it, without = result.get("chronicle", {}), result.get("without history", {})
        common = [name for name in changing if name in with_it and name in without]
        if common:
            shares.append(sum(with_it[name] for name in common) / sum(without[name] for name in common) - 1)
    return [Row("history adds, over all workloads that write", f"{median(shares):+.0%}", "≤ +25 %")] if shares else []


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--where", choices=["disk", "memory"], default="disk")
    parser.add_argument("--only", default=",".join(SIDES))
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    sides = [side for side in SIDES if side in {HOST, *chosen.only.split(",")}]
    print(facts(), flush=True)
    results, skipped = run(chosen.rounds, chosen.where, sides, files=chosen.files, large_mib=chosen.large_mib)
    print(f"\n## File system ({chosen.where}, {chosen.rounds} rounds, ratio to the host's own in the same round)\n")
    print(as_table(results, sides))
    print(
        table(
            "History", [*history_cost(results), *(Row(f"{side}: skipped", reason) for side, reason in skipped.items())]
        )
    )
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": facts(), "results": results, "skipped": skipped}, indent=1))


if __name__ == "__main__":
    main()
