"""Control groups, version 2: one per instance, below one of this data directory.

The group of an instance can't be left by it, so its end is the end of the tree, and limits count for the whole tree. Moving a
process costs about a millisecond in the kernel, so that a group is made only where it brings something.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from podium.wire.manifest import Limits

WANTED_CONTROLLERS: Final = ("memory", "pids", "cpu")
"""Controllers whose limits a manifest has values for."""

CPU_PERIOD_US: Final = 100_000
"""Period of the processor quota."""

EMPTY_SECONDS: Final = 2.0
"""How long a killed group may take to become empty when an earlier one's leftovers are removed."""


class Cgroup:
    """The group of one instance."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def limit(self, limits: Limits) -> None:
        """Sets the limits whose controllers are there."""
        values = {
            "memory.max": str(limits.memory),
            "memory.swap.max": "0",
            "pids.max": str(limits.processes),
            "cpu.max": f"{max(1000, round(limits.cpu * CPU_PERIOD_US))} {CPU_PERIOD_US}",
        }
        for name, value in values.items():
            file = self.path / name
            if file.exists():
                file.write_text(value)

    def add(self, pid: int) -> None:
        """Moves a process in; what it forks is in too."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def members(self) -> list[int]:
        """Pids in the group, of threads' leaders; empty when it is gone."""
        try:
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]
        except OSError:
            return []

    def kill(self) -> None:
        """SIGKILL for everyone in it, at once."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Removes the empty group."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


class Cgroups:
    """The groups of one data directory."""

    def __init__(self, path: Path, controllers: frozenset[str]) -> None:
        self.path = path
        self.controllers = controllers

    def make(self, name: str, limits: Limits) -> Cgroup:
        """A new group.

        Raises:
            OSError: the host refuses.
        """
        group = Cgroup(self.path / name)
        group.path.mkdir(exist_ok=True)
        group.limit(limits)
        return group

    def kill_leftovers(self) -> int:
        """Ends and removes groups an earlier coordinator left. Blocking, bounded. Returns how many there were."""
        groups = [Cgroup(path) for path in self.path.iterdir() if path.is_dir()] if self.path.is_dir() else []
        for group in groups:
            group.kill()
        end = time.monotonic() + EMPTY_SECONDS
        while any(group.members() for group in groups) and time.monotonic() < end:
            time.sleep(0.005)
        for group in groups:
            group.remove()
        return len(groups)

    def close(self) -> None:
        """Removes the groups' parent when it is empty."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def open_cgroups(mark: str) -> Cgroups | None:
    """The groups for the data directory `mark`, where this process may make some; None elsewhere."""
    parent = _own_group()
    if parent is None or not os.access(parent / "cgroup.procs", os.W_OK):
        return None
    path = parent / f"podium-{mark}"
    try:
        path.mkdir(exist_ok=True)
        if not (path / "cgroup.kill").exists():
            path.rmdir()
            return None
    except OSError:
        return None
    _enable(parent)
    return Cgroups(path, _enable(path))


def _own_group() -> Path | None:
    """The directory of the group this process is in."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    points = [line.split()[4] for line in mounts if line.partition(" - ")[2].startswith("cgroup2 ")]
    own = [line[3:] for line in groups if line.startswith("0::")]
    return Path(points[0]) / own[0].lstrip("/") if points and own else None


def _enable(path: Path) -> frozenset[str]:
    """Hands controllers on to the groups below `path`; returns those that are on. One that is refused stays off."""
    for name in WANTED_CONTROLLERS:
        with contextlib.suppress(OSError):
            (path / "cgroup.subtree_control").write_text(f"+{name}")
    try:
        return frozenset((path / "cgroup.subtree_control").read_text().split())
    except OSError:
        return frozenset()
