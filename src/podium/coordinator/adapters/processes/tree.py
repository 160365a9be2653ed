"""The processes of one instance, found through `/proc`.

Descendants are found by their parents. A process that lost its parent became a child of the template (or of the
launcher); whose it was is told by what it can't shed: its user id, its user namespace, else its session or environment.
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from podium.wire.rest import Resources

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NS_GET_PARENT = 0xB702


class Mark(NamedTuple):
    """What tells that an orphan is of this instance: the strongest that is given counts.

    `uid`: no other instance has it. `user_namespace`: inode of the namespace of its first process. `session`: id of the
    session of its first process; `assignment`: an environment entry. A descendant could shed the last two.
    """

    uid: int | None
    user_namespace: int | None
    session: int
    assignment: bytes


class Usage(NamedTuple):
    """From `/proc/{pid}/stat`: session id, state, CPU seconds (its own and its reaped children's), resident bytes."""

    session: int
    state: str
    cpu_seconds: float
    rss_bytes: int


def read_usage(pid: int) -> Usage | None:
    """What a process is and uses; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Usage(int(fields[3]), fields[0], sum(map(int, fields[11:15])) / _TICKS, int(fields[21]) * _PAGE)


def children_of(pid: int) -> list[int]:
    """Direct children of a process, of all its threads."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found


def descendants(pids: Iterable[int]) -> list[int]:
    """The processes `pids` and everything below them, parents first."""
    found: list[int] = []
    seen: set[int] = set()
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in seen:
            seen.add(pid)
            found.append(pid)
            waiting += children_of(pid)
    return found


def belongs(pid: int, mark: Mark) -> bool:
    """Whether an orphan carries the mark."""
    try:
        if mark.uid is not None:
            return _user_id(pid) == mark.uid
        if mark.user_namespace is not None:
            return _in_namespace(pid, mark.user_namespace)
        usage = read_usage(pid)
        if usage is not None and usage.session == mark.session:
            return True
        return mark.assignment in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or not ours
        return False


def members(main: int | None, adopters: Iterable[int], others: Iterable[int], mark: Mark) -> list[int]:
    """Living processes of an instance. `main`: its first process while it lives; `adopters`: who orphans go to;
    `others`: children of the adopters that are first processes of instances, this one's included."""
    known = set(others)
    roots = [] if main is None else [main]
    for adopter in adopters:
        roots += [pid for pid in children_of(adopter) if pid not in known and belongs(pid, mark)]
    return [pid for pid in descendants(roots) if is_alive(pid)]


def is_alive(pid: int) -> bool:
    """Whether the process runs: neither gone nor waiting to be reaped."""
    usage = read_usage(pid)
    return usage is not None and usage.state not in "ZX"


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL for each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def used_by(pids: Iterable[int]) -> Resources:
    """What these processes use together."""
    usages = [usage for pid in pids if (usage := read_usage(pid)) is not None]
    return Resources(
        rss_bytes=sum(usage.rss_bytes for usage in usages),
        cpu_seconds=round(sum(usage.cpu_seconds for usage in usages), 3),
        processes=len(usages),
    )


def user_namespace(pid: int) -> int | None:
    """Inode of the user namespace of a process; None when it can't be read."""
    try:
        return os.stat(f"/proc/{pid}/ns/user").st_ino
    except OSError:
        return None


def _user_id(pid: int) -> int:
    """Real user id. Not the owner of `/proc/{pid}`: a process can change that."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nUid:")[2].split()[0])


def _in_namespace(pid: int, wanted: int) -> bool:
    """Whether a process is in the user namespace `wanted` or in one below it."""
    handle = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            if os.fstat(handle).st_ino == wanted:
                return True
            parent = fcntl.ioctl(handle, _NS_GET_PARENT)
            os.close(handle)
            handle = parent
    except OSError:  # EPERM: the outermost one that may be seen
        return False
    finally:
        os.close(handle)
