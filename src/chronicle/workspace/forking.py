"""Making workspaces: new ones, and forks that share history and contents with the one they come from."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from chronicle.layout import Layout, Settings
from chronicle.model.errors import InvalidInputError, StorageError
from chronicle.removing import remove_tree
from chronicle.store.history import History, begin
from chronicle.store.pool import Users
from chronicle.workspace.marks import mark_clean
from chronicle.workspace.tiers import open_pool
from chronicle.worktree import Worktree


def make(root: Path, settings: Settings) -> Path:
    """Makes an empty workspace; it is there whole (settings are written last), or not at all.

    Raises:
        InvalidInputError: something is at `root` already.
        StorageError: the disk refuses.
    """
    layout = _claimed(root)
    try:
        _directories(layout)
        begin(layout.history)
        _register(layout, settings)
        mark_clean(layout)
        layout.make(settings)
    except (OSError, StorageError) as error:
        remove_tree(root, ignore_errors=True)
        raise StorageError(f"the workspace {root} can't be made: {error}") from error
    return root


def fork(
    source: Layout,
    settings: Settings,
    root: Path,
    workspace_id: str | None,
    fork_history: Callable[[Path], int],
    owner: tuple[int, int] | None = None,
) -> None:
    """Makes a workspace at `root` whose history is a fork that `fork_history(directory)` makes; its tree is hollow.

    `owner` (user and group id, for root to choose): whom its files belong to; None: those of the source's root.

    Raises:
        InvalidInputError: something is at `root` already, or it lies on another file system.
    """
    layout = _claimed(root)
    pool = str(source.pool(settings))
    made = msgspec.structs.replace(
        settings,
        workspace_id=workspace_id or secrets.token_hex(8),
        pool=pool,
        created_at=time.time_ns() // 1_000_000,
    )
    try:
        _directories(layout)
        if os.stat(root).st_dev != os.stat(source.history).st_dev:
            raise InvalidInputError(
                f"{root} is on another file system than {source.root}; a fork shares files with its origin"
            )
        _register(layout, made)
        fork_history(layout.history)
        _hollow(source, layout, made, owner)
        mark_clean(layout)
        layout.write_settings(made)
    except BaseException as error:
        _unregister(layout, made)
        remove_tree(root, ignore_errors=True)
        if isinstance(error, OSError):
            raise StorageError(f"the fork {root} can't be made: {error}") from error
        raise


def _claimed(root: Path) -> Layout:
    try:
        root.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not root.is_dir() or any(root.iterdir()):
            raise InvalidInputError(f"{root} exists and is not empty; choose another place") from None
        root.chmod(0o700)
    return Layout(root)


def _directories(layout: Layout) -> None:
    for directory in (layout.tree, layout.history, layout.pending):
        directory.mkdir(mode=0o700, exist_ok=True)
    layout.tree.chmod(0o755)  # what the agent sees as its workspace's mode; the directory above keeps others out


def _register(layout: Layout, settings: Settings) -> None:
    users = Users(layout.pool(settings))
    if users.find(settings.workspace_id) is not None:
        raise InvalidInputError(f"the pool has a workspace {settings.workspace_id!r} already; choose another id")
    users.register(settings.workspace_id, layout.root)


def _unregister(layout: Layout, settings: Settings) -> None:
    users = Users(layout.pool(settings))
    if users.find(settings.workspace_id) == layout.root:
        users.unregister(settings.workspace_id)


def _hollow(source: Layout, layout: Layout, settings: Settings, owner: tuple[int, int] | None) -> None:
    there = os.stat(source.tree)
    history = History.open(layout.history)
    pool = open_pool(layout, settings)
    try:
        Worktree(layout, history, pool).make_hollow(owner or (there.st_uid, there.st_gid))
    finally:
        pool.close()
        history.close()
