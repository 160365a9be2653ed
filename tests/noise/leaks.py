"""What a process holds: children, descriptors, threads, mounts, temporary files. Taken before and after, compared."""

import ctypes
import os
import signal
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_IGNORED_TARGETS: Final = ("/dev/", "anon_inode:", "pipe:[", "/proc/")


@dataclass(frozen=True)
class Held:
    """What is held at one moment, by kind: name → what a finding should say."""

    processes: dict[str, str]
    descriptors: dict[str, str]
    threads: dict[str, str]
    mounts: dict[str, str]
    files: dict[str, str]

    def more_than(self, before: "Held") -> dict[str, list[str]]:
        """Kind → what is held now and was not before."""
        found = {}
        for kind in ("processes", "descriptors", "threads", "mounts", "files"):
            new = getattr(self, kind).keys() - getattr(before, kind).keys()
            if new:
                found[kind] = sorted(getattr(self, kind)[name] for name in new)
        return found


def adopt_orphans() -> None:
    """Makes orphans of our children our own children, so that they are seen."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


own_places: list[str] = []
"""Further directories whose mounts are this process's (pytest's base directory)."""


served_places: set[str] = set()
"""Directories below which a daemon of a fixture mounts as it pleases while it runs. Who ends the daemon takes the place out again:
what is mounted there then has been left behind."""


def take() -> Held:
    """What this process holds now."""
    return Held(_processes(), _descriptors(), _threads(), _mounts(), _files())


def children() -> list[int]:
    """Pids of direct children."""
    pids: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            pids += [int(pid) for pid in (task / "children").read_text().split()]
        except OSError:
            continue
    return pids


def kill_children(known: set[str]) -> None:
    """Ends and reaps direct children that are not among the `known` (keys of `Held.processes`)."""
    for pid in children():
        if str(pid) in known:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def _processes() -> dict[str, str]:
    found = {}
    for pid in children():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            command = command or Path(f"/proc/{pid}/comm").read_text()  # one that has ended has only its name
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        found[str(pid)] = f"{pid} ({state}) {command.strip()[:160]}"
    return found


def _descriptors() -> dict[str, str]:
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
        if not target.startswith(_IGNORED_TARGETS):
            found[f"{entry} {target}"] = f"{entry} → {target}"
    return found


def _threads() -> dict[str, str]:
    return {str(t.ident): t.name for t in threading.enumerate() if t.is_alive() and not t.name.startswith("execnet")}


def _mounts() -> dict[str, str]:
    """Mounts by id, below the directories of this process: others on this host mount and unmount as they please."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = {line.split()[0]: line.split()[4] for line in lines}
    served = tuple(f"{directory}/" for directory in served_places)
    return {
        number: place
        for number, place in places.items()
        if _is_own(place) and not f"{place}/".startswith(served or ("\0",))
    }


def _is_own(place: str) -> bool:
    return place.startswith((tempfile.gettempdir() + "/", *(f"{root}/" for root in own_places)))


def _files() -> dict[str, str]:
    return {name: name for name in os.listdir(tempfile.gettempdir())}
