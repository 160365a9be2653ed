"""The hierarchies of control groups on this host: where this process may make groups, and which limits they can hold there.

Version 2 has one hierarchy for all controllers, version 1 one for each, or for a few. A host may have both: then each controller is
in exactly one of them, and the tree of version 2 may hold processes without limiting them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from podium.coordinator.adapters.processes.tree import children_of, descendants

CONTROLLERS: Final = ("memory", "pids", "cpu")
"""Controllers whose limits a manifest has values for."""

DAEMONS_NAME: Final = "podium-daemons"
"""Below the group a coordinator was started in: the group it moves to, for a group of version 2 that hands controllers on may hold
no process itself."""


class Hierarchy(NamedTuple):
    """The group below which groups can be made, in one hierarchy, and the wanted controllers that are in that hierarchy."""

    version: int
    path: Path
    controllers: frozenset[str]


class Survey(NamedTuple):
    """What was found: hierarchies groups can be made in, and of each wanted controller that is in none of them, why."""

    hierarchies: tuple[Hierarchy, ...]
    refusals: dict[str, str]

    @property
    def controllers(self) -> frozenset[str]:
        """Those whose limits can be held."""
        return frozenset().union(*(each.controllers for each in self.hierarchies))


def survey(wanted: tuple[str, ...] = CONTROLLERS) -> Survey:
    """Looks at this host, and changes nothing."""
    try:
        found = list(parsed(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text()))
    except OSError as error:
        return Survey((), dict.fromkeys(wanted, f"/proc can't be read: {error.strerror}"))
    usable: list[Hierarchy] = []
    refusals = dict.fromkeys(wanted, "no hierarchy of control groups here has it")
    for hierarchy in map(_with_own_controllers, found):
        there = hierarchy.controllers.intersection(wanted)
        refusal = _refusal(hierarchy.path)
        lacking = there - _handed_on(hierarchy.path) if hierarchy.version == 2 else frozenset()
        if refusal is None and lacking and (strangers := _strangers(hierarchy.path)):
            refusals.update(dict.fromkeys(lacking, _CROWDED.format(hierarchy.path, len(strangers))))
            there -= lacking
        if refusal is not None:
            refusals.update(dict.fromkeys(there, refusal))
        elif there or hierarchy.version == 2:
            usable.append(Hierarchy(hierarchy.version, hierarchy.path, there))
    held = Survey(tuple(usable), {}).controllers
    return Survey(tuple(usable), {name: why for name, why in refusals.items() if name not in held})


def parsed(mountinfo: str, own: str) -> Iterator[Hierarchy]:
    """The hierarchies in `/proc/self/mountinfo` with the group of this process, from `/proc/self/cgroup`. Pure.

    Controllers of version 1 are in its mount options; those of version 2 in a file of the group: none are told here.
    """
    groups: dict[str, str] = {}
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        groups |= {name: path for name in controllers.split(",")} if number != "0" else {"": path}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        (root, point), (kind, _, options) = before.split()[3:5], after.split()[:3]
        names = frozenset(options.split(",")).intersection(CONTROLLERS) if kind == "cgroup" else frozenset({""})
        own_path = next((groups[name] for name in sorted(names) if name in groups), None)
        if kind in ("cgroup", "cgroup2") and own_path is not None:
            # A container's mount begins at its own group, whose path from outside may be shown nevertheless.
            inside = own_path.removeprefix(root) if root != "/" else own_path
            yield Hierarchy(2 if kind == "cgroup2" else 1, Path(point) / inside.lstrip("/"), names - {""})


def make_room(path: Path, controllers: frozenset[str]) -> None:
    """Version 2: has the group `path` hand `controllers` on, and for that moves this process and those around it out of it, into a
    group below.

    Raises:
        OSError: the host refuses.
    """
    if controllers <= _handed_on(path):
        return
    if _is_inner(path) and (members := _members(path)):
        daemons = path / DAEMONS_NAME
        daemons.mkdir(exist_ok=True)
        for pid in members:
            try:
                (daemons / "cgroup.procs").write_text(str(pid))
            except ProcessLookupError:
                continue
    hand_on(path, controllers)


def hand_on(path: Path, controllers: frozenset[str]) -> None:
    """Version 2: groups below `path` have these controllers.

    Raises:
        OSError: the host refuses.
    """
    (path / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(controllers)))


_CROWDED: Final = (
    "{} holds {} processes that are none of Podium's: run it in a group of its own (systemd: Delegate=yes)"
)


def _with_own_controllers(hierarchy: Hierarchy) -> Hierarchy:
    """Of version 2: with the controllers the group has; from where a coordinator moved itself, back to where it was started."""
    if hierarchy.version == 1:
        return hierarchy
    path = hierarchy.path.parent if hierarchy.path.name == DAEMONS_NAME else hierarchy.path
    return Hierarchy(2, path, _names(path / "cgroup.controllers"))


def _refusal(path: Path) -> str | None:
    if not path.is_dir():
        return f"{path} can't be seen from here"
    if not os.access(path, os.W_OK) or not os.access(path / "cgroup.procs", os.W_OK):
        return f"{path} may not be written"
    return None


def _handed_on(path: Path) -> frozenset[str]:
    return _names(path / "cgroup.subtree_control")


def _names(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text().split())
    except OSError:
        return frozenset()


def _is_inner(path: Path) -> bool:
    """Whether it is not the outermost group of the host, which alone may hold processes and hand controllers on."""
    return (path / "cgroup.type").exists()


def _members(path: Path) -> list[int]:
    return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]


def _strangers(path: Path) -> set[int]:
    """Who is in the group and neither this process nor above or below it."""
    if not _is_inner(path):
        return set()
    family = {os.getpid()}
    pid = os.getppid()
    while pid > 0:
        family.add(pid)
        pid = _parent(pid)
    return set(_members(path)) - family - set(descendants(children_of(os.getpid())))


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
