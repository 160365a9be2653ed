"""A loopback file system on pyfuse3 (libfuse 3, trio): `with_pyfuse3.py BACKING MOUNT`. Run by the environment that has it."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any

import pyfuse3  # type: ignore[import-not-found]
import trio  # type: ignore[import-not-found]

SECONDS = 3600.0


class Node:
    """One inode the kernel knows: where it lies, and how often it was looked up."""

    __slots__ = ("count", "id", "inode", "path")

    def __init__(self, number: int, path: str, inode: int) -> None:
        self.id = number
        self.path = path
        self.inode = inode
        self.count = 0


def _attributes(facts: os.stat_result, number: int) -> Any:
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = number
    entry.generation = 0
    entry.entry_timeout = entry.attr_timeout = SECONDS
    for name in (
        "mode",
        "nlink",
        "uid",
        "gid",
        "rdev",
        "size",
        "blksize",
        "blocks",
        "atime_ns",
        "mtime_ns",
        "ctime_ns",
    ):
        setattr(entry, f"st_{name}", getattr(facts, f"st_{name}"))
    return entry


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise pyfuse3.FUSEError(error.errno or errno.EIO) from None


class Loopback(pyfuse3.Operations):  # type: ignore[misc]
    """Every inode is a path below `root`."""

    supports_dot_lookup = False

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        first = Node(pyfuse3.ROOT_INODE, root, os.lstat(root).st_ino)
        self.nodes = {first.id: first}
        self.by_inode = {first.inode: first}
        self.next = 2
        self.listings: dict[int, list[str]] = {}

    def _node(self, path: str, facts: os.stat_result) -> Node:
        node = self.by_inode.get(facts.st_ino)
        if node is None:
            node = Node(self.next, path, facts.st_ino)
            self.nodes[self.next] = self.by_inode[facts.st_ino] = node
            self.next += 1
        elif facts.st_nlink == 1:
            node.path = path
        node.count += 1
        return node

    def _known(self, path: str) -> Any:
        facts = os.lstat(path)
        return _attributes(facts, self._node(path, facts).id)

    def _path(self, parent: int, name: bytes) -> str:
        return f"{self.nodes[parent].path}/{os.fsdecode(name)}"

    def _gone(self, path: str) -> None:
        with contextlib.suppress(OSError):
            facts = os.lstat(path)
            if facts.st_nlink <= 1 or stat.S_ISDIR(facts.st_mode):
                self.by_inode.pop(facts.st_ino, None)

    async def lookup(self, parent: int, name: bytes, ctx: Any = None) -> Any:
        try:
            return self._known(self._path(parent, name))
        except FileNotFoundError:
            missing = pyfuse3.EntryAttributes()
            missing.st_ino = 0
            missing.entry_timeout = SECONDS
            return missing

    async def forget(self, inodes: list[tuple[int, int]]) -> None:
        for number, count in inodes:
            node = self.nodes.get(number)
            if node is not None:
                node.count -= count
                if node.count <= 0 and number != pyfuse3.ROOT_INODE:
                    del self.nodes[number]
                    if self.by_inode.get(node.inode) is node:
                        del self.by_inode[node.inode]

    async def getattr(self, inode: int, ctx: Any = None) -> Any:
        with _told():
            return _attributes(os.lstat(self.nodes[inode].path), inode)

    async def setattr(self, inode: int, attr: Any, fields: Any, fh: int | None, ctx: Any) -> Any:
        target: int | str = fh if fh is not None else self.nodes[inode].path
        with _told():
            if fields.update_mode:
                os.chmod(target, stat.S_IMODE(attr.st_mode))
            if fields.update_size:
                os.truncate(target, attr.st_size)
            if fields.update_atime or fields.update_mtime:
                old = os.stat(target)
                accessed = attr.st_atime_ns if fields.update_atime else old.st_atime_ns
                os.utime(target, ns=(accessed, attr.st_mtime_ns if fields.update_mtime else old.st_mtime_ns))
            return _attributes(os.stat(target), inode)

    async def readlink(self, inode: int, ctx: Any) -> bytes:
        return os.fsencode(os.readlink(self.nodes[inode].path))

    async def symlink(self, parent: int, name: bytes, target: bytes, ctx: Any) -> Any:
        with _told():
            os.symlink(os.fsdecode(target), self._path(parent, name))
            return self._known(self._path(parent, name))

    async def mkdir(self, parent: int, name: bytes, mode: int, ctx: Any) -> Any:
        with _told():
            os.mkdir(self._path(parent, name), mode & ~ctx.umask)
            return self._known(self._path(parent, name))

    async def unlink(self, parent: int, name: bytes, ctx: Any) -> None:
        with _told():
            self._gone(self._path(parent, name))
            os.unlink(self._path(parent, name))

    async def rmdir(self, parent: int, name: bytes, ctx: Any) -> None:
        with _told():
            os.rmdir(self._path(parent, name))

    async def rename(self, old: int, old_name: bytes, new: int, new_name: bytes, flags: int, ctx: Any) -> None:
        source, target = self._path(old, old_name), self._path(new, new_name)
        with _told():
            self._gone(target)
            os.rename(source, target)
        for node in self.nodes.values():
            if node.path == source or node.path.startswith(source + "/"):
                node.path = target + node.path[len(source) :]

    async def link(self, inode: int, parent: int, name: bytes, ctx: Any) -> Any:
        with _told():
            os.link(self.nodes[inode].path, self._path(parent, name), follow_symlinks=False)
            return self._known(self._path(parent, name))

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        with _told():
            return pyfuse3.FileInfo(fh=os.open(self.nodes[inode].path, flags & ~os.O_CREAT), keep_cache=True)

    async def create(self, parent: int, name: bytes, mode: int, flags: int, ctx: Any) -> Any:
        with _told():
            opened = os.open(self._path(parent, name), flags | os.O_CREAT, mode & ~ctx.umask)
        facts = os.fstat(opened)
        number = self._node(self._path(parent, name), facts).id
        return pyfuse3.FileInfo(fh=opened, keep_cache=True), _attributes(facts, number)

    async def read(self, fh: int, offset: int, size: int) -> bytes:
        return os.pread(fh, size, offset)

    async def write(self, fh: int, offset: int, data: bytes) -> int:
        with _told():
            return os.pwrite(fh, data, offset)

    async def release(self, fh: int) -> None:
        os.close(fh)

    async def fsync(self, fh: int, datasync: bool) -> None:
        os.fsync(fh)

    async def opendir(self, inode: int, ctx: Any) -> int:
        return inode

    async def readdir(self, fh: int, start: int, token: Any) -> None:
        if start == 0 or fh not in self.listings:
            self.listings[fh] = os.listdir(self.nodes[fh].path)
        for index, name in enumerate(self.listings[fh][start:], start):
            path = f"{self.nodes[fh].path}/{name}"
            try:
                facts = os.lstat(path)
            except OSError:
                continue
            node = self._node(path, facts)
            if not pyfuse3.readdir_reply(token, os.fsencode(name), _attributes(facts, node.id), index + 1):
                node.count -= 1
                return

    async def statfs(self, ctx: Any) -> Any:
        facts = os.statvfs(self.root)
        answer = pyfuse3.StatvfsData()
        for name in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail"):
            setattr(answer, name, getattr(facts, name))
        answer.f_namemax = 255
        return answer


if __name__ == "__main__":
    pyfuse3.init(
        Loopback(os.path.abspath(sys.argv[1])), sys.argv[2], {*pyfuse3.default_options, "fsname=pyfuse3", "allow_other"}
    )
    trio.run(pyfuse3.main)
    pyfuse3.close(unmount=False)
