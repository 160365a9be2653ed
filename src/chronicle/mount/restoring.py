"""What a successor does first: finds the files that the kernel knows by number, in the tree that knows them by name."""

import os
import stat

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
    while pending and wanted:
        directory = pending.pop()
        try:
            entries = list(os.scandir(directory or b"."))
        except OSError:
            continue
        for entry in entries:
            path = directory + b"/" + entry.name if directory else entry.name
            known_here = wanted.pop(entry.inode(), None)
            if known_here is not None:
                node = _known(table, known_here, _directory(table, made, directory), entry.name)
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
    """A directory's node; one that the kernel forgot gets a new number, for the sake of the paths below it."""
    known = made.get(path)
    if known is None:
        above, _, name = path.rpartition(b"/")
        st = os.lstat(path)
        assert stat.S_ISDIR(st.st_mode)
        known = table.seen(_directory(table, made, above), name, st)
        known.lookups -= 1  # the kernel was not told
        memory = table.memory
        if memory is not None:
            memory.put(known.id, known.inode, known.lookups, 0, 0)
        made[path] = known
    return known
