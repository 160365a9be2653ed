"""Where does the time of small files go?

`python -m benchmarks.chronicle.requests [--files N] [--io-uring]`

Serves a mount in a child process that counts what the kernel asks and what that costs in processor time, while this
process works with small files. The rest of an operation's time is the kernel's: waking the one, then the other.
"""

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.chronicle.product import uring_allowed
from benchmarks.chronicle.workloads import Materials, create_small, read_small, remove_small, stat_first, stat_warm
from benchmarks.figures import Row, table
from benchmarks.machine import facts
from chronicle import Workspace
from chronicle.layout import Layout
from chronicle.mount.device import open_device, unmount
from chronicle.mount.options import MountOptions
from chronicle.mount.protocol import NAMES
from chronicle.mount.session import Session
from chronicle.recording import Recorder
from chronicle.store.history import History
from chronicle.store.pool import Pool

PHASES: dict[str, Callable[[Path, Materials], float | None]] = {
    "create": create_small,
    "stat, first": stat_first,
    "stat, warm": stat_warm,
    "open, read, close": read_small,
    "rm -rf": remove_small,
}


def _serve(layout: Layout, options: MountOptions, device: int, questions: int, answers: int) -> None:
    """The child: serves, and answers each byte with what was asked so far and the processor time it took."""
    settings = layout.read_settings()
    history = History.open(layout.history, writable=True)
    pool = Pool.open(layout.pool(settings))
    recorder = Recorder(layout, settings, history, pool)
    recorder.start()
    session = Session(layout, settings, recorder, None, options, device=device)

    def answer() -> None:
        while os.read(questions, 1):
            used = resource.getrusage(resource.RUSAGE_SELF)
            said = {"counts": dict(session.statistics), "user": used.ru_utime, "system": used.ru_stime}
            os.write(answers, json.dumps(said).encode() + b"\n")

    threading.Thread(target=answer, daemon=True).start()
    session.run()
    recorder.stop()
    os._exit(0)


def measure(files: int, *, io_uring: bool) -> list[Row]:
    """Rows of the table."""
    rows = []
    with uring_allowed(io_uring), tempfile.TemporaryDirectory(prefix="chronicle-bench-") as place:
        layout = Layout(Path(place) / "store")
        Workspace.create(layout.root).close()
        mountpoint = Path(place) / "mount"
        mountpoint.mkdir()
        options = MountOptions(mountpoint=mountpoint, io_uring="on" if io_uring else "off")
        device = open_device(options)
        (questions, ask), (hear, answers) = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            _serve(layout, options, device, questions, answers)
        os.close(device)
        reading = os.fdopen(hear)

        def state() -> dict[str, dict[str, int]]:
            os.write(ask, b"?")
            found: dict[str, dict[str, int]] = json.loads(reading.readline())
            return found

        try:
            materials = Materials(Path(place), files=files)
            for name, phase in PHASES.items():
                before = state()
                seconds = phase(mountpoint, materials) or 0.0
                time.sleep(0.3)  # what the kernel sends later (RELEASE) and what is recorded belongs to the phase
                rows.append(_row(name, files, seconds, before, state()))
        finally:
            unmount(mountpoint)
            os.waitpid(child, 0)
            reading.close()
            for descriptor in (questions, ask, answers):
                os.close(descriptor)
    return rows


def _row(
    name: str, files: int, seconds: float, before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> Row:
    asked = {
        NAMES.get(int(opcode), opcode): count - before["counts"].get(opcode, 0)
        for opcode, count in after["counts"].items()
    }
    often = {what: count / files for what, count in asked.items() if count >= files / 20}
    user = (float(after["user"]) - float(before["user"])) / files * 1e6  # type: ignore[arg-type]
    system = (float(after["system"]) - float(before["system"])) / files * 1e6  # type: ignore[arg-type]
    shown = ", ".join(f"{count:.1f} {what}" for what, count in often.items()) or "none"
    return Row(name, f"{seconds / files * 1e6:.0f} µs a file", f"{user:.0f} + {system:.0f} µs", shown)


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--io-uring", action="store_true")
    chosen = parser.parse_args()
    print(facts(), flush=True)
    print(
        table(
            "Requests (third column: processor time of the serving process, user + system, history included)",
            measure(chosen.files, io_uring=chosen.io_uring),
        )
    )


if __name__ == "__main__":
    main()
