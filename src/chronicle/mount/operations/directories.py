"""Directories: listing. Offsets are those of the file system below, so nothing is remembered between requests."""

import os
from typing import Final

from chronicle import reaching
from chronicle.mount import host, protocol
from chronicle.mount.channel import Reply
from chronicle.mount.nodes import Node
from chronicle.mount.notes import Later
from chronicle.mount.protocol import Request
from chronicle.mount.served import Handler, Served

_DOTS: Final = (b".", b"..")


class Directories:
    """Operations on directories."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._table = served.table

    def handlers(self) -> dict[int, Handler]:
        """By opcode. OPENDIR is not answered: a directory's listing needs no open one."""
        return {
            protocol.READDIR: self.read,
            protocol.READDIRPLUS: self.read_with_attributes,
            protocol.FSYNCDIR: self.fsync,
        }

    def read(self, request: Request) -> Reply:
        """Names."""
        node, offset, size = self._wanted(request)
        parts = []
        for entry in host.list_directory(node.place(), offset, size):
            size -= protocol.directory_entry_bytes(entry.name, plus=False)
            if size < 0:
                break
            parts.append(protocol.directory_entry(entry.inode, entry.offset, entry.kind, entry.name))
        return protocol.data(request.unique, b"".join(parts))

    def read_with_attributes(self, request: Request) -> Reply:
        """Names with their nodes and attributes, so that the kernel need not look them up one by one."""
        node, offset, size = self._wanted(request)
        parts = []
        for entry in host.list_directory(node.place(), offset, size // 4):
            size -= protocol.directory_entry_bytes(entry.name, plus=True)
            if size < 0:
                break
            number, values = self._seen(node, entry)
            parts.append(
                protocol.directory_entry_plus(
                    number, self._served.seconds, values, entry.offset, entry.kind, entry.name
                )
            )
        return protocol.data(request.unique, b"".join(parts))

    def _wanted(self, request: Request) -> tuple[Node, int, int]:
        _, offset, size = protocol.READ_IN.unpack_from(request.body)
        node = self._table.get(request.node)
        self._served.require_populated(node)
        return node, offset, size

    def _seen(self, parent: Node, entry: host.DirectoryEntry) -> tuple[int, protocol.Attributes]:
        if entry.name not in _DOTS:
            try:
                st = os.lstat(parent.place_of(entry.name))
            except OSError:
                pass  # it went meanwhile; its name may still be listed
            else:
                return self._table.seen(parent, entry.name, st).id, protocol.attributes_of(st)
        return 0, (entry.inode, *protocol.NO_ATTRIBUTES[1:])

    def fsync(self, request: Request) -> Reply:
        """Names to disk, on a helper thread."""
        if not request.prepared:
            fd = os.open(self._table.get(request.node).place(), reaching.LIST)
            raise Later(lambda: _fsync_and_close(fd))
        return protocol.ok(request.unique)


def _fsync_and_close(fd: int) -> None:
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
