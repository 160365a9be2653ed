"""How much a workspace may hold, and holds: the sizes of its live files and a flat cost for everything that has a name, kept as they
change."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chronicle import reaching
from chronicle.model.paths import joined
from chronicle.mount.nodes import Node

ENTRY_BYTES: Final = 512
"""What anything costs besides its content: an inode of ext4 (256 bytes) and a name in a directory (up to 263)."""

DIRECTORY_BYTES: Final = 4096
"""What a directory costs: the first block of its names."""

_WALKS: Final = 3
"""A count that others changed meanwhile is taken again, so often at most."""


class Quota:
    """Counts bytes against a limit (None: no limit, nothing is counted): sizes of regular files, `ENTRY_BYTES` for each file,
    symbolic link and special file, `DIRECTORY_BYTES` for each directory but the root. Extended attributes are not counted.

    With passthrough the kernel writes without asking us: a file that is open for writing may grow beyond the limit until it is
    closed or looked at by the sweep; from then on every create, open for writing and growth is refused with `ENOSPC`. (Not
    `EDQUOT`: `statvfs` shows a full file system, and that is what programs know to explain.) Without passthrough each
    write is checked.
    """

    def __init__(self, limit: int | None, disk_is_full: Callable[[], bool] = lambda: False) -> None:
        self.limit = limit
        self._disk_is_full = disk_is_full
        self.used = 0
        self._lock = threading.Lock()
        self._changes = 0

    def require(self, more: int = 1) -> None:
        """Raises `OSError` (ENOSPC) when `more` bytes would be too many, or the disk itself is down to its reserve."""
        if more > 0 and self._disk_is_full():
            raise OSError(errno.ENOSPC, "the disk is full but for its reserve")
        if self.limit is not None and more > 0 and self.used + more > self.limit:
            raise OSError(errno.ENOSPC, "the workspace's quota is used up")

    def require_entry(self, mode: int) -> None:
        """Raises `OSError` (ENOSPC) when another entry of this type (`st_mode`) would be too many."""
        self.require(entry_bytes(mode))

    def came(self, mode: int) -> None:
        """Something of this type has its first name now."""
        self.changed(0, entry_bytes(mode))

    def went(self, mode: int) -> None:
        """Something of this type lost its last name."""
        self.changed(entry_bytes(mode), 0)

    def opened(self, node: Node, st: os.stat_result) -> None:
        """A file of this size is open for writing: differences are counted from here."""
        if self.limit is not None and node.accounted < 0:
            node.accounted = st.st_size

    def created(self, node: Node) -> None:
        """A new, empty file."""
        node.accounted = 0

    def measured(self, node: Node, st: os.stat_result) -> None:
        """The file has this size now."""
        if self.limit is not None and node.accounted >= 0 and node.accounted != st.st_size:
            self._add(st.st_size - node.accounted)
            node.accounted = st.st_size

    def changed(self, before: int, after: int) -> None:
        """A file of `before` bytes has `after` now; 0: it came or went."""
        if self.limit is not None and before != after:
            self._add(after - before)

    def _add(self, difference: int) -> None:
        with self._lock:
            self.used = max(0, self.used + difference)
            self._changes += 1

    def count(self, root: str | bytes | os.PathLike[str], stop: threading.Event) -> None:
        """Walks the tree and corrects `used`; takes long in a large one. Files with several names count once."""
        for _ in range(_WALKS):
            before = self._changes
            total = _walk(Path(os.fsdecode(root)), stop)
            if stop.is_set():
                return
            with self._lock:
                if self._changes == before:
                    self.used = total
                    return
        with self._lock:
            self.used = total


def entry_bytes(mode: int) -> int:
    """What an entry of this type costs, without the content of a regular file."""
    return DIRECTORY_BYTES if stat.S_ISDIR(mode) else ENTRY_BYTES


def _walk(root: Path, stop: threading.Event) -> int:
    total = 0
    seen: set[int] = set()
    pending = [b""]
    with reaching.Walking(root) as walking:
        while pending and not stop.is_set():
            directory = pending.pop()
            try:
                with os.scandir(walking.directory(directory)) as entries:
                    for entry in entries:
                        try:
                            st = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue  # it went while we walked
                        if stat.S_ISDIR(st.st_mode):
                            pending.append(joined(directory, os.fsencode(entry.name)))
                        elif st.st_ino in seen:
                            continue
                        elif st.st_nlink > 1:
                            seen.add(st.st_ino)
                        total += entry_bytes(st.st_mode) + (st.st_size if stat.S_ISREG(st.st_mode) else 0)
            except OSError:
                continue
    return total
