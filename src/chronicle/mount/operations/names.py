"""Names: looking up, making, removing, renaming."""

import contextlib
import errno
import os
import stat

from chronicle import reaching
from chronicle.model.paths import MAGIC
from chronicle.mount import host, protocol
from chronicle.mount.channel import Reply
from chronicle.mount.nodes import Node
from chronicle.mount.protocol import Request
from chronicle.mount.served import Handler, Served


class Names:
    """Operations on names in directories."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._table = served.table
        self._notes = served.notes

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {
            protocol.LOOKUP: self.lookup,
            protocol.FORGET: self.forget,
            protocol.BATCH_FORGET: self.forget_many,
            protocol.MKNOD: self.make_special,
            protocol.MKDIR: self.make_directory,
            protocol.UNLINK: self.unlink,
            protocol.RMDIR: self.remove_directory,
            protocol.RENAME: self.rename,
            protocol.RENAME2: self.rename_with_flags,
        }

    def lookup(self, request: Request) -> Reply:
        """Which node a name is; that there is none may be remembered as well."""
        served = self._served
        parent = self._table.by_id.get(request.node) or self._table.get(request.node)
        name = bytes(request.body[:-1])
        if served.worktree is not None:
            served.require_populated(parent)
        try:
            st = os.lstat(parent.place_of(name))
        except FileNotFoundError:
            return protocol.entry(request.unique, 0, served.seconds, protocol.NO_ATTRIBUTES)
        node = self._table.seen(parent, name, st)
        return protocol.entry(request.unique, node.id, served.seconds, protocol.attributes_of(st))

    def forget(self, request: Request) -> None:
        """The kernel dropped a node."""
        self._table.forget(request.node, protocol.U64.unpack_from(request.body)[0])

    def forget_many(self, request: Request) -> None:
        """The kernel dropped several."""
        count = protocol.U32.unpack_from(request.body)[0]
        for node, lookups in protocol.FORGETS.iter_unpack(request.body[8 : 8 + 16 * count]):
            self._table.forget(node, lookups)

    def new_name(self, parent: Node, name: bytes) -> bytes:
        """Where something new is to be made.

        Raises:
            OSError: EPERM for Chronicle's own name.
        """
        if name == MAGIC and parent is self._table.root:
            raise OSError(errno.EPERM, "Chronicle's own name")
        return parent.place_of(name)

    def made(self, request: Request, parent: Node, name: bytes, st: os.stat_result) -> bytes:
        """The reply that tells of something new."""
        node = self._table.seen(parent, name, st)
        node.whole = True
        self._served.quota.came(st.st_mode)
        return protocol.entry(request.unique, node.id, self._served.seconds, protocol.attributes_of(st))

    def make_special(self, request: Request) -> Reply:
        """A fifo, socket, device, or an empty regular file."""
        mode, device = protocol.U32X2.unpack_from(request.body)
        parent, name = self._table.get(request.node), request.name(16)
        place = self.new_name(parent, name)
        self._served.quota.require_entry(mode)
        os.mknod(place, mode, device)
        st = self._served.owned(place, request, parent, mode)
        reply = self.made(request, parent, name, st)
        if stat.S_ISREG(mode):
            node = self._table.by_inode[st.st_ino]
            self._notes.created(node)
            self._notes.content(node, os.open(place, reaching.READ), st)
        else:
            self._notes.change("special", parent.path_of(name), mode=st.st_mode, mtime_ns=st.st_mtime_ns)
        return reply

    def make_directory(self, request: Request) -> Reply:
        """A directory."""
        mode = protocol.U32.unpack_from(request.body)[0]
        parent, name = self._table.get(request.node), request.name(8)
        place = self.new_name(parent, name)
        self._served.quota.require_entry(stat.S_IFDIR)
        try:
            os.mkdir(place, mode)
        except FileExistsError:
            if not request.resent:
                raise
        st = self._served.owned(place, request, parent, stat.S_IFDIR | mode)
        if mode & stat.S_ISVTX and not st.st_mode & stat.S_ISVTX:
            reaching.chmod(place, stat.S_IMODE(st.st_mode | stat.S_ISVTX))
            st = os.lstat(place)
        self._notes.change("mkdir", parent.path_of(name), mode=st.st_mode, mtime_ns=st.st_mtime_ns)
        return self.made(request, parent, name, st)

    def unlink(self, request: Request) -> Reply:
        """Takes a name away."""
        parent, name = self._table.get(request.node), request.name()
        place = parent.place_of(name)
        try:
            st = os.lstat(place)
        except FileNotFoundError:
            if request.resent:
                return protocol.ok(request.unique)
            raise
        node = self._table.by_inode.get(st.st_ino)
        path = parent.path_of(name)
        if node is not None:
            self._notes.name_goes(node, path)
        os.unlink(place)
        self._gone(node, parent, name, st)
        self._notes.change("delete", path)
        return protocol.ok(request.unique)

    def _gone(self, node: Node | None, parent: Node, name: bytes, st: os.stat_result) -> None:
        last = st.st_nlink <= 1 or stat.S_ISDIR(st.st_mode)
        if last:
            self._served.quota.went(st.st_mode)
        if last and stat.S_ISREG(st.st_mode):
            counted = node.accounted if node is not None and node.accounted >= 0 else st.st_size
            if node is not None and node.writers:
                node.accounted = counted  # it holds what it holds until it is closed
            else:
                self._served.quota.changed(counted, 0)
                if node is not None:
                    node.accounted = -1
        if node is not None:
            self._table.removed(node, parent, name, last=last)

    def remove_directory(self, request: Request) -> Reply:
        """Removes an empty directory; one that is hollow gets its entries first, since it only looks empty."""
        parent, name = self._table.get(request.node), request.name()
        place = parent.place_of(name)
        st = os.lstat(place)
        node = self._table.by_inode.get(st.st_ino)
        if node is not None and stat.S_ISDIR(st.st_mode):
            self._served.require_populated(node)
        path = parent.path_of(name)
        os.rmdir(place)
        self._gone(node, parent, name, st)
        self._notes.change("delete", path)
        return protocol.ok(request.unique)

    def rename(self, request: Request) -> Reply:
        """Renames, replacing what is there."""
        return self._rename(request, protocol.U64.unpack_from(request.body)[0], request.names(8), 0)

    def rename_with_flags(self, request: Request) -> Reply:
        """Renames without replacing, or exchanges."""
        directory, flags = protocol.U64.unpack_from(request.body)[0], protocol.U32.unpack_from(request.body, 8)[0]
        if flags & ~(host.RENAME_NOREPLACE | host.RENAME_EXCHANGE):
            raise OSError(errno.EINVAL, "unknown flags")
        if request.resent and flags & host.RENAME_EXCHANGE:  # done or not looks the same, and twice is undone
            raise OSError(errno.EIO, "may have been exchanged already")
        return self._rename(request, directory, request.names(16), flags)

    def _rename(self, request: Request, directory: int, names: tuple[bytes, bytes], flags: int) -> Reply:
        parent, new_parent = self._table.get(request.node), self._table.get(directory)
        name, new_name = names
        source, target = parent.place_of(name), self.new_name(new_parent, new_name)
        try:
            st = os.lstat(source)
        except FileNotFoundError:
            if request.resent:
                return protocol.ok(request.unique)
            raise
        node = self._table.by_inode.get(st.st_ino)
        path, new_path = parent.path_of(name), new_parent.path_of(new_name)
        there = None
        with contextlib.suppress(FileNotFoundError):
            there = os.lstat(target)
        if there is not None and there.st_ino == st.st_ino and not flags:
            return protocol.ok(request.unique)  # two names of one file: POSIX says that nothing happens
        if node is not None:
            self._notes.unsaved(node)
        exchange = bool(flags & host.RENAME_EXCHANGE)
        other = self._table.by_inode.get(there.st_ino) if there is not None else None
        if other is not None and not flags & host.RENAME_NOREPLACE:
            self._before_replaced(other, there, new_path, exchange=exchange)
        if flags:
            host.rename(source, target, flags)
        else:
            os.rename(source, target)
        if exchange:
            self._exchanged((node, parent, name, st), (other, new_parent, new_name, there))
            self._notes.change("exchange", new_path, source=path)
            return protocol.ok(request.unique)
        if there is not None:
            self._gone(other, new_parent, new_name, there)
        if node is not None:
            self._table.renamed(node, (parent, name, new_parent, new_name), directory=stat.S_ISDIR(st.st_mode))
        self._notes.change("rename", new_path, source=path)
        return protocol.ok(request.unique)

    def _before_replaced(self, other: Node, st: os.stat_result | None, path: bytes, *, exchange: bool) -> None:
        if exchange:
            self._notes.unsaved(other)
        elif st is not None and stat.S_ISDIR(st.st_mode):
            self._served.require_populated(other)
        else:
            self._notes.name_goes(other, path)

    def _exchanged(
        self,
        one: tuple[Node | None, Node, bytes, os.stat_result],
        two: tuple[Node | None, Node, bytes, os.stat_result | None],
    ) -> None:
        for (node, parent, name, st), (_, new_parent, new_name, _) in ((one, two), (two, one)):
            if node is not None and st is not None:
                names = (parent, name, new_parent, new_name)
                self._table.renamed(node, names, directory=stat.S_ISDIR(st.st_mode))
