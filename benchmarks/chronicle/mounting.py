"""How long until a workspace is there, what does an idle one cost, and how much does history take in?

`python -m benchmarks.chronicle.mounting`
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.chronicle.workloads import _small_files
from benchmarks.figures import Row, median, percentile, table
from benchmarks.machine import facts
from chronicle import DaemonProcess, Workspace
from chronicle.layout import Layout
from chronicle.recording import Recorder
from chronicle.store.history import History
from chronicle.store.pool import Pool

MOUNTS = 20
WRITERS = 4
SECONDS = 5.0

_WRITE = """
import os, sys, time
place, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
number = 0
content = b"some content that differs " * 40
while time.monotonic() < end:
    with open(f"{place}/file{number % 500}", "wb") as file:
        file.write(b"%d " % number + content)
    number += 1
print(number)
"""


def _pss(pid: int) -> float:
    """MiB of memory a process has for itself, with its share of what it has in common with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _mounts(place: Path, process: DaemonProcess) -> list[Row]:
    ready, forks, memory, unmounts = [], [], [], []
    for number in range(MOUNTS):
        root, directory = place / f"store{number}", place / f"mount{number}"
        directory.mkdir()
        workspace = Workspace.create(root)
        started = time.perf_counter()
        process.daemon.mount(root, directory, backend="fuse")
        os.listdir(directory)
        ready.append(time.perf_counter() - started)
        workspace.close()
    for mounted in process.daemon.mounts():
        memory.append(_pss(mounted.pid))
    _small_files(place / "mount0", 5_000)
    with Workspace.open(place / "store0") as first:
        first.barrier()
        for number in range(5):
            started = time.perf_counter()
            first.fork(place / f"fork{number}").close()
            forks.append(time.perf_counter() - started)
    for number in range(1, MOUNTS):
        started = time.perf_counter()
        process.daemon.unmount(place / f"store{number}")
        unmounts.append(time.perf_counter() - started)
    return [
        Row(
            "mount → first listing",
            f"p50 {median(ready) * 1e3:.1f} ms, p95 {percentile(ready, 0.95) * 1e3:.1f} ms",
            "< 50 ms",
        ),
        Row("unmount, everything recorded", f"p50 {median(unmounts) * 1e3:.1f} ms"),
        Row(f"memory of an idle mount (PSS, {MOUNTS} mounts)", f"{median(memory):.1f} MiB", "< 15 MiB"),
        Row("fork of a mounted workspace of 5,000 files", f"p50 {median(forks) * 1e3:.1f} ms", "< 100 ms"),
    ]


def _sustained(place: Path, process: DaemonProcess) -> list[Row]:
    """Writers as fast as they can; all versions must be in the history when they stop."""
    workers = []
    for number in range(2):
        root, directory = place / f"busy{number}", place / f"work{number}"
        directory.mkdir()
        Workspace.create(root).close()
        process.daemon.mount(root, directory, backend="fuse")
        workers.append((root, directory))
    started = time.perf_counter()
    writers = []
    for number in range(WRITERS):
        own = workers[number % len(workers)][1] / f"writer{number}"
        own.mkdir()
        command = [sys.executable, "-c", _WRITE, str(own), str(SECONDS)]
        writers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    written = sum(int(writer.communicate(timeout=120)[0]) for writer in writers)
    took = time.perf_counter() - started
    recorded = 0
    for root, _ in workers:
        with Workspace.open(root) as workspace:
            recorded += workspace.barrier()
    behind = time.perf_counter() - started - took
    return [
        Row(
            f"{WRITERS} writers on 2 mounts: versions written, all recorded",
            f"{written / took:,.0f}/s",
            "",
            f"{recorded - WRITERS:,} of {written:,} iterations in the history {behind * 1e3:.0f} ms after the last write",
        )
    ]


def _into_history(place: Path, files: int = 20_000) -> list[Row]:
    """Closed files noted as fast as a recorder takes them: read, hashed, compressed, stored, written down."""
    layout = Layout(place / "recorded")
    Workspace.create(layout.root).close()
    settings = layout.read_settings()
    content = b"a line of some content that differs\n" * 57  # 2 KiB
    paths = [b"file%d" % number for number in range(files)]
    for number, path in enumerate(paths):
        (layout.tree / os.fsdecode(path)).write_bytes(b"%d " % number + content)
    history = History.open(layout.history, writable=True)
    pool = Pool.open(layout.pool(settings))
    recorder = Recorder(layout, settings, history, pool)
    recorder.start()
    tree = os.open(layout.tree, os.O_RDONLY)
    started = time.perf_counter()
    for path in paths:
        recorder.wrote(path, os.open(path, os.O_RDONLY, dir_fd=tree), 0o100644)
    recorder.barrier(120)
    took = time.perf_counter() - started
    os.close(tree)
    recorder.stop()
    history.close()
    pool.close()
    return [Row("new files of 2 KiB into the history, one recorder", f"{files / took:,.0f} iterations/s", "≥ 10,000/s")]


def measure() -> list[Row]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory(prefix="chronicle-bench-") as directory:
        place = Path(directory)
        process = DaemonProcess.start(place / "daemon", log=subprocess.DEVNULL)
        try:
            return [*_mounts(place, process), *_sustained(place, process), *_into_history(place)]
        finally:
            process.stop()


if __name__ == "__main__":
    print(facts(), flush=True)
    print(table("Mounts", measure()))
