"""The nodes the kernel knows: which file each one is, under which names, and who has it open."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from chronicle import reaching
from chronicle.mount.protocol import ROOT_ID
from chronicle.mount.takeover import TakeoverMemory
from chronicle.page import Page
from chronicle.recording import Token

DEEP_BYTES: Final = 3000
"""A directory with a longer path is reached through a descriptor of its own, so that paths below it may be longer than `PATH_MAX`."""

NEVER: Final = (-1, -1)
"""The seal of content that nobody noted yet; equal to no file's."""

Seal = tuple[int, int]
"""What tells content apart without reading it: modification time in nanoseconds and size."""


class Moves:
    """Counts renames of directories: a cached path is good while none happened since it was made."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Node:
    """A file or directory that the kernel knows by number.

    `parent`, `name` are one of its names (parent None: it has none any more, or is the root), `others` further ones (hard
    links). `lookups`: how often the kernel was told of it and has not forgotten. `children`: nodes whose `parent` this is.
    `handles`: open files. `writers`: those that may write. `baseline`: the seal of the content that was noted last or, if
    none was, that was there when it was first opened for writing. `dirty`: it was written although the seal may not show it.
    `token`: content noted and perhaps not recorded. `accounted`: bytes counted against the quota. `whole`: not hollow. `plain`: known to have no
    `security.capability`, for which the kernel asks at the first write.
    """

    __slots__ = (
        "accounted", "backing", "backing_uses", "baseline", "children", "deep", "dirty", "handles", "id", "inode",
        "lookups", "moved", "moves", "name", "others", "parent", "path_cache", "plain", "token", "whole", "writers",
    )  # fmt: skip

    def __init__(self, number: int, inode: int, parent: "Node | None", name: bytes, moves: Moves) -> None:
        self.id = number
        self.inode = inode
        self.parent = parent
        self.name = name
        self.others: set[tuple[Node, bytes]] | None = None
        self.lookups = 0
        self.children = 0
        self.handles: list[Handle] | None = None
        self.writers = 0
        self.baseline: Seal | None = None
        self.dirty = False
        self.token: Token | None = None
        self.backing = 0
        self.backing_uses = 0
        self.accounted = -1
        self.whole = False
        self.plain = False
        self.deep = -1
        self.path_cache: bytes | None = None
        self.moves = moves
        self.moved = 0

    @property
    def named(self) -> bool:
        """Whether it has a name in the tree."""
        return self.parent is not None or self.id == ROOT_ID

    def path(self) -> bytes:
        """Its path in the tree; `b""` for the root. Only for nodes with a name."""
        moves = self.moves
        if self.path_cache is not None and self.moved == moves.count:
            return self.path_cache
        parent = self.parent
        if parent is None:
            return b""
        above = parent.path_cache
        if above is None or parent.moved != moves.count:
            above = parent._fresh_path()
        path = above + b"/" + self.name if above else self.name
        self.path_cache, self.moved = path, moves.count
        return path

    def _fresh_path(self) -> bytes:
        """The path of a directory, and of all above it that no cache holds: a loop, for trees deeper than Python recurses."""
        count, stale, node = self.moves.count, list[Node](), self
        while node.parent is not None and (node.path_cache is None or node.moved != count):
            stale.append(node)
            node = node.parent
        path = b"" if node.parent is None else node.path_cache or b""
        for node in reversed(stale):
            path = path + b"/" + node.name if path else node.name
            node.path_cache, node.moved = path, count
        return path

    def path_of(self, name: bytes) -> bytes:
        """The path of a name in this directory."""
        path = self.path()
        return path + b"/" + name if path else name

    def place(self) -> bytes:
        """What system calls of a thread inside the tree take for it.

        Raises:
            FileNotFoundError: it has no name and nobody has it open.
        """
        if self.deep >= 0:
            return b"/proc/self/fd/%d/." % self.deep
        parent = self.parent
        if parent is None:
            if self.id == ROOT_ID:
                return b"."
            if self.handles:
                return b"/proc/self/fd/%d" % self.handles[0].fd
            raise FileNotFoundError(errno.ENOENT, "has no name any more")
        path = self.path()
        return path if len(path) < DEEP_BYTES else parent.place_of(self.name)

    def place_of(self, name: bytes) -> bytes:
        """What system calls take for a name in this directory."""
        if self.parent is None:
            if self.id == ROOT_ID:
                return name
            raise FileNotFoundError(errno.ENOENT, "directory was removed")
        path = self.path()
        if len(path) < DEEP_BYTES and self.deep < 0:
            return path + b"/" + name
        if self.deep < 0:
            above = self.parent.deep
            if above >= 0:
                self.deep = os.open(self.name, reaching.STEP, dir_fd=above)
            else:  # name by name from the tree, which the thread is in: those above need no descriptors of their own
                self.deep = reaching.open_directory(b".", path)
        return b"/proc/self/fd/%d/%b" % (self.deep, name)

    def close(self) -> None:
        """Gives back what it holds."""
        if self.deep >= 0:
            os.close(self.deep)
            self.deep = -1


class Handle:
    """One open file: `fd` reads what it holds, `writable` whether its opener may write, `through` whether the kernel does I/O itself."""

    __slots__ = ("fd", "node", "number", "through", "writable")

    def __init__(self, number: int, fd: int, node: Node, *, writable: bool, through: bool) -> None:
        self.number = number
        self.fd = fd
        self.node = node
        self.writable = writable
        self.through = through


class NodeTable:
    """All nodes, by the kernel's number and by inode, and all open files."""

    def __init__(self, root_inode: int, memory: TakeoverMemory | None) -> None:
        self.moves = Moves()
        self.root = Node(ROOT_ID, root_inode, None, b"", self.moves)
        self.by_id: dict[int, Node] = {ROOT_ID: self.root}
        self.by_inode: dict[int, Node] = {root_inode: self.root}
        self.handles: dict[int, Handle] = {}
        self.writing: set[Node] = set()
        self.memory = memory
        self.page: Page | None = None
        self._next = ROOT_ID + 1
        self._next_handle = (memory.generation if memory is not None else 0) << 40 | 1
        self.on_forgotten: Callable[[Node], None] | None = None

    def get(self, number: int) -> Node:
        """The node of this number.

        Raises:
            OSError: ESTALE, when nobody knows it.
        """
        node = self.by_id.get(number)
        if node is None:
            raise OSError(errno.ESTALE, "unknown node")
        return node

    def seen(self, parent: Node, name: bytes, st: os.stat_result) -> Node:
        """The node of what is at this name; made when it is new. Counts as told to the kernel."""
        node = self.by_inode.get(st.st_ino)
        if node is None:
            node = self._make(st.st_ino, parent, name)
        elif node.name != name or node.parent is not parent:
            self._named(node, parent, name, st)
        node.lookups += 1
        if self.memory is not None:
            self.memory.put(node.id, node.inode, node.lookups, node.backing, node.backing_uses)
        return node

    def unnamed(self, st: os.stat_result) -> Node:
        """A node for a file that has no name (`O_TMPFILE`)."""
        node = self._make(st.st_ino, None, b"")
        node.lookups += 1
        if self.memory is not None:
            self.memory.put(node.id, node.inode, node.lookups, 0, 0)
        return node

    def _make(self, inode: int, parent: Node | None, name: bytes) -> Node:
        number = self._next
        if self.memory is not None:
            number = self.memory.allocate()
        self._next = number + 1
        node = Node(number, inode, parent, name, self.moves)
        self.by_id[number] = node
        self.by_inode[inode] = node
        if parent is not None:
            parent.children += 1
        return node

    def restore(self, number: int, inode: int, parent: Node | None, name: bytes) -> Node:
        """A node that an earlier process told the kernel of."""
        node = Node(number, inode, parent, name, self.moves)
        self.by_id[number] = node
        if inode:
            self.by_inode[inode] = node
        if parent is not None:
            parent.children += 1
        return node

    def _named(self, node: Node, parent: Node, name: bytes, st: os.stat_result) -> None:
        if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode) and node.parent is not None:
            self._add_other(node, parent, name)
            return
        self._clear_others(node)
        self._rename(node, parent, name)

    def _add_other(self, node: Node, parent: Node, name: bytes) -> None:
        if node.others is None:
            node.others = set()
        if (parent, name) not in node.others:
            node.others.add((parent, name))
            parent.children += 1

    def _discard_other(self, node: Node, parent: Node, name: bytes) -> bool:
        if node.others is None or (parent, name) not in node.others:
            return False
        node.others.discard((parent, name))
        parent.children -= 1
        self._drop_when_unused(parent)
        return True

    def _clear_others(self, node: Node) -> None:
        for parent, name in list(node.others or ()):
            self._discard_other(node, parent, name)
        node.others = None

    def _rename(self, node: Node, parent: Node | None, name: bytes) -> None:
        before = node.parent
        if before is not parent:
            if parent is not None:
                parent.children += 1
            node.parent = parent
            if before is not None:
                before.children -= 1
                self._drop_when_unused(before)
        node.name = name
        node.path_cache = None

    def renamed(self, node: Node, names: tuple[Node, bytes, Node, bytes], *, directory: bool) -> None:
        """What was at (parent, name) is at (parent, name) now. A directory's descendants need no touch: their paths are made anew."""
        parent, name, new_parent, new_name = names
        if node.parent is parent and node.name == name:
            self._rename(node, new_parent, new_name)
        else:
            self._add_other(node, new_parent, new_name)
            self._discard_other(node, parent, name)
        if directory:
            self.moves.count += 1

    def removed(self, node: Node, parent: Node, name: bytes, *, last: bool) -> None:
        """A name is gone; `last`: its file has none left, and its inode number may be another's soon."""
        if last:
            self._clear_others(node)
            self._rename(node, None, b"")
            if self.by_inode.get(node.inode) is node:
                del self.by_inode[node.inode]
            if self.memory is not None:
                self.memory.put(node.id, 0, node.lookups, node.backing, node.backing_uses)
            return
        if self._discard_other(node, parent, name) or node.parent is not parent or node.name != name:
            return
        other = next(iter(node.others)) if node.others else None
        if other is None:
            self._rename(node, None, b"")
            if self.by_inode.get(node.inode) is node:
                del self.by_inode[node.inode]
        else:
            self._rename(node, *other)
            self._discard_other(node, *other)

    def linked(self, node: Node, parent: Node, name: bytes) -> None:
        """A file has a further name, or its first (`linkat` of an `O_TMPFILE`)."""
        if node.parent is None:
            self._rename(node, parent, name)
            self.by_inode[node.inode] = node
            return
        self._add_other(node, parent, name)

    def forget(self, number: int, count: int) -> None:
        """The kernel dropped so many of its references."""
        node = self.by_id.get(number)
        if node is None:
            return
        node.lookups -= count
        self._drop_when_unused(node)

    def _drop_when_unused(self, node: Node) -> None:
        while node.lookups <= 0 and not node.children and not node.handles and node.id != ROOT_ID:
            if self.by_id.pop(node.id, None) is None:
                return
            if self.by_inode.get(node.inode) is node:
                del self.by_inode[node.inode]
            if self.memory is not None:
                self.memory.clear(node.id)
            if self.on_forgotten is not None:
                self.on_forgotten(node)
            node.close()
            self._clear_others(node)
            parent = node.parent
            if parent is None:
                return
            parent.children -= 1
            node = parent

    def opened(self, node: Node, fd: int, *, writable: bool, through: bool) -> Handle:
        """A new open file."""
        number = self._next_handle
        self._next_handle = number + 1
        return self._open(Handle(number, fd, node, writable=writable, through=through))

    def adopted(self, number: int, node: Node, fd: int) -> Handle:
        """A file that an earlier process opened under this number, perhaps for writing: what it holds at close is noted."""
        node.baseline = NEVER
        return self._open(Handle(number, fd, node, writable=True, through=node.backing_uses > 0))

    def _open(self, handle: Handle) -> Handle:
        node = handle.node
        self.handles[handle.number] = handle
        if node.handles is None:
            node.handles = [handle]
        else:
            node.handles.append(handle)
        if handle.writable:
            node.writers += 1
            self.writing.add(node)
            if self.page is not None:
                self.page.opened()
        return handle

    def closed(self, number: int) -> Handle | None:
        """Takes an open file out; its descriptor is the caller's now. None: an earlier process opened it."""
        handle = self.handles.pop(number, None)
        if handle is None:
            return None
        node = handle.node
        if node.handles is not None:
            node.handles.remove(handle)
            if not node.handles:
                node.handles = None
        if handle.writable:
            node.writers -= 1
            if not node.writers:
                self.writing.discard(node)
        return handle

    def released(self, node: Node) -> None:
        """After `closed`, when nothing needs the node's handle any more: forgets a node that the kernel forgot before."""
        if node.lookups <= 0:
            self._drop_when_unused(node)
