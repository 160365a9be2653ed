"""How a workspace stands, in one value."""

import os
from pathlib import Path
from typing import Literal

import msgspec

from chronicle.control.messages import HolderStatus
from chronicle.layout import Layout, Settings
from chronicle.store.history import History
from chronicle.workspace.marks import Lock, read_mount, was_clean


class Status(msgspec.Struct, frozen=True):
    """What `chronicle status` shows.

    `state`: `mounted`; `replacing` (mounted, its process died and the next is being started); `written` (another program writes it
    at this moment); `idle`; `unclean` (idle, and the last writer did not end in order: the next one compares tree and history).
    `head`, `first`: newest and earliest known moment. `backend`, `mountpoint`, `pid`, `passthrough`, `problem`: of the process that serves it.
    """

    workspace_id: str
    root: str
    state: Literal["mounted", "replacing", "written", "idle", "unclean"]
    head: int
    first: int
    durability: str
    pool: str
    quota_bytes: int | None = None
    mountpoint: str | None = None
    backend: Literal["fuse", "watch"] | None = None
    pid: int | None = None
    passthrough: bool = False
    problem: str | None = None
    supervisor: str | None = None


class Usage(msgspec.Struct, frozen=True):
    """Bytes on disk (blocks that are allocated, hard links counted once). `pool` may be shared with others; `waiting`: contents
    and journal that are not recorded yet.
    """

    tree: int
    history: int
    pool: int
    waiting: int


def status_of(layout: Layout, settings: Settings, history: History, holder: HolderStatus | None) -> Status:
    """The status; `holder` is what the process that serves it says."""
    note = read_mount(layout)
    state: Literal["mounted", "replacing", "written", "idle", "unclean"]
    if holder is not None:
        state = "mounted"
    elif note is not None:
        state = "replacing"
    else:
        state = "idle" if was_clean(layout) else _unclean(layout)
    return Status(
        workspace_id=settings.workspace_id,
        root=str(layout.root),
        state=state,
        head=history.head,
        first=history.first,
        durability=settings.durability,
        pool=str(layout.pool(settings)),
        quota_bytes=settings.quota_bytes,
        mountpoint=note.mountpoint if note else None,
        backend=note.backend if note else None,
        pid=holder.pid if holder else None,
        passthrough=holder.passthrough if holder else False,
        problem=holder.problem if holder else None,
        supervisor=note.supervisor if note else None,
    )


def _unclean(layout: Layout) -> Literal["written", "unclean"]:
    lock = Lock.try_take(layout)
    if lock is None:
        return "written"
    lock.release()
    return "unclean"


def usage_of(layout: Layout, settings: Settings) -> Usage:
    """What the workspace takes on disk. Walks its files."""
    return Usage(
        tree=_allocated(layout.tree),
        history=_allocated(layout.history),
        pool=_allocated(layout.pool(settings)),
        waiting=_allocated(layout.pending) + _allocated(layout.journal),
    )


def _allocated(top: Path) -> int:
    seen: set[tuple[int, int]] = set()
    total = 0
    stack = [os.fsencode(top)]
    while stack:
        path = stack.pop()
        try:
            there = os.stat(path, follow_symlinks=path == os.fsencode(top))
        except OSError:
            continue  # gone meanwhile
        if (there.st_dev, there.st_ino) in seen:
            continue
        seen.add((there.st_dev, there.st_ino))
        total += there.st_blocks * 512
        if there.st_mode & 0o170000 == 0o040000:
            try:
                stack += [os.path.join(path, name) for name in os.listdir(path)]
            except OSError:
                continue
    return total
