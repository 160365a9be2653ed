"""Giving up contents that nobody needs any more: marks over all workspaces of a pool, then sweeps."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chronicle.layout import Layout
from chronicle.model.errors import InvalidInputError, WorkspaceBusyError
from chronicle.store.history import History
from chronicle.store.pool import TOUCH_AFTER_S, Pool
from chronicle.store.pool.collect import GRACE_S, sweep
from chronicle.workspace.marks import Lock, read_mount
from chronicle.workspace.tiers import open_pool_at

GRACE_SECONDS = GRACE_S
"""What was used within so many seconds stays."""

SAFE_GRACE_SECONDS = 2 * TOUCH_AFTER_S
"""From so many seconds on, others may write while contents are swept."""


class Collected(msgspec.Struct, frozen=True):
    """What a collection did, or with `dry_run` would do: `objects` of `bytes` and `leftovers` (files of crashes) went, `kept` stay."""

    workspaces: int
    objects: int
    bytes: int
    leftovers: int
    leftover_bytes: int
    kept: int
    dry_run: bool


def collect(
    pool: Pool, *, grace_s: float, dry_run: bool, now: float, progress: Callable[[str], None] | None
) -> Collected:
    """Marks and sweeps.

    Raises:
        InvalidInputError: a workspace that uses the pool is not where it was, so that nobody knows what it needs.
        DamagedError: a workspace that uses the pool can't be read.
        WorkspaceBusyError: the grace period is so short that nobody may write meanwhile, and somebody does.
    """
    users = pool.users()
    for name, root in users.items():
        _present(name, root)
    with contextlib.ExitStack() as alone:
        if grace_s < SAFE_GRACE_SECONDS and not dry_run:
            for root in users.values():
                alone.enter_context(_nobody_writes(Layout(root), grace_s))
        return _collect(pool, users, grace_s=grace_s, dry_run=dry_run, now=now, progress=progress)


def _collect(
    pool: Pool,
    users: dict[str, Path],
    *,
    grace_s: float,
    dry_run: bool,
    now: float,
    progress: Callable[[str], None] | None,
) -> Collected:
    done = sweep(pool, _live(users, now, progress), grace_s=grace_s, now=now, dry_run=dry_run)
    return Collected(
        workspaces=len(users),
        objects=done.objects,
        bytes=done.bytes,
        leftovers=done.leftovers,
        leftover_bytes=done.leftover_bytes,
        kept=done.kept,
        dry_run=done.dry_run,
    )


@contextlib.contextmanager
def _nobody_writes(layout: Layout, grace_s: float) -> Iterator[None]:
    lock = None if read_mount(layout) is not None else Lock.try_take(layout)
    if lock is None:
        raise WorkspaceBusyError(
            f"{layout.root} is mounted or being written: a grace period of {grace_s:.0f} s is safe only while nobody writes; "
            f"unmount it, or take at least {SAFE_GRACE_SECONDS:.0f} s"
        )
    try:
        yield
    finally:
        lock.release()


def _present(name: str, root: Path) -> None:
    # One that is being made or forked has its history before its settings; what it needs is young or its origin's.
    if not Layout(root).exists() and not Layout(root).history.is_dir():
        raise InvalidInputError(
            f"workspace {name} was at {root} and is not there now; bring it back, or run `chronicle gc --forget {name}` "
            "if it was removed on purpose"
        )


def _live(users: dict[str, Path], now: float, progress: Callable[[str], None] | None) -> Iterator[bytes]:
    for root in users.values():
        layout = Layout(root)
        if not layout.exists():
            continue
        if progress is not None:
            progress(f"marking what {root} needs")
        history = History.open(layout.history)
        try:
            yield from history.live_digests(layout.read_settings().retention, int(now * 1000))
        finally:
            history.close()


def forget(pool: Pool, workspace_id: str) -> None:
    """Takes a workspace that is gone off the pool's list. Raises InvalidInputError when it is not gone, or not on it."""
    root = pool.users().get(workspace_id)
    if root is None:
        raise InvalidInputError(f"the pool knows no workspace {workspace_id!r}")
    if Layout(root).exists():
        raise InvalidInputError(f"workspace {workspace_id} is at {root}; erase it instead")
    pool.unregister(workspace_id)


def collect_at(directory: Path, *, ours: Path, grace_s: float, now: float) -> Collected:
    """Collects the pool in a directory. Of workspaces below `ours` that are gone with the directory they lay in, it is known that they
    were removed: they are forgotten.

    Raises:
        InvalidInputError, DamagedError, WorkspaceBusyError: as `collect`.
    """
    pool = open_pool_at(directory)
    try:
        for name, root in pool.users().items():
            if root.is_relative_to(ours) and not root.parent.exists():
                with contextlib.suppress(InvalidInputError):  # it has come back just now
                    forget(pool, name)
        return collect(pool, grace_s=grace_s, dry_run=False, now=now, progress=None)
    finally:
        pool.close()
