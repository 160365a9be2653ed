"""What lies in `.chronicle/`: nodes that are made when somebody looks. All of it happens on helper threads."""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from chronicle.mount import protocol
from chronicle.mount.channel import Channel, Reply
from chronicle.mount.protocol import Attributes, Request
from chronicle.mount.served import Handler
from chronicle.mount.virtual import (
    MAGIC,
    Deferred,
    VirtualAttributes,
    VirtualDirectory,
    VirtualEntry,
    VirtualFile,
    VirtualNode,
    VirtualSymlink,
    VirtualTree,
)

FIRST: Final = 1 << 62
"""Numbers of these nodes begin here; those of the tree's files are far below."""

_UNCACHED: Final = (0, 0)
_BLOCK: Final = 4096


HELD_BYTES: Final = 64 << 20
"""What all open files below `.chronicle/` of a mount may hold together, in bytes; one alone may be larger. More is `ENOMEM`: old
content is unpacked for each open, outside the workspace's quota."""


class _Known:
    """A virtual node the kernel knows."""

    __slots__ = ("key", "lookups", "made", "number")

    def __init__(self, number: int, key: tuple[int, bytes], made: VirtualNode) -> None:
        self.number = number
        self.key = key
        self.made = made
        self.lookups = 0


class MadeNodes:
    """Answers requests for virtual nodes. Thread-safe."""

    def __init__(
        self, tree: VirtualTree, channel: Channel, seconds: tuple[int, int], generation: int, root_fd: int
    ) -> None:
        """`generation`: how many processes served the mount before; none gives numbers that another gave. Everything belongs to
        whom the workspace's root (`root_fd`) belongs."""
        self._tree = tree
        self._root_fd = root_fd
        self._channel = channel
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[int, _Known] = {}
        self._numbers: dict[tuple[int, bytes], int] = {}
        self._contents: dict[int, bytes | int] = {}
        self._held = 0
        self._next = FIRST | generation << 40
        self._waiting: set[int] = set()
        self._handlers: dict[int, Handler] = {
            protocol.LOOKUP: self._lookup,
            protocol.GETATTR: self._get_attributes,
            protocol.SETATTR: self._get_attributes,
            protocol.READLINK: self._readlink,
            protocol.OPEN: self._open,
            protocol.READ: self._read,
            protocol.WRITE: self._write,
            protocol.RELEASE: self._release,
            protocol.READDIR: self._list,
            protocol.READDIRPLUS: self._list_plus,
            protocol.ACCESS: lambda request: protocol.ok(request.unique),
            protocol.FSYNC: lambda request: protocol.ok(request.unique),
            protocol.FLUSH: lambda request: protocol.ok(request.unique),
            protocol.STATFS: lambda request: protocol.statfs(request.unique, (0, 0, 0, 0, 0, _BLOCK, 255, _BLOCK)),
        }

    def is_root(self, request: Request) -> bool:
        """Whether a request looks up `.chronicle` itself."""
        return request.node == protocol.ROOT_ID and request.opcode == protocol.LOOKUP and request.body == MAGIC + b"\0"

    def answer(self, request: Request) -> Reply | None:
        """The reply; None: it comes later."""
        handler = self._handlers.get(request.opcode)
        if handler is None:
            return protocol.failed(request.unique, errno.EROFS if request.opcode in _CHANGES else errno.ENOSYS)
        return handler(request)

    def forget(self, number: int, count: int) -> None:
        """The kernel dropped references."""
        with self._lock:
            known = self._known.get(number)
            if known is None:
                return
            known.lookups -= count
            if known.lookups <= 0:
                del self._known[number]
                self._numbers.pop(known.key, None)

    def interrupt(self, unique: int) -> None:
        """Who waits was told to stop: they get `EINTR`, and what comes later is dropped."""
        with self._lock:
            if unique not in self._waiting:
                return
            self._waiting.discard(unique)
        self._channel.reply(protocol.failed(unique, errno.EINTR))

    def close(self) -> None:
        """Gives back what open files hold."""
        with self._lock:
            contents, self._contents = self._contents, {}
            self._held = 0
        for content in contents.values():
            _close(content)

    def _get(self, number: int) -> _Known:
        known = self._known.get(number)
        if known is None:
            raise OSError(errno.ESTALE, "unknown node")
        return known

    def _seen(self, parent: int, name: bytes, made: VirtualNode) -> _Known:
        with self._lock:
            number = self._numbers.get((parent, name))
            if number is None:
                number = self._next
                self._next += 1
                self._numbers[parent, name] = number
                self._known[number] = _Known(number, (parent, name), made)
            known = self._known[number]
            known.made = made
            known.lookups += 1
            return known

    def _lookup(self, request: Request) -> Reply:
        name = request.name()
        if request.node == protocol.ROOT_ID:
            made: VirtualNode | None = self._tree.root()
        else:
            made = _directory(self._get(request.node).made).child(name)
        if made is None:
            raise OSError(errno.ENOENT, "nothing of this name")
        attributes = made.attributes()
        known = self._seen(request.node, name, made)
        return protocol.entry(
            request.unique, known.number, self._validity(attributes), self._stat(known.number, attributes)
        )

    def _validity(self, attributes: VirtualAttributes) -> tuple[int, int]:
        return self._seconds if attributes.cached else _UNCACHED

    def _stat(self, number: int, attributes: VirtualAttributes) -> Attributes:
        whole, nanos = divmod(attributes.mtime_ns or time.time_ns(), protocol.SECOND)
        links = 2 if stat.S_ISDIR(attributes.mode) else 1
        root = os.fstat(self._root_fd)
        blocks = (attributes.size + 511) // 512
        times = (whole, whole, whole, nanos, nanos, nanos)
        return (
            number, attributes.size, blocks, *times, attributes.mode, links, root.st_uid, root.st_gid, 0, _BLOCK, 0,
        )  # fmt: skip

    def _get_attributes(self, request: Request) -> Reply:
        known = self._get(request.node)
        attributes = known.made.attributes()
        return protocol.attributes(request.unique, self._validity(attributes), self._stat(known.number, attributes))

    def _readlink(self, request: Request) -> Reply:
        made = self._get(request.node).made
        if not isinstance(made, VirtualSymlink):
            raise OSError(errno.EINVAL, "not a link")
        return protocol.data(request.unique, made.target())

    def _open(self, request: Request) -> Reply | None:
        flags = protocol.U32.unpack_from(request.body)[0]
        made = self._get(request.node).made
        if not isinstance(made, VirtualFile):
            raise OSError(errno.EISDIR, "not a file")
        cached = made.attributes().cached
        if cached and flags & os.O_ACCMODE:
            raise OSError(errno.EROFS, "the past does not change")
        how = protocol.FOPEN_KEEP_CACHE if cached else protocol.FOPEN_DIRECT_IO
        content = b"" if flags & os.O_ACCMODE == os.O_WRONLY else made.open()
        if isinstance(content, Deferred):
            deferred: Deferred[Any] = content
            self._later(request.unique, deferred, lambda value: self._opened(request.unique, value, how), _close)
            return None
        return self._opened(request.unique, content, how)

    def _opened(self, unique: int, content: bytes | int, how: int) -> bytes:
        size = _size(content)
        with self._lock:
            room = not self._contents or self._held + size <= HELD_BYTES
            if room:
                number = self._next
                self._next += 1
                self._contents[number] = content
                self._held += size
        if not room:
            _close(content)
            return protocol.failed(unique, errno.ENOMEM)
        return protocol.opened(unique, number, how)

    def _later(
        self, unique: int, deferred: Deferred[Any], reply: Callable[[Any], bytes], unwanted: Callable[[Any], None]
    ) -> None:
        with self._lock:
            self._waiting.add(unique)

        def finished(value: Any, error: BaseException | None) -> None:
            with self._lock:
                wanted = unique in self._waiting
                self._waiting.discard(unique)
            if wanted:
                self._channel.reply(reply(value) if error is None else protocol.failed(unique, _number(error)))
            elif error is None:
                unwanted(value)

        deferred.then(finished)

    def _read(self, request: Request) -> Reply:
        number, offset, size = protocol.READ_IN.unpack_from(request.body)
        content = self._contents.get(number)
        if content is None:
            raise OSError(errno.ESTALE, "opened before the filesystem process was replaced")
        got = content[offset : offset + size] if isinstance(content, bytes) else os.pread(content, size, offset)
        return protocol.data(request.unique, got)

    def _write(self, request: Request) -> Reply | None:
        _, _, size, _ = protocol.WRITE_IN.unpack_from(request.body)
        made = self._get(request.node).made
        if not isinstance(made, VirtualFile):
            raise OSError(errno.EBADF, "not a file")
        start = protocol.WRITE_IN_BYTES
        outcome = made.write(bytes(request.body[start : start + size]))
        if outcome is None:
            return protocol.written(request.unique, size)
        self._later(request.unique, outcome, lambda _: protocol.written(request.unique, size), lambda _: None)
        return None

    def _release(self, request: Request) -> Reply:
        number = protocol.U64.unpack_from(request.body)[0]
        with self._lock:
            content = self._contents.pop(number, None)
            if content is not None:
                self._held -= _size(content)
        _close(content)
        return protocol.ok(request.unique)

    def _entries(self, request: Request) -> tuple[list[VirtualEntry], int, int]:
        _, offset, size = protocol.READ_IN.unpack_from(request.body)
        directory = _directory(self._get(request.node).made)
        dots = [VirtualEntry(b".", stat.S_IFDIR), VirtualEntry(b"..", stat.S_IFDIR)]
        return [*dots, *directory.entries()], offset, size

    def _list(self, request: Request) -> Reply:
        entries, offset, size = self._entries(request)
        parts = []
        for at, entry in enumerate(entries[offset:], offset + 1):
            size -= protocol.directory_entry_bytes(entry.name, plus=False)
            if size < 0:
                break
            parts.append(protocol.directory_entry(at + 1, at, entry.mode >> 12, entry.name))
        return protocol.data(request.unique, b"".join(parts))

    def _list_plus(self, request: Request) -> Reply:
        """Without attributes: those are looked up when somebody wants them."""
        entries, offset, size = self._entries(request)
        parts = []
        for at, entry in enumerate(entries[offset:], offset + 1):
            size -= protocol.directory_entry_bytes(entry.name, plus=True)
            if size < 0:
                break
            values = (at + 1, *protocol.NO_ATTRIBUTES[1:])
            parts.append(protocol.directory_entry_plus(0, _UNCACHED, values, at, entry.mode >> 12, entry.name))
        return protocol.data(request.unique, b"".join(parts))


_CHANGES: Final = frozenset({
    protocol.MKNOD, protocol.MKDIR, protocol.UNLINK, protocol.RMDIR, protocol.RENAME, protocol.RENAME2, protocol.LINK,
    protocol.SYMLINK, protocol.CREATE, protocol.TMPFILE, protocol.SETXATTR, protocol.REMOVEXATTR, protocol.FALLOCATE,
})  # fmt: skip
"""Requests that would change a tree of virtual nodes."""


def _directory(made: VirtualNode) -> VirtualDirectory:
    if not isinstance(made, VirtualDirectory):
        raise OSError(errno.ENOTDIR, "not a directory")
    return made


def _size(content: bytes | int) -> int:
    return os.fstat(content).st_size if isinstance(content, int) else len(content)


def _number(error: BaseException) -> int:
    return (error.errno if isinstance(error, OSError) else None) or errno.EIO


def _close(content: object) -> None:
    if isinstance(content, int):
        os.close(content)
