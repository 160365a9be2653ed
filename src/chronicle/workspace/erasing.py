"""Removing a workspace for good."""

from pathlib import Path

from chronicle.layout import Layout, Settings
from chronicle.model.errors import InvalidInputError, StorageError, WorkspaceBusyError
from chronicle.removing import remove_tree
from chronicle.store.pool import Pool
from chronicle.workspace.marks import Lock, read_mount
from chronicle.workspace.tiers import open_pool


def erase(layout: Layout, settings: Settings) -> None:
    """Removes everything the workspace has. It is no workspace any more after the first step, whenever it is interrupted.

    Raises:
        WorkspaceBusyError: it is mounted or being written.
        InvalidInputError: its pool lies in it and others use that.
    """
    lock = Lock.take(layout)
    try:
        if read_mount(layout) is not None:
            raise WorkspaceBusyError(f"{layout.root} is mounted; unmount it first")
        pool = open_pool(layout, settings)
        try:
            _refuse_while_shared(layout, settings, pool)
            layout.settings_file.unlink(missing_ok=True)
            pool.unregister(settings.workspace_id)
        finally:
            pool.close()
        _remove(layout)
    finally:
        lock.release()


def _refuse_while_shared(layout: Layout, settings: Settings, pool: Pool) -> None:
    if not layout.pool(settings).is_relative_to(layout.root.resolve()):
        return
    others = [
        str(root) for name, root in pool.users().items() if name != settings.workspace_id and Layout(root).exists()
    ]
    if others:
        raise InvalidInputError(f"{', '.join(sorted(others))} keep their contents in {layout.root}; erase them first")


def _remove(layout: Layout) -> None:
    # A tree of the `watch` backend may still be where it was mounted; the link to it goes, and what it points to.
    if layout.tree.is_symlink():
        remove_tree(Path(layout.tree).resolve(), ignore_errors=True)
    try:
        remove_tree(layout.root)
    except OSError as error:
        raise StorageError(f"{layout.root} could not be removed wholly: {error}; remove the rest by hand") from error
