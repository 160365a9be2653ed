"""A directory that has files becomes a workspace's tree: by one rename, whatever its size."""

import errno
import os
from pathlib import Path

from chronicle.layout import Layout
from chronicle.model.errors import InvalidInputError, StorageError, WorkspaceBusyError
from chronicle.workspace.marks import Lock, mark_in_use, read_mount


def adopt(layout: Layout, directory: Path) -> None:
    """Makes `directory` the working tree of a workspace whose tree is empty, and leaves an empty directory there.

    What was in it is recorded by the next who writes the workspace. Nothing to do when `directory` is empty.

    Raises:
        InvalidInputError: the workspace has files of its own, or lies on another file system.
        WorkspaceBusyError: it is mounted or being written.
    """
    if not any(directory.iterdir()):
        return
    lock = Lock.take(layout)
    try:
        if read_mount(layout) is not None:
            raise WorkspaceBusyError(f"{layout.root} is mounted; unmount it first")
        if layout.tree.is_symlink() or any(layout.tree.iterdir()):
            raise InvalidInputError(
                f"both {directory} and the workspace {layout.root} have files; move those of one away"
            )
        mark_in_use(layout)
        try:
            os.rename(directory, layout.tree)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise InvalidInputError(
                    f"{layout.root} has to be on the file system of {directory} to adopt it"
                ) from error
            raise StorageError(f"{directory} can't be adopted: {error.strerror}") from error
        directory.mkdir(mode=layout.tree.stat().st_mode & 0o7777)
    finally:
        lock.release()
