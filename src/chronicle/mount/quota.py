"""How much a workspace may hold, and holds: the sizes of its live files, kept as they change."""

import errno
import os
import stat
import threading
from typing import Final

from chronicle.mount.nodes import Node

_WALKS: Final = 3
"""A count that others changed meanwhile is taken again, so often at most."""


class Quota:
    """Counts sizes in bytes against a limit (None: no limit, nothing is counted).

    With passthrough the kernel writes without asking us: a file that is open for writing may grow beyond the limit until it is
    closed or looked at by the sweep; from then on every create, open for writing and growth is refused with `ENOSPC`. (Not
    `EDQUOT`: `statvfs` shows a full file system, and that is what programs know to explain.) Without passthrough each
    write is checked.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.used = 0
        self._lock = threading.Lock()
        self._changes = 0

    def require(self, more: int = 1) -> None:
        """Raises `OSError` (ENOSPC) when `more` bytes would be too many."""
        if self.limit is not None and more > 0 and self.used + more > self.limit:
            raise OSError(errno.ENOSPC, "the workspace's quota is used up")

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
            total = _walk(os.fsencode(root), stop)
            if stop.is_set():
                return
            with self._lock:
                if self._changes == before:
                    self.used = total
                    return
        with self._lock:
            self.used = total


def _walk(root: bytes, stop: threading.Event) -> int:
    total = 0
    seen: set[int] = set()
    pending = [root]
    while pending and not stop.is_set():
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    st = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(st.st_mode):
                        pending.append(entry.path)
                    elif stat.S_ISREG(st.st_mode) and st.st_ino not in seen:
                        total += st.st_size
                        if st.st_nlink > 1:
                            seen.add(st.st_ino)
        except OSError:
            continue  # it went while we walked
    return total
