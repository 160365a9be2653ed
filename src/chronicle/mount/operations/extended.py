"""Extended attributes. Chronicle's own are hidden, and access control lists are not offered (the kernel would not obey them)."""

import errno
import os
from typing import Final

from chronicle.mount import protocol
from chronicle.mount.channel import Reply
from chronicle.mount.nodes import Node
from chronicle.mount.protocol import Request
from chronicle.mount.served import Handler, Served

HIDDEN: Final = b"user.chronicle."
CAPABILITY: Final = b"security.capability"
_OFFERED: Final = (b"user.", b"trusted.", b"security.")


class ExtendedAttributes:
    """Operations on extended attributes."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._table = served.table

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {
            protocol.GETXATTR: self.get,
            protocol.SETXATTR: self.set,
            protocol.LISTXATTR: self.list,
            protocol.REMOVEXATTR: self.remove,
        }

    def get(self, request: Request) -> Reply:
        """One value, or its size."""
        size = protocol.U32.unpack_from(request.body)[0]
        name = request.name(8)
        node = self._table.get(request.node)
        if name == CAPABILITY and node.plain:
            return protocol.failed(request.unique, errno.ENODATA)
        if not name.startswith(_OFFERED):
            raise OSError(errno.EOPNOTSUPP, "not offered")
        if name.startswith(HIDDEN):
            raise OSError(errno.ENODATA, "hidden")
        value = os.getxattr(node.place(), name, follow_symlinks=self._follows(request))
        return _sized(request, size, value)

    def _follows(self, request: Request) -> bool:
        """A file without a name is reached through a link in /proc."""
        return not self._table.get(request.node).named

    def set(self, request: Request) -> Reply:
        """Sets one."""
        size, flags = protocol.U32X2.unpack_from(request.body)
        name, _, rest = bytes(request.body[8:]).partition(b"\0")
        _require_settable(name)
        node = self._table.get(request.node)
        node.plain = False
        os.setxattr(node.place(), name, rest[:size], flags, follow_symlinks=self._follows(request))
        self._note(node)
        return protocol.ok(request.unique)

    def list(self, request: Request) -> Reply:
        """All names, or the size of their list."""
        size = protocol.U32.unpack_from(request.body)[0]
        node = self._table.get(request.node)
        names = _visible(os.listxattr(node.place(), follow_symlinks=not node.named))
        return _sized(request, size, b"".join(name + b"\0" for name in names))

    def remove(self, request: Request) -> Reply:
        """Removes one."""
        name = request.name()
        _require_settable(name)
        node = self._table.get(request.node)
        os.removexattr(node.place(), name, follow_symlinks=self._follows(request))
        self._note(node)
        return protocol.ok(request.unique)

    def _note(self, node: Node) -> None:
        if node.named:
            place = node.place()
            names = _visible(os.listxattr(place, follow_symlinks=False))
            values = {name: os.getxattr(place, name, follow_symlinks=False) for name in names}
            self._served.notes.change("xattr", node.path(), xattrs=values)


def _visible(names: list[str]) -> list[bytes]:
    return [name for name in map(os.fsencode, names) if not name.startswith(HIDDEN)]


def _require_settable(name: bytes) -> None:
    if not name.startswith(_OFFERED):
        raise OSError(errno.EOPNOTSUPP, "not offered")
    if name.startswith(HIDDEN):
        raise OSError(errno.EPERM, "Chronicle's own")


def _sized(request: Request, size: int, value: bytes) -> Reply:
    if size == 0:
        return protocol.sized(request.unique, len(value))
    if len(value) > size:
        raise OSError(errno.ERANGE, "too small")
    return protocol.data(request.unique, value)
