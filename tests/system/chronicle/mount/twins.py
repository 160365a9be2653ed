"""Small things for a mount to show: virtual files, and hollow entries."""

import os
import stat
import threading
from pathlib import Path

from chronicle.mount.virtual import Deferred, VirtualAttributes, VirtualEntry, VirtualNode

_FILE = stat.S_IFREG | 0o644
_DIRECTORY = stat.S_IFDIR | 0o755


class Text:
    """A file with a text."""

    def __init__(self, text: bytes, *, cached: bool = False) -> None:
        self.text = text
        self.cached = cached

    def attributes(self) -> VirtualAttributes:
        return VirtualAttributes(_FILE, 0 if not self.cached else len(self.text), cached=self.cached)

    def open(self) -> bytes | int | Deferred[bytes] | Deferred[int]:
        return self.text

    def write(self, data: bytes) -> Deferred[None] | None:
        if data.startswith(b"wrong"):
            raise OSError(22, "wrong")
        self.text = data.upper()
        return None


class Slow(Text):
    """A file that is there a moment after it was opened; one called `never` is not."""

    def __init__(self, *, comes: bool) -> None:
        super().__init__(b"")
        self.comes = comes

    def open(self) -> Deferred[bytes]:
        deferred: Deferred[bytes] = Deferred()
        if self.comes:
            threading.Timer(0.05, deferred.resolve, (b"at last\n",)).start()
        return deferred

    def write(self, data: bytes) -> Deferred[None]:
        deferred: Deferred[None] = Deferred()
        threading.Timer(0.05, deferred.fail, (PermissionError(1, "no"),)).start()
        return deferred


class Link:
    """A symbolic link."""

    def attributes(self) -> VirtualAttributes:
        return VirtualAttributes(stat.S_IFLNK | 0o777, 4, cached=True)

    def target(self) -> bytes:
        return b"text"


class Directory:
    """A directory with these nodes."""

    def __init__(self, nodes: dict[bytes, VirtualNode]) -> None:
        self.nodes = nodes

    def attributes(self) -> VirtualAttributes:
        return VirtualAttributes(_DIRECTORY)

    def child(self, name: bytes) -> VirtualNode | None:
        return self.nodes.get(name)

    def entries(self) -> list[VirtualEntry]:
        return [VirtualEntry(name, node.attributes().mode) for name, node in self.nodes.items()]


class Tree:
    """What `.chronicle` shows in tests."""

    def __init__(self) -> None:
        many: dict[bytes, VirtualNode] = {b"f%d" % n: Text(b"%d" % n, cached=True) for n in range(500)}
        memory = os.memfd_create("content")
        os.write(memory, b"from memory")
        self._root = Directory(
            {
                b"text": Text(b"hello\n"),
                b"slow": Slow(comes=True),
                b"never": Slow(comes=False),
                b"link": Link(),
                b"many": Directory(many),
                b"broken": Broken(),
                b"memory": Memory(memory),
            }
        )

    def root(self) -> Directory:
        return self._root


class Broken(Text):
    """A file whose maker has a fault."""

    def __init__(self) -> None:
        super().__init__(b"")

    def open(self) -> bytes:
        raise ValueError("a fault")


class Memory(Text):
    """A file whose content is behind a descriptor."""

    def __init__(self, fd: int) -> None:
        super().__init__(b"")
        self.fd = fd

    def open(self) -> int:
        return os.dup(self.fd)


class Hollow:
    """Directories and files called `hollow…` are made when they are looked at; entries called `gone` can't be."""

    def __init__(self, tree: Path) -> None:
        self._tree = os.fsencode(tree)
        self.hollow = True

    def _place(self, path: bytes) -> bytes:
        return self._tree + b"/" + path

    def is_hollow(self, path_in_tree: bytes) -> bool:
        try:
            os.getxattr(self._place(path_in_tree), "user.chronicle.hollow")
        except OSError:
            return False
        return True

    def populate(self, path: bytes) -> None:
        place = self._place(path)
        with open(place + b"/file", "wb") as file:
            file.truncate(7)
            os.setxattr(file.fileno(), "user.chronicle.hollow", b"")
        os.removexattr(place, "user.chronicle.hollow")

    def empty(self, path: bytes) -> None:
        os.truncate(self._place(path), 0)
        os.removexattr(self._place(path), "user.chronicle.hollow")

    def fill(self, path: bytes) -> None:
        if path.endswith(b"gone"):
            raise ValueError("it can't be had")
        with open(self._place(path), "r+b") as file:
            file.write(b"content")
        os.removexattr(self._place(path), "user.chronicle.hollow")
