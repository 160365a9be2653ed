"""What a successor does first: finds the files that the kernel knows by number, in the tree that knows them by name."""

import os
import stat

from chronicle import reaching
from chronicle.model.paths import joined
from chronicle.mount.nodes import Node, NodeTable
from chronicle.mount.notes import seal
from chronicle.mount.takeover import Remembered, TakeoverMemory


def restore(table: NodeTable, memory: TakeoverMemory) -> list[Node]:
    """Makes the nodes that an earlier process told the kernel of; the calling thread is inside the tree.

    Returns those that the kernel reads and writes itself for files opened then: their changes are seen by looking only.
    The tree is walked until all are found: a million files take some two seconds. What has no name any more (unlinked while
    open) can't be found: the kernel goes on with its data where passthrough is on, other calls on it fail.
    """
    wanted = {}
    for known in memory.nodes():
        if known.inode:
            wanted[known.inode] = known
        else:
            _known(table, known, None, b"")
    made: dict[bytes, Node] = {b"": table.root}
    watched: list[Node] = []
    pending = [b""]
    with reaching.Walking(b".") as walking:
        while pending and wanted:
            directory = pending.pop()
            try:
                entries = list(os.scandir(walking.directory(directory)))
            except OSError:
                continue
            for entry in entries:
                name = os.fsencode(entry.name)
                path = joined(directory, name)
                known_here = wanted.pop(entry.inode(), None)
                if known_here is not None:
                    node = _known(table, known_here, _directory(table, made, directory), name)
                    made[path] = node
                    if node.backing_uses:
                        node.baseline = seal(entry.stat(follow_symlinks=False))
                        watched.append(node)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
    return watched


def _known(table: NodeTable, known: Remembered, parent: Node | None, name: bytes) -> Node:
    node = table.restore(known.node, known.inode, parent, name)
    node.lookups, node.backing, node.backing_uses = known.lookups, known.backing, known.backing_uses
    return node


def _directory(table: NodeTable, made: dict[bytes, Node], path: bytes) -> Node:
    """A directory's node; one that the kernel forgot gets a new number, for the sake of the paths below it, and so do those above it."""
    missing: list[bytes] = []
    known = made.get(path)
    while known is None:
        path, _, name = path.rpartition(b"/")
        missing.append(name)
        known = made.get(path)
    if missing:
        with reaching.Walking(b".", reaching.STEP) as walking:
            for name in reversed(missing):
                st = os.stat(name, dir_fd=walking.directory(path), follow_symlinks=False)
                path = joined(path, name)
                known = made[path] = _forgotten(table, known, name, st)
    return known


def _forgotten(table: NodeTable, parent: Node, name: bytes, st: os.stat_result) -> Node:
    assert stat.S_ISDIR(st.st_mode)
    known = table.seen(parent, name, st)
    known.lookups -= 1  # the kernel was not told
    memory = table.memory
    if memory is not None:
        memory.put(known.id, known.inode, known.lookups, 0, 0)
    return known
