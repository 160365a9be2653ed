"""From changes to iterations: what a batch writes. The hot path of recording.

What a new file costs is two rows. Its directory and what it holds are remembered, so that nothing is asked of the database
but whether the name is free.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

import msgspec

from chronicle.model.changes import DIRECTORY, REGULAR, SYMLINK, TYPE_MASK, Change
from chronicle.model.iterations import Checkpoint, Iteration, Kind
from chronicle.model.paths import joined
from chronicle.store.history.memory import Memory
from chronicle.store.history.schema import CODES, ROOT
from chronicle.store.history.segments import Chain, root_version

Attributes = tuple[int, int, int, bytes | None, bytes | None, bytes | None]
"""mode, mtime_ns, size, digest, target, xattrs (as stored)."""

REMEMBERED: Final = 1024
"""How many names and nodes are remembered by default, at least; twice as many at most. About 300 bytes each."""

_INSERT_ITERATION: Final = "INSERT INTO iteration VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_INSERT_SLOT: Final = "INSERT INTO slot VALUES (?,?,?,?)"
_INSERT_CHECKPOINT: Final = "INSERT INTO checkpoint (n, at_ms, label, turn_id) VALUES (?,?,?,?)"

_UNKNOWN: Final = -1
_FREE: Final = 0
_MANY_DIRECTORIES: Final = 1024

_encode_xattrs: Final = msgspec.msgpack.Encoder().encode


class Applier:
    """Who writes: what the newest moment is, and memory of what changes ask for most.

    `connection` is the writing one; `chain` asks through it, so that it sees what isn't committed.
    """

    def __init__(self, connection: sqlite3.Connection, chain: Chain, remembered: int = REMEMBERED) -> None:
        self._execute = connection.execute
        self.chain = chain
        self._slots: Memory[tuple[int, bytes], int] = Memory(remembered)
        self._nodes: Memory[int, Attributes | None] = Memory(remembered)
        self._directories: dict[bytes, int] = {}
        self._how: dict[str, Callable[[Change, list[Iteration]], None]] = {
            "write": self._write,
            "mkdir": self._mkdir,
            "symlink": self._symlink,
            "special": self._special,
            "link": self._link,
            "delete": self._delete,
            "rename": self._rename,
            "exchange": self._exchange,
            "attributes": self._attributes,
            "xattr": self._xattr,
        }
        self.head = 0
        self._at = 0
        self.renew()

    def renew(self) -> None:
        """Forgets what it knew and looks anew where the history stands: after a rollback, or when the chain is another."""
        self._slots.forget()
        self._nodes.forget()
        self._directories.clear()
        self.head = self.chain.head()
        row = self.chain.iteration(self.head, "at_ms") if self.head else None
        self._at = row[0] if row else 0

    def apply(self, change: Change) -> list[Iteration]:
        """Writes down a change; what became of it."""
        made: list[Iteration] = []
        # Clocks are set back; the order of the history is not.
        self._at = max(self._at, change.at)
        self._how[change.kind](change, made)
        return made

    def checkpoint(self, at: int, label: str | None, turn_id: str | None) -> Checkpoint:
        """Names the newest moment."""
        self._execute(_INSERT_CHECKPOINT, (self.head, at, label, turn_id))
        return Checkpoint(self.head, at, label, turn_id)

    # What the newest moment knows.

    def _slot(self, parent: int, name: bytes) -> int:
        key = (parent, name)
        node = self._slots.get(key, _UNKNOWN)
        if node == _UNKNOWN:
            node = self.chain.slot(parent, name, self.head) or _FREE
            self._slots.put(key, node)
        return node

    def _of(self, node: int) -> Attributes:
        attributes = self._nodes.get(node, None)
        if attributes is None:
            row = self.chain.node(node, self.head) or root_version()
            attributes = row[2:]
            self._nodes.put(node, attributes)
        return attributes

    def _is_directory(self, node: int) -> bool:
        return self._of(node)[0] & TYPE_MASK == DIRECTORY

    def _find(self, path: bytes) -> tuple[int, bytes, int]:
        """Directory, name and node of a path; node 0 when nothing is there, directory 0 when even that is missing."""
        directory, _, name = path.rpartition(b"/")
        parent = self._known_directory(directory)
        return parent, name, (self._slot(parent, name) if parent else _FREE)

    def _known_directory(self, path: bytes) -> int:
        if not path:
            return ROOT
        node = self._directories.get(path)
        if node is None:
            parent, name = ROOT, b""
            for name in path.split(b"/"):
                parent = self._slot(parent, name)
                if not parent or not self._is_directory(parent):
                    return 0
            node = parent
            self._remember_directory(path, node)
        return node

    def _remember_directory(self, path: bytes, node: int) -> None:
        if len(self._directories) >= _MANY_DIRECTORIES:
            self._directories.clear()
        self._directories[path] = node

    def _place(self, change: Change, made: list[Iteration]) -> tuple[int, bytes, int]:
        """`_find`, but directories that are missing are made: a backend may have missed their making."""
        parent, name, node = self._find(change.path)
        if parent:
            return parent, name, node
        parent, path = ROOT, b""
        for part in change.path.split(b"/")[:-1]:
            path = joined(path, part)
            node = self._slot(parent, part)
            if node and not self._is_directory(node):
                self._remove(parent, part, path, node, change, made)
                node = _FREE
            parent = node or self._make(
                change, made, "mkdir", parent, part, path, (DIRECTORY | 0o755, change.mtime_ns, 0, None, None, None)
            )
        name = change.path.rpartition(b"/")[2]
        return parent, name, self._slot(parent, name)

    # What is written.

    def _iteration(
        self,
        change: Change,
        made: list[Iteration],
        kind: Kind,
        node: int,
        place: tuple[int, bytes],
        attributes: Attributes,
        source: tuple[int, bytes] | None = None,
    ) -> int:
        n = self.head + 1
        parent, path = place
        mode, mtime_ns, size, digest, target, xattrs = attributes
        source_parent, source_path = source or (None, None)
        self._execute(
            _INSERT_ITERATION,
            (
                n,
                CODES[kind],
                node or n + 1,
                parent,
                path,
                source_parent,
                source_path,
                self._at,
                mode,
                mtime_ns,
                size,
                digest,
                target,
                xattrs,
                change.turn_id,
            ),
        )
        self.head = n
        if kind == "delete":
            made.append(Iteration(n, path, kind, self._at, turn_id=change.turn_id))
            return n
        made.append(
            Iteration(
                n,
                path,
                kind,
                self._at,
                size if mode & TYPE_MASK == REGULAR else None,
                None if digest is None else digest.hex(),
                mode,
                source_path,
                change.turn_id,
            )
        )
        return n

    def _name(self, parent: int, name: bytes, n: int, node: int) -> None:
        self._execute(_INSERT_SLOT, (parent, name, n, node or None))
        self._slots.put((parent, name), node)

    def _make(
        self,
        change: Change,
        made: list[Iteration],
        kind: Kind,
        parent: int,
        name: bytes,
        path: bytes,
        attributes: Attributes,
    ) -> int:
        n = self._iteration(change, made, kind, 0, (parent, path), attributes)
        node = n + 1
        self._name(parent, name, n, node)
        self._nodes.put(node, attributes)
        return node

    def _alter(
        self,
        change: Change,
        made: list[Iteration],
        kind: Kind,
        parent: int,
        node: int,
        attributes: Attributes,
    ) -> None:
        self._iteration(change, made, kind, node, (parent, change.path), attributes)
        self._nodes.put(node, attributes)

    def _remove(self, parent: int, name: bytes, path: bytes, node: int, change: Change, made: list[Iteration]) -> None:
        """Deletes what is at a slot, what a directory still holds first: then the history has no orphans."""
        pending = [(parent, name, path, node, False)]
        while pending:
            parent, name, path, node, emptied = pending.pop()
            if not emptied and self._is_directory(node):
                pending.append((parent, name, path, node, True))
                pending += [
                    (node, child, joined(path, child), held, False)
                    for child, held in reversed(list(self.chain.names(node, self.head)))
                ]
                continue
            n = self._iteration(change, made, "delete", node, (parent, path), self._of(node))
            self._name(parent, name, n, _FREE)
            if emptied:
                self._directories.clear()

    def _displace(self, path: bytes, node: int, change: Change, made: list[Iteration]) -> None:
        """Makes way for what is renamed to a slot: only what a directory holds needs an iteration of its own."""
        if self._is_directory(node):
            for child, held in list(self.chain.names(node, self.head)):
                self._remove(node, child, joined(path, child), held, change, made)

    # Kinds of changes.

    def _write(self, change: Change, made: list[Iteration]) -> None:
        if not change.path:
            return
        parent, name, node = self._place(change, made)
        mode = change.mode & ~TYPE_MASK | REGULAR if change.mode else 0
        if node:
            known = self._of(node)
            if known[0] & TYPE_MASK == REGULAR:
                mode = mode or known[0]
                xattrs = known[5] if change.xattrs is None else _packed(change.xattrs)
                attributes = (mode, change.mtime_ns, change.size, change.digest, None, xattrs)
                if change.digest != known[3]:
                    self._alter(change, made, "modify", parent, node, attributes)
                elif mode != known[0]:
                    self._alter(change, made, "chmod", parent, node, attributes)
                elif xattrs != known[5]:
                    self._alter(change, made, "xattr", parent, node, attributes)
                return
            self._remove(parent, name, change.path, node, change, made)
        attributes = (
            mode or REGULAR | 0o644,
            change.mtime_ns,
            change.size,
            change.digest,
            None,
            None if change.xattrs is None else _packed(change.xattrs),
        )
        self._make(change, made, "create", parent, name, change.path, attributes)

    def _mkdir(self, change: Change, made: list[Iteration]) -> None:
        if not change.path:
            return
        parent, name, node = self._place(change, made)
        if node:
            if self._is_directory(node):
                return
            self._remove(parent, name, change.path, node, change, made)
        mode = change.mode & ~TYPE_MASK | DIRECTORY if change.mode else DIRECTORY | 0o755
        attributes = (mode, change.mtime_ns, 0, None, None, _packed(change.xattrs))
        self._make(change, made, "mkdir", parent, name, change.path, attributes)

    def _symlink(self, change: Change, made: list[Iteration]) -> None:
        self._something(change, made, "symlink", SYMLINK | 0o777, change.target or b"")

    def _special(self, change: Change, made: list[Iteration]) -> None:
        if change.mode & TYPE_MASK not in (0, REGULAR, DIRECTORY, SYMLINK):
            self._something(change, made, "special", change.mode, None)

    def _something(self, change: Change, made: list[Iteration], kind: Kind, mode: int, target: bytes | None) -> None:
        if not change.path:
            return
        parent, name, node = self._place(change, made)
        if node:
            known = self._of(node)
            if (known[0], known[4]) == (mode, target):
                return
            self._remove(parent, name, change.path, node, change, made)
        attributes = (mode, change.mtime_ns, 0, None, target, _packed(change.xattrs))
        self._make(change, made, kind, parent, name, change.path, attributes)

    def _link(self, change: Change, made: list[Iteration]) -> None:
        source = change.source
        if not source or not change.path or _nested(source, change.path) or _nested(change.path, source):
            return
        source_parent, _, node = self._find(source)
        if not node or self._is_directory(node):
            return
        parent, name, there = self._place(change, made)
        if there == node:
            return
        if there:
            self._remove(parent, name, change.path, there, change, made)
        n = self._iteration(change, made, "link", node, (parent, change.path), self._of(node), (source_parent, source))
        self._name(parent, name, n, node)

    def _delete(self, change: Change, made: list[Iteration]) -> None:
        if not change.path:
            return
        parent, name, node = self._find(change.path)
        if node:
            self._remove(parent, name, change.path, node, change, made)

    def _rename(self, change: Change, made: list[Iteration]) -> None:
        source, path = change.source, change.path
        if not source or not path or _nested(source, path) or _nested(path, source):
            return
        source_parent, source_name, node = self._find(source)
        if not node:
            return
        parent, name, there = self._place(change, made)
        if there == node:
            # POSIX: renaming one name of a file to another of its names does nothing, so a backend that says so saw
            # the old name go.
            if source != path:
                self._remove(source_parent, source_name, source, node, change, made)
            return
        if there:
            if self._is_directory(there) != self._is_directory(node):
                self._remove(parent, name, path, there, change, made)
            else:
                self._displace(path, there, change, made)
        attributes = self._of(node)
        n = self._iteration(change, made, "rename", node, (parent, path), attributes, (source_parent, source))
        self._name(source_parent, source_name, n, _FREE)
        self._name(parent, name, n, node)
        if self._is_directory(node):
            self._directories.clear()

    def _exchange(self, change: Change, made: list[Iteration]) -> None:
        source, path = change.source, change.path
        if not source or not path or _nested(source, path) or _nested(path, source):
            return
        source_parent, source_name, node = self._find(source)
        parent, name, other = self._find(path)
        if not node or not other:
            # One side was never seen: what is known of the other moved.
            if node:
                self._rename(change, made)
            elif other:
                self._rename(msgspec.structs.replace(change, path=source, source=path), made)
            return
        if node == other:
            return
        n = self._iteration(change, made, "exchange", node, (parent, path), self._of(node), (source_parent, source))
        # Both names change at once: no moment shows one file at both.
        self._name(parent, name, n, node)
        self._name(source_parent, source_name, n, other)
        self._iteration(change, made, "exchange", other, (source_parent, source), self._of(other), (parent, path))
        self._directories.clear()

    def _attributes(self, change: Change, made: list[Iteration]) -> None:
        parent, _, node = self._find(change.path) if change.path else (0, b"", ROOT)
        if not node:
            return
        known = self._of(node)
        mode = known[0] & TYPE_MASK | change.mode & ~TYPE_MASK
        # A symbolic link has no permissions of its own.
        if mode != known[0] and mode & TYPE_MASK != SYMLINK:
            self._alter(change, made, "chmod", parent, node, (mode, *known[1:]))

    def _xattr(self, change: Change, made: list[Iteration]) -> None:
        parent, _, node = self._find(change.path) if change.path else (0, b"", ROOT)
        if not node:
            return
        known = self._of(node)
        xattrs = _packed(change.xattrs)
        if xattrs != known[5]:
            self._alter(change, made, "xattr", parent, node, (*known[:5], xattrs))


def _packed(xattrs: dict[bytes, bytes] | None) -> bytes | None:
    """Extended attributes as stored: equal ones are equal bytes."""
    return _encode_xattrs(dict(sorted(xattrs.items()))) if xattrs else None


def _nested(outer: bytes, path: bytes) -> bool:
    """Whether `path` lies below `outer`."""
    return path.startswith(outer + b"/")
