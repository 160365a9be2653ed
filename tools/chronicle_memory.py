"""Prints what idle mounts take in memory: proportional set size (PSS, proc(5)) of the supervisor and of each mount's process.

Usage: python tools/chronicle_memory.py [MOUNTS]
"""

import sys
import tempfile
import time
from pathlib import Path

from chronicle import DaemonProcess, Workspace

KIB = 1024


def pss(pid: int) -> int:
    """Bytes, shared pages divided among those who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KIB
    return 0


def main(arguments: list[str]) -> int:
    """Mounts so many workspaces, waits until they are idle, prints the table."""
    count = int(arguments[0]) if arguments else 10
    with tempfile.TemporaryDirectory(prefix="chronicle-memory-") as place:
        process = DaemonProcess.start(Path(place) / "daemon", log=2)
        try:
            times = []
            for number in range(count):
                root, point = Path(place) / f"store{number}", Path(place) / f"mount{number}"
                Workspace.create(root).close()
                point.mkdir()
                begun = time.perf_counter()
                process.daemon.mount(root, point)
                times.append(time.perf_counter() - begun)
                (point / "file").write_text("x")
            time.sleep(2)
            sizes = sorted(pss(mounted.pid) for mounted in process.daemon.mounts())
            print(f"supervisor      {pss(process.pid) / KIB / KIB:6.1f} MiB")
            print(
                f"each of {count:3} mounts {sum(sizes) / len(sizes) / KIB / KIB:5.1f} MiB  (largest {sizes[-1] / KIB / KIB:.1f})"
            )
            print(
                f"ready after     {sorted(times)[len(times) // 2] * 1000:6.1f} ms (median), slowest {max(times) * 1000:.1f}"
            )
        finally:
            process.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
