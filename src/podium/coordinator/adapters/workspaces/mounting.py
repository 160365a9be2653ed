"""Mounts of this host around the agents' directory: made visible to agents in mount namespaces, and cleaned up.

A mount that is made after a template went into its namespace appears there only if it happens below a *shared* mount
(mount_namespaces(7)). Where the host's are private, the agents' directory is bound to itself and shared: a mount of its own.
"""

import ctypes
import os
from pathlib import Path
from typing import Final, NamedTuple

_MS_BIND: Final = 4096
_MS_PRIVATE: Final = 1 << 18
_MS_SHARED: Final = 1 << 20
_MNT_DETACH: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)


class MountPoint(NamedTuple):
    """One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)), as far as it matters here."""

    path: str
    kind: str
    shared: bool


def mount_points() -> list[MountPoint]:
    """All mounts of this namespace, in the order in which they were made."""
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        fields = before.split(b" ")
        path = fields[4].decode("unicode_escape").encode("latin-1")
        shared = any(field.startswith(b"shared:") for field in fields[6:])
        found.append(MountPoint(os.fsdecode(path), after.split(b" ")[0].decode(), shared))
    return found


def below(directory: Path) -> list[str]:
    """Mount points inside `directory`, the deepest first."""
    inside = f"{directory}/"
    return sorted((point.path for point in mount_points() if point.path.startswith(inside)), key=len, reverse=True)


def is_shared(directory: Path) -> bool:
    """Whether a mount made in `directory` from now on appears in the namespaces that were made before."""
    holder = MountPoint("", "", shared=False)
    for point in mount_points():
        inside = str(directory) == point.path or str(directory).startswith(point.path.rstrip("/") + "/")
        if inside and len(point.path) >= len(holder.path):
            holder = point
    return holder.shared


def share(directory: Path) -> bool:
    """Sees to it that `directory` is shared; True when it had to be made a mount of its own for that.

    Raises:
        OSError: the kernel refuses; nothing is left mounted then.
    """
    if is_shared(directory):
        return any(point.path == str(directory) for point in mount_points())
    _mount(directory, directory, _MS_BIND)
    try:
        _mount(None, directory, _MS_PRIVATE)
        _mount(None, directory, _MS_SHARED)
    except OSError:
        detach(str(directory))
        raise
    return True


def detach(path: str) -> None:
    """Takes a mount away at once, whoever uses it; what is no mount is fine."""
    _libc.umount2(os.fsencode(path), _MNT_DETACH)


def clean(directory: Path) -> list[str]:
    """Takes away everything that is mounted in `directory`; returns what was."""
    found = below(directory)
    for path in found:
        detach(path)
    return found


def clean_at(place: Path) -> None:
    """Takes away everything that is mounted at `place` itself."""
    for point in mount_points():
        if point.path == str(place):
            detach(point.path)


def _mount(source: Path | None, target: Path, flags: int) -> None:
    given = None if source is None else os.fsencode(source)
    if _libc.mount(given, os.fsencode(target), None, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")
