"""Attributes of files and of the whole filesystem."""

import errno
import os
import stat
import time

from chronicle import reaching
from chronicle.mount import protocol
from chronicle.mount.channel import Reply
from chronicle.mount.nodes import Node
from chronicle.mount.operations.files import without_privileges
from chronicle.mount.protocol import Request
from chronicle.mount.served import Handler, Served

_TIMES = protocol.FATTR_ATIME | protocol.FATTR_MTIME
_MEANT = (
    protocol.FATTR_MODE | protocol.FATTR_UID | protocol.FATTR_GID | protocol.FATTR_SIZE | _TIMES
    | protocol.FATTR_ATIME_NOW | protocol.FATTR_MTIME_NOW | protocol.FATTR_CTIME
)  # fmt: skip
"""Bits that ask for something to be set."""


class Attributes:
    """Operations on attributes."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._table = served.table
        self._notes = served.notes

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {
            protocol.GETATTR: self.get,
            protocol.SETATTR: self.set,
            protocol.ACCESS: self.access,
            protocol.STATFS: self.statfs,
        }

    def get(self, request: Request) -> Reply:
        """What `stat` shows."""
        node = self._table.by_id.get(request.node) or self._table.get(request.node)
        return protocol.attributes(request.unique, self._served.seconds, _shown(node, self._stat(node)))

    def _stat(self, node: Node) -> os.stat_result:
        if node.handles:
            return os.fstat(node.handles[0].fd)
        return os.lstat(node.place())

    def set(self, request: Request) -> Reply:
        """Changes mode, owner, size, times."""
        valid, _, number, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = (
            protocol.SETATTR_IN.unpack_from(request.body)
        )
        node = self._table.get(request.node)
        if valid & protocol.FATTR_SIZE:
            self._set_size(node, number if valid & protocol.FATTR_FH else 0, size, valid)
        if valid & (protocol.FATTR_UID | protocol.FATTR_GID):
            owner = uid if valid & protocol.FATTR_UID else -1
            group = gid if valid & protocol.FATTR_GID else -1
            _chown(node, owner, group)
        if valid & protocol.FATTR_MODE:
            _chmod(node, mode)
        if valid & _TIMES:
            self._set_times(node, valid, (atime, atime_ns), (mtime, mtime_ns))
        if (
            not valid & _MEANT
        ):  # a write by somebody without the right to set-uid bits: the kernel asks to take them away
            _lose_privileges(node)
        st = self._stat(node)
        if valid & (protocol.FATTR_MODE | protocol.FATTR_UID | protocol.FATTR_GID) and node.named:
            self._notes.change("attributes", node.path(), mode=st.st_mode, mtime_ns=st.st_mtime_ns)
        return protocol.attributes(request.unique, self._served.seconds, _shown(node, st))

    def _set_size(self, node: Node, number: int, size: int, valid: int) -> None:
        """`truncate` is a version of its own unless somebody has the file open for writing: then their close is."""
        if size:
            self._served.require_filled(node)
        else:
            self._served.require_emptied(node)
        handle = self._table.handles.get(number)
        own = handle is None or not handle.writable
        if own or handle is None:  # without a name its place is a link of `/proc`, to be followed
            fd = os.open(node.place(), os.O_RDWR | os.O_CLOEXEC | (os.O_NOFOLLOW if node.named else 0))
        else:
            fd = handle.fd
        try:
            st = os.fstat(fd)
            self._served.quota.require(size - st.st_size)
            if own:
                self._notes.before_change(node)
                self._notes.opening(node, fd, st)
            self._served.quota.opened(node, st)
            os.ftruncate(fd, size)
            node.dirty = True
            if valid & protocol.FATTR_KILL_SUIDGID:
                without_privileges(fd, st.st_mode)
            st = os.fstat(fd)
            self._served.quota.measured(node, st)
            if own and node.named and not node.writers:
                self._notes.content(node, os.dup(fd), st)
        finally:
            if own:
                os.close(fd)

    def _set_times(self, node: Node, valid: int, access: tuple[int, int], change: tuple[int, int]) -> None:
        before = self._stat(node)
        now = time.time_ns()
        if valid & protocol.FATTR_ATIME_NOW:
            atime = now
        else:
            atime = _nanoseconds(access) if valid & protocol.FATTR_ATIME else before.st_atime_ns
        if valid & protocol.FATTR_MTIME_NOW:
            mtime = now
        else:
            mtime = _nanoseconds(change) if valid & protocol.FATTR_MTIME else before.st_mtime_ns
        if node.named or not node.handles:
            os.utime(node.place(), ns=(atime, mtime), follow_symlinks=False)
        else:
            os.utime(node.handles[0].fd, ns=(atime, mtime))
        if node.baseline is not None and stat.S_ISREG(
            before.st_mode
        ):  # a time that was set says nothing of the content
            changed = self._notes.is_changed(node, before)
            if node.baseline[0] >= 0:
                self._notes.take_baseline(node, self._stat(node))
            node.dirty = changed or node.dirty

    def access(self, request: Request) -> Reply:
        """`access(2)` where the kernel doesn't check: as ourselves, who are the only user then."""
        wanted = protocol.U32.unpack_from(request.body)[0]
        node = self._table.get(request.node)
        if not os.access(node.place(), wanted & 7, follow_symlinks=not node.named):
            raise OSError(errno.EACCES, "not permitted")
        return protocol.ok(request.unique)

    def statfs(self, request: Request) -> Reply:
        """Size and room: the quota's where there is one, never more than the disk's."""
        st = os.fstatvfs(self._served.root_fd)
        blocks, free, available = st.f_blocks, st.f_bfree, st.f_bavail
        quota = self._served.quota
        if quota.limit is not None:
            unit = st.f_frsize or 4096
            blocks = quota.limit // unit
            free = min(free, max(0, quota.limit - quota.used) // unit)
            available = min(available, free)
        values = (blocks, free, available, st.f_files, st.f_ffree, st.f_bsize, st.f_namemax, st.f_frsize)
        return protocol.statfs(request.unique, values)


def _nanoseconds(at: tuple[int, int]) -> int:
    seconds, nanoseconds = at
    return protocol.signed(seconds) * protocol.SECOND + nanoseconds


def _chown(node: Node, owner: int, group: int) -> None:
    if node.named or not node.handles:
        os.chown(node.place(), owner, group, follow_symlinks=False)
    else:
        os.fchown(node.handles[0].fd, owner, group)


def _chmod(node: Node, mode: int) -> None:
    """Of the node itself: `chmod` would go on to what a link names, which may be anywhere on the host."""
    if node.named or not node.handles:
        reaching.chmod(node.place(), stat.S_IMODE(mode))
    else:
        os.fchmod(node.handles[0].fd, stat.S_IMODE(mode))


def _lose_privileges(node: Node) -> None:
    mode = (os.lstat if node.named else os.stat)(node.place()).st_mode
    if stat.S_ISREG(mode):
        gone = stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0)
        if mode & gone:
            _chmod(node, mode & ~gone)


def _shown(node: Node, st: os.stat_result) -> protocol.Attributes:
    """A file without a name has no links, though it may have one in `pending/` until it is recorded."""
    values = protocol.attributes_of(st)
    if node.named or not st.st_nlink:
        return values
    return (*values[: protocol.NLINK_AT], 0, *values[protocol.NLINK_AT + 1 :])
