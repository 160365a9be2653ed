"""What a figure was measured on: printed above every table."""

import os
import platform
from pathlib import Path


def facts() -> str:
    """One line: processor, cores, memory, kernel, Python, load before the run."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_kib = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {memory_kib / 2**20:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load before {load:.1f}"
    )
