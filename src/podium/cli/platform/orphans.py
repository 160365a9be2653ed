"""Orphans: processes of the platform whose parent died. They become children of this process, which ends and reaps them.

Agents die with their coordinator by the coordinator's own means. This is the second line: it keeps zombies from piling
up where nobody else reaps them (a container whose first process is `podium up`), and makes sure at the end that nothing
is left, whatever a daemon forgot.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36


def adopt_orphans() -> None:
    """From now on, orphans below this process become its children."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """The children of this process, adopted ones included."""
    lists = (task / "children" for task in Path("/proc/self/task").iterdir())
    return [int(pid) for children_of_task in lists for pid in children_of_task.read_text().split()]


def reap_orphans(own: Collection[int]) -> None:
    """Takes leave of children that have ended, except our `own`, which somebody waits for."""
    for pid in children():
        if pid not in own:
            _reap(pid)


def end_orphans(own: Collection[int]) -> bool:
    """Kills what was adopted and still runs; True when there was nothing."""
    left = [pid for pid in children() if pid not in own]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _reap(pid)
    return not left


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
