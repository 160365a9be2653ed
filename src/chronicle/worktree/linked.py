"""Files with several names stay one file, although their directories are made at different times.

When the first of the names is made, so are all the others, aside: `{node}.{index}` in `hollow.links`, each a hard link to the one
placeholder. Making a name moves its link into place. So the number of links is right from the beginning, and it is the same file
even when the names made earlier have been renamed, written or removed since.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from chronicle import reaching
from chronicle.store.faults import fault


class LinkSets:
    """The names that wait aside, in a directory on the same file system as the tree."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def place(
        self, node: int, names: Sequence[bytes], path: bytes, here: int, make: Callable[[int, bytes], None]
    ) -> None:
        """Makes the name `path`, one of the node's `names`, in the directory `here`.

        `make(directory, name)` makes the placeholder; it is called for the first of the names only. Repeating is harmless.
        """
        name = path.rpartition(b"/")[2]
        waiting = b"%x.%x" % (node, names.index(path))
        with self._lock:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            with reaching.directory(self._directory, b"", reaching.LIST) as aside:
                if _is_there(aside, b"%x.new" % node) or not (_is_there(aside, waiting) or _is_there(here, name)):
                    _make_set(aside, node, len(names), make)
                with contextlib.suppress(FileNotFoundError):  # it was moved before a crash
                    os.rename(waiting, name, src_dir_fd=aside, dst_dir_fd=here)

    def remove(self) -> None:
        """Removes what waits for names that nobody will make."""
        with self._lock, contextlib.suppress(FileNotFoundError):
            for left in os.listdir(self._directory):
                os.unlink(self._directory / left)
            self._directory.rmdir()


def _make_set(aside: int, node: int, count: int, make: Callable[[int, bytes], None]) -> None:
    # Until `.new` is gone no link has been moved away: whatever a crash left is made anew.
    new = b"%x.new" % node
    for index in range(count):
        _discard(aside, b"%x.%x" % (node, index))
    _discard(aside, new)
    make(aside, new)
    for index in range(count):
        os.link(new, b"%x.%x" % (node, index), src_dir_fd=aside, dst_dir_fd=aside, follow_symlinks=False)
        fault("links.some")
    os.unlink(new, dir_fd=aside)
    fault("links.made")


def _discard(directory: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _is_there(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
