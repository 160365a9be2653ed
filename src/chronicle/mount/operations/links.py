"""Links: symbolic and hard."""

import os
import stat

from chronicle.mount import protocol
from chronicle.mount.channel import Reply
from chronicle.mount.operations.names import Names
from chronicle.mount.protocol import Request
from chronicle.mount.served import Handler, Served


class Links:
    """Operations on links."""

    def __init__(self, served: Served, names: Names) -> None:
        self._served = served
        self._names = names
        self._table = served.table
        self._notes = served.notes

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {protocol.SYMLINK: self.symlink, protocol.READLINK: self.readlink, protocol.LINK: self.link}

    def symlink(self, request: Request) -> Reply:
        """Makes a symbolic link."""
        parent = self._table.get(request.node)
        name, target = request.names()
        place = self._names.new_name(parent, name)
        self._served.quota.require_entry(stat.S_IFLNK)
        os.symlink(target, place)
        st = self._served.owned(place, request, parent, stat.S_IFLNK)
        self._notes.change("symlink", parent.path_of(name), mode=st.st_mode, target=target, mtime_ns=st.st_mtime_ns)
        return self._names.made(request, parent, name, st)

    def readlink(self, request: Request) -> Reply:
        """Where one points."""
        return protocol.data(request.unique, os.readlink(self._table.get(request.node).place()))

    def link(self, request: Request) -> Reply:
        """A further name for a file, or the first one of a file made by `O_TMPFILE`."""
        node = self._table.get(protocol.U64.unpack_from(request.body)[0])
        parent, name = self._table.get(request.node), request.name(8)
        place = self._names.new_name(parent, name)
        path = parent.path_of(name)
        if node.named:
            self._notes.unsaved(node)
            source = node.path()
            os.link(node.place(), place, follow_symlinks=False)
            self._table.linked(node, parent, name)
            self._notes.change("link", path, source=source)
        else:
            os.link(
                node.place(), place, src_dir_fd=self._served.root_fd
            )  # a directory given: only then links are followed
            self._table.linked(node, parent, name)
            self._named_at_last(node.id)
        st = os.lstat(place)
        node.lookups += 1
        self._served.remember(node)
        return protocol.entry(request.unique, node.id, self._served.seconds, protocol.attributes_of(st))

    def _named_at_last(self, number: int) -> None:
        """A file without a name got one: it is new, and noted when it is closed."""
        node = self._table.get(number)
        self._notes.created(node)
        for handle in (node.handles or [])[:1]:
            st = os.fstat(handle.fd)
            self._served.quota.came(st.st_mode)
            self._served.quota.measured(node, st)
            self._notes.content_while_open(node, handle.fd, st)
