"""Files: opening, reading, writing, closing. With passthrough the kernel reads and writes by itself."""

import errno
import os
import stat
from typing import Final

from chronicle.mount import host, protocol
from chronicle.mount.channel import Reply
from chronicle.mount.nodes import Handle, Node
from chronicle.mount.notes import Later
from chronicle.mount.operations.names import Names
from chronicle.mount.protocol import Request
from chronicle.mount.served import Handler, Served
from chronicle.recording.allocating import allocate

_KEPT: Final = os.O_SYNC | os.O_DSYNC
"""Flags of an open that go on to the plain file. The kernel does appending and direct I/O itself, above us."""

_ACCESS: Final = os.O_ACCMODE


class Files:
    """Operations on open files."""

    def __init__(self, served: Served, names: Names) -> None:
        self._served = served
        self._names = names
        self._table = served.table
        self._notes = served.notes
        self._quota = served.quota

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {
            protocol.OPEN: self.open,
            protocol.CREATE: self.create,
            protocol.TMPFILE: self.create_unnamed,
            protocol.READ: self.read,
            protocol.WRITE: self.write,
            protocol.RELEASE: self.release,
            protocol.FLUSH: self.flush,
            protocol.FSYNC: self.fsync,
            protocol.FALLOCATE: self.fallocate,
            protocol.LSEEK: self.seek,
        }

    def open(self, request: Request) -> Reply:
        """Opens a file. Whoever may write gets a descriptor that reads as well: the recorder reads from it."""
        flags, open_flags = protocol.U32X2.unpack_from(request.body)
        node = self._table.by_id.get(request.node) or self._table.get(request.node)
        writable = flags & _ACCESS != os.O_RDONLY
        truncate = bool(flags & os.O_TRUNC)
        if truncate:
            self._served.require_emptied(node)
        else:
            self._served.require_filled(node)
        if not writable and not truncate:
            fd = os.open(node.place(), os.O_RDONLY | _itself(node) | flags & _KEPT)
            return self._opened(request, node, fd, writable=False)
        if not truncate:
            self._quota.require()
        self._notes.before_change(node)
        fd = self._open_writable(node, flags)
        try:
            st = os.fstat(fd)
            self._notes.opening(node, fd, st)
            self._quota.opened(node, st)
            if truncate:
                self._truncate(node, fd, st, kill=bool(open_flags & protocol.OPEN_KILL_SUIDGID))
            return self._opened(request, node, fd, writable=True)
        except BaseException:
            os.close(fd)
            raise

    def _open_writable(self, node: Node, flags: int) -> int:
        place = node.place()
        try:
            return os.open(place, os.O_RDWR | _itself(node) | flags & _KEPT)
        except PermissionError:  # an ordinary user's file that may be written but not read
            if flags & _ACCESS != os.O_WRONLY:
                raise
            return os.open(place, os.O_WRONLY | _itself(node) | flags & _KEPT)

    def _truncate(self, node: Node, fd: int, st: os.stat_result, *, kill: bool) -> None:
        os.ftruncate(fd, 0)
        if kill:
            without_privileges(fd, st.st_mode)
        node.dirty = node.dirty or st.st_size > 0
        self._quota.measured(node, os.fstat(fd))

    def _opened(self, request: Request, node: Node, fd: int, *, writable: bool) -> bytes:
        flags, backing = self._served.back(node, fd)
        handle = self._table.opened(node, fd, writable=writable, through=bool(backing))
        if writable:
            self._served.writing_began()
        return protocol.opened(request.unique, handle.number, flags, backing)

    def create(self, request: Request) -> Reply:
        """Makes and opens a file."""
        flags, mode = protocol.U32X2.unpack_from(request.body)
        parent, name = self._table.get(request.node), request.name(16)
        place = self._names.new_name(parent, name)
        self._quota.require_entry(stat.S_IFREG)
        kept = flags & (_KEPT | os.O_EXCL | os.O_TRUNC)
        if request.resent:
            kept &= ~os.O_EXCL
        fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | kept, stat.S_IMODE(mode))
        try:
            st = self._owned(fd, request, parent, mode)
            node = self._table.seen(parent, name, st)
            self._quota.came(st.st_mode)
        except BaseException:
            os.close(fd)
            raise
        return self._created(request, node, fd, st)

    def create_unnamed(self, request: Request) -> Reply:
        """`O_TMPFILE`: a file without a name, in the directory that the request is about."""
        flags, mode = protocol.U32X2.unpack_from(request.body)
        parent = self._table.get(request.node)
        self._quota.require()
        fd = os.open(parent.place(), os.O_RDWR | os.O_TMPFILE | _itself(parent) | flags & _KEPT, stat.S_IMODE(mode))
        try:
            st = self._owned(fd, request, parent, mode)
            node = self._table.unnamed(st)
        except BaseException:
            os.close(fd)
            raise
        return self._created(request, node, fd, st)

    def _owned(self, fd: int, request: Request, parent: Node, mode: int) -> os.stat_result:
        if self._served.uid == 0 and (request.uid != 0 or request.gid != self._served.gid):
            group = -1 if os.lstat(parent.place()).st_mode & stat.S_ISGID else request.gid
            os.fchown(fd, request.uid, group)
            if mode & (stat.S_ISUID | stat.S_ISGID):
                os.fchmod(fd, stat.S_IMODE(mode))
        return os.fstat(fd)

    def _created(self, request: Request, node: Node, fd: int, st: os.stat_result) -> bytes:
        node.whole = node.plain = True
        self._notes.created(node)
        self._quota.created(node)
        self._quota.measured(node, st)
        flags, backing = self._served.back(node, fd)
        handle = self._table.opened(node, fd, writable=True, through=bool(backing))
        self._served.writing_began()
        opened = (handle.number, flags, backing)
        return protocol.entry_opened(request.unique, node.id, self._served.seconds, protocol.attributes_of(st), opened)

    def handle(self, number: int, request: Request) -> Handle:
        """The open file of this number; one that an earlier process opened is opened again."""
        known = self._table.handles.get(number)
        return known if known is not None else self._opened_before(number, self._table.get(request.node))

    def _opened_before(self, number: int, node: Node) -> Handle:
        place = node.place()
        try:
            fd = os.open(place, os.O_RDWR | _itself(node))
        except PermissionError:
            fd = os.open(place, os.O_RDONLY | _itself(node))
        self._quota.opened(node, os.fstat(fd))
        handle = self._table.adopted(number, node, fd)
        self._served.writing_began()
        return handle

    def read(self, request: Request) -> Reply:
        """Bytes of a file."""
        number, offset, size = protocol.READ_IN.unpack_from(request.body)
        got = os.pread(self.handle(number, request).fd, size, offset)
        return protocol.OUT.pack(16 + len(got), 0, request.unique), got

    def write(self, request: Request) -> Reply:
        """Bytes into a file."""
        number, offset, size, flags = protocol.WRITE_IN.unpack_from(request.body)
        handle = self.handle(number, request)
        node = handle.node
        start = protocol.WRITE_IN_BYTES
        if self._quota.limit is not None:
            self._quota.require(offset + size - max(node.accounted, os.fstat(handle.fd).st_size))
        node.dirty = True
        count = os.pwrite(handle.fd, request.body[start : start + size], offset)
        if flags & protocol.WRITE_KILL_SUIDGID:
            without_privileges(handle.fd, os.fstat(handle.fd).st_mode)
        if self._quota.limit is not None:
            self._quota.measured(node, os.fstat(handle.fd))
        return protocol.written(request.unique, count)

    def release(self, request: Request) -> Reply:
        """The last user of an open file closed it: if it was changed, what it holds is a version."""
        number, flags, _ = protocol.RELEASE_IN.unpack_from(request.body)
        handle = self._table.closed(number)
        if handle is None:
            return self._release_of_earlier(request, flags)
        node = handle.node
        self._served.unback(node)
        if not handle.writable:
            os.close(handle.fd)
        else:
            self._close_written(handle)
            if self._table.page is not None:
                self._table.page.closed()
        self._table.released(node)
        return protocol.ok(request.unique)

    def _close_written(self, handle: Handle) -> None:
        node, fd = handle.node, handle.fd
        st = os.fstat(fd)
        self._quota.measured(node, st)
        if not node.writers:
            if not node.named and node.accounted >= 0:
                self._quota.changed(node.accounted, 0)
            node.accounted = -1
        if not node.named or not self._notes.is_changed(node, st):
            os.close(fd)
        elif node.writers:
            self._notes.content_while_open(node, fd, st)
            os.close(fd)
        else:
            self._notes.content(node, fd, st)
        if handle.through and node.named and not node.writers:
            self._served.closed(node)

    def _release_of_earlier(self, request: Request, flags: int) -> bytes:
        """An earlier process opened it: what the file holds now is noted; equal bytes make no version."""
        node = self._table.get(request.node)
        self._served.unback(node)
        if flags & _ACCESS != os.O_RDONLY and node.named:
            fd = os.open(node.place(), os.O_RDONLY | _itself(node))
            self._notes.content(node, fd, os.fstat(fd))
        self._table.released(node)
        return protocol.ok(request.unique)

    def flush(self, request: Request) -> Reply:
        """A `close`: only where replies wait for the record is anything to do; else the kernel need not ask again."""
        if not self._served.sync:
            return protocol.failed(request.unique, errno.ENOSYS)
        handle = self._table.handles.get(protocol.U64.unpack_from(request.body)[0])
        if handle is not None and handle.writable and handle.node.named:
            st = os.fstat(handle.fd)
            if self._notes.is_changed(handle.node, st):
                self._notes.content_while_open(handle.node, handle.fd, st)
        return protocol.ok(request.unique)

    def fsync(self, request: Request) -> Reply:
        """Data to disk, on a helper thread; then they are a version."""
        number, flags = protocol.U64.unpack_from(request.body)[0], protocol.U32.unpack_from(request.body, 8)[0]
        handle = self.handle(number, request)
        if not request.prepared:
            fd = handle.fd
            raise Later(lambda: os.fdatasync(fd) if flags & protocol.FSYNC_FDATASYNC else os.fsync(fd))
        if handle.writable:
            self._notes.fsynced(handle.node, handle.fd)
        return protocol.ok(request.unique)

    def fallocate(self, request: Request) -> Reply:
        """Room for a file, or holes in it."""
        number, offset, length, mode = protocol.FALLOCATE_IN.unpack_from(request.body)
        handle = self.handle(number, request)
        node = handle.node
        st = os.fstat(handle.fd)
        if not mode & host.FALLOC_FL_KEEP_SIZE:
            self._quota.require(offset + length - st.st_size)
        node.dirty = True
        allocate(handle.fd, offset, length, mode)
        self._quota.measured(node, os.fstat(handle.fd))
        return protocol.ok(request.unique)

    def seek(self, request: Request) -> Reply:
        """Where data or a hole begins."""
        number, offset, whence = protocol.READ_IN.unpack_from(request.body)
        return protocol.position(request.unique, os.lseek(self.handle(number, request).fd, offset, whence))


def _itself(node: Node) -> int:
    """`open` flags: the file is opened, never what a link that took its place names. Without a name its place is a link of `/proc`."""
    return os.O_CLOEXEC | (os.O_NOFOLLOW if node.named else 0)


def without_privileges(fd: int, mode: int) -> None:
    """Takes set-uid and (of executables) set-gid away, as Linux does when somebody without the right to them writes a file."""
    gone = stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0)
    if mode & gone:
        os.fchmod(fd, stat.S_IMODE(mode & ~gone))
