"""Giving up contents that nobody needs any more: marks over all workspaces of a pool, then sweeps."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chronicle.layout import Layout
from chronicle.model.errors import InvalidInputError
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.store.pool.collect import GRACE_S, sweep

GRACE_SECONDS = GRACE_S
"""What was used within so many seconds stays."""


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
    """
    users = pool.users()
    for name, root in users.items():
        _present(name, root)
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
