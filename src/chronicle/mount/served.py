"""What the operations of one mount share."""

import os
import stat
from collections.abc import Callable
from typing import Protocol

from chronicle import reaching
from chronicle.mount import device
from chronicle.mount.channel import Reply
from chronicle.mount.nodes import Node, NodeTable
from chronicle.mount.notes import Later, Notes
from chronicle.mount.options import MountOptions
from chronicle.mount.protocol import FOPEN_KEEP_CACHE, FOPEN_PASSTHROUGH, Request
from chronicle.mount.quota import Quota

Handler = Callable[[Request], Reply | None]
"""Answers one request; None: nothing, or later by itself. Raises `OSError` (its errno is the answer) or `Later`."""


class Hollows(Protocol):
    """The side of `chronicle.worktree.Worktree` that the mount talks to."""

    hollow: bool

    def is_hollow(self, path_in_tree: bytes) -> bool:
        """Whether the entry is a placeholder."""

    def populate(self, path: bytes) -> None:
        """Makes a hollow directory's entries."""

    def fill(self, path: bytes) -> None:
        """Gives a hollow file its content."""

    def empty(self, path: bytes) -> None:
        """Makes a hollow file an empty one."""


class Served:
    """One mount's state. `through`: the kernel reads and writes files itself. `sync`: replies wait for the record."""

    def __init__(
        self,
        options: MountOptions,
        table: NodeTable,
        notes: Notes,
        quota: Quota,
        worktree: Hollows | None,
        root_fd: int,
    ) -> None:
        self.options = options
        self.table = table
        self.notes = notes
        self.quota = quota
        self.worktree = worktree
        self.root_fd = root_fd
        self.device = -1
        self.through = False
        self.sync = False
        self.uid = os.geteuid()
        self.gid = os.getegid()
        whole = int(options.entry_seconds)
        self.seconds = (whole, int((options.entry_seconds - whole) * 1e9))
        self.writing_began: Callable[[], None] = lambda: None
        self.closed: Callable[[Node], None] = lambda _: None

    def owned(self, place: bytes, request: Request, parent: Node, mode: int) -> os.stat_result:
        """Gives something new at `place` to the caller as Linux does: its group is the directory's where that is set-gid."""
        if self.uid == 0 and (request.uid != 0 or request.gid != self.gid):
            group = -1 if os.lstat(parent.place()).st_mode & stat.S_ISGID else request.gid
            os.chown(place, request.uid, group, follow_symlinks=False)
            if mode & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(mode):
                reaching.chmod(place, stat.S_IMODE(mode))  # a change of owner takes these bits away
        return os.lstat(place)

    def require_populated(self, node: Node) -> None:
        """Before a directory is looked into.

        Raises:
            Later: it is hollow.
        """
        if self.worktree is not None:
            self._require_whole(node, self.worktree, self.worktree.populate)

    def require_filled(self, node: Node) -> None:
        """Before a file's content is touched.

        Raises:
            Later: it is hollow.
        """
        if self.worktree is not None and node.named:
            self._require_whole(node, self.worktree, self.worktree.fill)

    def require_emptied(self, node: Node) -> None:
        """Before a file is truncated: a hollow one is made an empty one, without its content.

        Raises:
            Later: it is hollow.
        """
        if self.worktree is not None and node.named:
            self._require_whole(node, self.worktree, self.worktree.empty)

    def _require_whole(self, node: Node, worktree: Hollows, make: Callable[[bytes], None]) -> None:
        if not worktree.hollow or node.whole:
            return
        path = node.path()
        if worktree.is_hollow(path):
            raise Later(lambda: make(path))
        node.whole = True

    def back(self, node: Node, fd: int) -> tuple[int, int]:
        """`FOPEN_…` flags and backing id for an open file. All opens of one node share an id, and their way of I/O."""
        if not self.through:
            return FOPEN_KEEP_CACHE, 0
        if node.backing_uses == 0:
            if node.handles:
                return 0, 0
            try:
                node.backing = device.open_backing(self.device, fd)
            except OSError:
                return 0, 0
        node.backing_uses += 1
        self.remember(node)
        return FOPEN_PASSTHROUGH, node.backing

    def unback(self, node: Node) -> None:
        """One open file less."""
        if node.backing_uses > 0:
            node.backing_uses -= 1
            if node.backing_uses == 0:
                device.close_backing(self.device, node.backing)
                node.backing = 0
            self.remember(node)

    def remember(self, node: Node) -> None:
        """Tells the takeover memory what a node is now."""
        memory = self.table.memory
        if memory is not None:
            memory.put(node.id, node.inode if node.named else 0, node.lookups, node.backing, node.backing_uses)
