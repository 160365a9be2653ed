"""What a history should say, by the simplest means: a dictionary of paths, copied at each moment."""

from dataclasses import dataclass, replace
from hashlib import sha256

from chronicle.model.changes import DIRECTORY, REGULAR, SYMLINK, TYPE_MASK, Change
from chronicle.model.iterations import Version
from chronicle.store.history import History


@dataclass(eq=False)
class Inode:
    """A file or directory."""

    mode: int
    digest: bytes | None = None
    target: bytes | None = None
    xattrs: dict[bytes, bytes] | None = None


Look = tuple[int, bytes | None, bytes | None, dict[bytes, bytes] | None, tuple[bytes, ...]]
"""mode, digest, target, xattrs, all names."""


class Tree:
    """A tree on which changes are carried out as a forgiving history does."""

    def __init__(self) -> None:
        self.names: dict[bytes, Inode] = {}

    def look(self) -> dict[bytes, Look]:
        """Everything a reader can see."""
        groups: dict[int, list[bytes]] = {}
        for path, inode in self.names.items():
            groups.setdefault(id(inode), []).append(path)
        return {
            path: (inode.mode, inode.digest, inode.target, inode.xattrs, tuple(sorted(groups[id(inode)])))
            for path, inode in self.names.items()
        }

    def copy(self) -> "Tree":
        copies = {id(inode): replace(inode) for inode in self.names.values()}
        tree = Tree()
        tree.names = {path: copies[id(inode)] for path, inode in self.names.items()}
        return tree

    def apply(self, change: Change) -> None:
        getattr(self, change.kind)(change)

    def remove(self, path: bytes) -> None:
        for name in [name for name in self.names if name == path or name.startswith(path + b"/")]:
            del self.names[name]

    def place(self, path: bytes) -> None:
        parts = path.split(b"/")
        for depth in range(1, len(parts)):
            parent = b"/".join(parts[:depth])
            inode = self.names.get(parent)
            if inode is None or inode.mode & TYPE_MASK != DIRECTORY:
                self.names[parent] = Inode(DIRECTORY | 0o755)

    def is_directory(self, path: bytes) -> bool:
        return self.names[path].mode & TYPE_MASK == DIRECTORY

    def make(self, path: bytes, inode: Inode) -> None:
        self.place(path)
        self.remove(path)
        self.names[path] = inode

    def write(self, change: Change) -> None:
        inode = self.names.get(change.path)
        if inode is None or inode.mode & TYPE_MASK != REGULAR:
            self.make(change.path, Inode(REGULAR | 0o644, change.digest))
            inode = self.names[change.path]
        inode.digest = change.digest
        inode.mode = change.mode or inode.mode
        inode.xattrs = inode.xattrs if change.xattrs is None else change.xattrs or None

    def mkdir(self, change: Change) -> None:
        if change.path not in self.names or not self.is_directory(change.path):
            self.make(change.path, Inode(change.mode))

    def symlink(self, change: Change) -> None:
        inode = self.names.get(change.path)
        if inode is None or inode.target != change.target:
            self.make(change.path, Inode(SYMLINK | 0o777, target=change.target))

    def special(self, change: Change) -> None:
        inode = self.names.get(change.path)
        if inode is None or inode.mode != change.mode:
            self.make(change.path, Inode(change.mode))

    def delete(self, change: Change) -> None:
        self.remove(change.path)

    def _nested(self, one: bytes, other: bytes) -> bool:
        return one.startswith(other + b"/") or other.startswith(one + b"/")

    def link(self, change: Change) -> None:
        source, path = change.source or b"", change.path
        if self._nested(source, path) or source not in self.names or self.is_directory(source):
            return
        inode = self.names[source]
        self.place(path)
        if self.names.get(path) is not inode:
            self.make(path, inode)

    def rename(self, change: Change) -> None:
        source, path = change.source or b"", change.path
        if source == path or self._nested(source, path) or source not in self.names:
            return
        self.place(path)
        moved = {name: inode for name, inode in self.names.items() if (name + b"/").startswith(source + b"/")}
        self.remove(source)
        if self.names.get(path) is not moved[source]:
            self.remove(path)
        self.names.update({path + name[len(source) :]: inode for name, inode in moved.items()})

    def exchange(self, change: Change) -> None:
        source, path = change.source or b"", change.path
        if self._nested(source, path):
            return
        if source not in self.names or path not in self.names:
            if source in self.names:
                self.rename(change)
            elif path in self.names:
                self.rename(Change("rename", source, 0, source=path))
            return
        sides = [
            {name: inode for name, inode in self.names.items() if (name + b"/").startswith(side + b"/")}
            for side in (source, path)
        ]
        self.remove(source)
        self.remove(path)
        self.names.update({path + name[len(source) :]: inode for name, inode in sides[0].items()})
        self.names.update({source + name[len(path) :]: inode for name, inode in sides[1].items()})

    def attributes(self, change: Change) -> None:
        inode = self.names.get(change.path)
        if inode is not None and inode.mode & TYPE_MASK != SYMLINK:
            inode.mode = inode.mode & TYPE_MASK | change.mode & 0o7777

    def xattr(self, change: Change) -> None:
        if change.path in self.names:
            self.names[change.path].xattrs = change.xattrs or None


def digest(content: bytes) -> bytes:
    """Any 32 bytes that stand for a content."""
    return sha256(content).digest()


def looked(history: History, at: int | None = None, path: bytes = b"") -> dict[bytes, Look]:
    """What the history shows of a moment, as `Tree.look`."""
    versions: dict[bytes, Version] = {entry.path: entry.version for entry in history.walk(at, path)}
    groups: dict[int, list[bytes]] = {}
    for name, version in versions.items():
        groups.setdefault(version.node, []).append(name)
    return {
        name: (version.mode, version.digest, version.target, version.xattrs, tuple(sorted(groups[version.node])))
        for name, version in versions.items()
    }


class Teller:
    """Tells a history what happens, one batch for each change, with a clock that goes on a second each time."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.at = 1_000

    def tell(self, *changes: Change) -> None:
        with self.history.batch() as batch:
            for change in changes:
                batch.apply(change)

    def _change(self, kind: str, path: bytes, **facts: object) -> None:
        self.at += 1_000
        self.tell(Change(kind, path, self.at, **facts))  # type: ignore[arg-type]

    def write(self, path: bytes, content: bytes, mode: int = REGULAR | 0o644) -> None:
        self._change("write", path, mode=mode, size=len(content), digest=digest(content))

    def mkdir(self, path: bytes) -> None:
        self._change("mkdir", path, mode=DIRECTORY | 0o755)

    def delete(self, path: bytes) -> None:
        self._change("delete", path)

    def rename(self, source: bytes, path: bytes) -> None:
        self._change("rename", path, source=source)

    def exchange(self, source: bytes, path: bytes) -> None:
        self._change("exchange", path, source=source)

    def link(self, source: bytes, path: bytes) -> None:
        self._change("link", path, source=source)

    def chmod(self, path: bytes, mode: int) -> None:
        self._change("attributes", path, mode=mode)

    def checkpoint(self, label: str | None = None, turn_id: str | None = None) -> None:
        with self.history.batch() as batch:
            batch.checkpoint(at=self.at, label=label, turn_id=turn_id)
