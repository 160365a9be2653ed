"""Control groups, of version 1, 2 or both: one group per instance, below one of this data directory.

The group of an instance can't be left by it, so its end is the end of the tree, and limits count for the whole tree. In version 1 it
is several directories, one for each hierarchy. Moving a process costs up to some milliseconds in the kernel, so that a group is made
only where it brings something.
"""

import contextlib
import errno
import itertools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from podium.coordinator.adapters.processes.hierarchies import CONTROLLERS, Hierarchy, Survey, hand_on, make_room, survey
from podium.wire.events import OutOfMemory
from podium.wire.manifest import Limits

CPU_PERIOD_US: Final = 100_000
"""Period of the processor quota."""

EMPTY_SECONDS: Final = 2.0
"""How long a killed group may take to become empty when an earlier one's leftovers are removed."""

CHARGE_MAX_BYTES: Final = 2 * 2**20
"""Most memory that is asked for at once: a huge page. The use of a group that has reached its limit was never further below it."""

NO_PROCESSES: Final = 0
"""Limit of processes of a group that is to die: nobody in it can fork any more."""


class Cgroup:
    """The group of one instance: its directory in each hierarchy."""

    def __init__(self, directories: Mapping[Hierarchy, Path]) -> None:
        self._directories = directories

    def make(self, limits: Limits) -> None:
        """Makes it, with the limits whose controllers are there. Whole or not at all.

        Raises:
            OSError: the host refuses.
        """
        try:
            for hierarchy, path in self._directories.items():
                path.mkdir(parents=True)  # the one before of this data directory may just have taken the parent away
                for name, value in _settings(hierarchy, limits):
                    _set(path / name, value)
        except OSError:
            self.remove()
            raise

    def add(self, pid: int) -> None:
        """Moves a process in; what it forks is in too."""
        for path in self._directories.values():
            (path / "cgroup.procs").write_text(str(pid))

    def members(self) -> list[int]:
        """Pids in the group, of threads' leaders; empty when it is gone."""
        for path in self._directories.values():
            with contextlib.suppress(OSError):
                return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]
        return []

    def kill(self) -> None:
        """SIGKILL for everyone in it, at once where the kernel can (version 2); else nobody can fork before all are reached."""
        if (path := self._holding("cgroup.kill")) is not None:
            with contextlib.suppress(OSError):
                path.write_text("1")
                return
        if (path := self._holding("pids.max")) is not None:
            with contextlib.suppress(OSError):
                path.write_text(str(NO_PROCESSES))
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def out_of_memory(self) -> OutOfMemory | None:
        """Whether the kernel killed processes of the group because the group had reached its limit of memory; None: it did not."""
        if (file := self._holding("memory.events")) is not None:
            limit, peak = _number(file.with_name("memory.max")), _number(file.with_name("memory.peak"))
            reached = bool(_number(file, "oom"))
        elif (file := self._holding("memory.oom_control")) is not None:
            limit = _number(file.with_name("memory.limit_in_bytes"))
            peak = _number(file.with_name("memory.max_usage_in_bytes"))
            reached = (peak or 0) + CHARGE_MAX_BYTES > (limit or 0)
        else:
            return None
        killed = _number(file, "oom_kill")
        if not killed or not limit or not reached:  # else it was the memory of the host, or of a group around
            return None
        return OutOfMemory(limit_bytes=limit, peak_bytes=peak, killed=killed)

    def cpu_seconds(self) -> float | None:
        """Processor time of everybody who was ever in it; None where it is not counted."""
        if (stat := self._holding("cpu.stat", version=2)) is not None and (used := _number(stat, "usage_usec")):
            return used / 1e6
        return None

    def remove(self) -> None:
        """Removes the empty group."""
        for path in self._directories.values():
            with contextlib.suppress(OSError):
                path.rmdir()

    def _holding(self, name: str, version: int | None = None) -> Path | None:
        """The file `name`, in whichever hierarchy has it."""
        for hierarchy, path in self._directories.items():
            if version in (None, hierarchy.version) and (path / name).exists():
                return path / name
        return None


class Cgroups:
    """The groups of one data directory. `controllers`: those whose limits are held."""

    def __init__(self, directories: Mapping[Hierarchy, Path]) -> None:
        self._directories = directories
        self._numbers = itertools.count(1)
        self.controllers: frozenset[str] = frozenset().union(*(each.controllers for each in directories))

    def make(self, name: str, limits: Limits) -> Cgroup:
        """A new group, whose counters begin at nothing.

        Raises:
            OSError: the host refuses.
        """
        group = self._group(f"{name}.{next(self._numbers)}")
        group.make(limits)
        return group

    def kill_leftovers(self) -> int:
        """Ends and removes groups an earlier coordinator left. Blocking, bounded. Returns how many there were."""
        groups = [self._group(name) for name in self._names()]
        end = time.monotonic() + EMPTY_SECONDS
        for group in groups:
            group.kill()
        while any(group.members() for group in groups) and time.monotonic() < end:
            for group in groups:
                group.kill()
            time.sleep(0.005)
        for group in groups:
            group.remove()
        return len(groups)

    def close(self) -> None:
        """Removes the groups' parent, with the groups that are empty."""
        for name in self._names():
            self._group(name).remove()
        for path in self._directories.values():
            with contextlib.suppress(OSError):
                path.rmdir()

    def _group(self, name: str) -> Cgroup:
        return Cgroup({hierarchy: path / name for hierarchy, path in self._directories.items()})

    def _names(self) -> list[str]:
        """Of all groups there are, in whichever hierarchy."""
        found: set[str] = set()
        for path in self._directories.values():
            with contextlib.suppress(OSError):
                found |= {each.name for each in path.iterdir() if each.is_dir()}
        return sorted(found)


def open_cgroups(mark: str, wanted: tuple[str, ...] = CONTROLLERS, found: Survey | None = None) -> Cgroups | None:
    """The groups for the data directory `mark`, where this process may make some; None elsewhere. `found`: what a survey found, if
    one was made; `wanted` are controllers otherwise."""
    directories: dict[Hierarchy, Path] = {}
    for hierarchy in (found or survey(wanted)).hierarchies:
        path = hierarchy.path / f"podium-{mark}"
        with contextlib.suppress(OSError):
            path.mkdir(exist_ok=True)
            controllers = hierarchy.controllers if hierarchy.version == 1 else _opened(hierarchy, path)
            if controllers or (path / "cgroup.kill").exists():
                directories[hierarchy._replace(controllers=controllers)] = path
            else:
                path.rmdir()
    return Cgroups(directories) if directories else None


def _opened(hierarchy: Hierarchy, path: Path) -> frozenset[str]:
    """Version 2: the wanted controllers that groups below `path` have now; those that are refused are not among them."""
    if not hierarchy.controllers:
        return frozenset()
    try:
        make_room(hierarchy.path, hierarchy.controllers)
        hand_on(path, hierarchy.controllers)
    except OSError:
        return frozenset()
    return hierarchy.controllers


def _settings(hierarchy: Hierarchy, limits: Limits) -> Sequence[tuple[str, str]]:
    """The files of a group with what is written to them, in this order: memory with swap may not be limited below memory."""
    quota = str(max(1000, round(limits.cpu * CPU_PERIOD_US)))
    memory, processes = str(limits.memory), str(limits.processes)
    if hierarchy.version == 2:
        files = {
            "memory": [("memory.max", memory), ("memory.swap.max", "0")],
            "pids": [("pids.max", processes)],
            "cpu": [("cpu.max", f"{quota} {CPU_PERIOD_US}")],
        }
    else:
        files = {
            "memory": [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)],
            "pids": [("pids.max", processes)],
            "cpu": [("cpu.cfs_period_us", str(CPU_PERIOD_US)), ("cpu.cfs_quota_us", quota)],
        }
    return [each for name in CONTROLLERS if name in hierarchy.controllers for each in files[name]]


def _set(file: Path, value: str) -> None:
    if not file.exists():
        return  # a kernel that does not count swap
    try:
        file.write_text(value)
    except OSError as error:
        # Version 1 refuses a quota above that of a group around, which then is the one that counts.
        if not (error.errno == errno.EINVAL and file.name == "cpu.cfs_quota_us"):
            raise


def _number(file: Path, key: str | None = None) -> int | None:
    """The number in a file, or the one after `key` in one of its lines; None: it is not there."""
    with contextlib.suppress(OSError, ValueError):
        text = file.read_text()
        if key is None:
            return int(text)
        return next((int(line.split()[1]) for line in text.splitlines() if line.split()[0] == key), None)
    return None
