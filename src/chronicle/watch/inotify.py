"""The kernel's notifications about directories (inotify(7)), through ctypes: no more of it than the backend needs."""

import ctypes
import errno
import os
import select
import struct
from typing import Final, NamedTuple

from chronicle.model.errors import NotSupportedError

MODIFY: Final = 0x2
ATTRIB: Final = 0x4
CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
IS_DIRECTORY: Final = 0x40000000
"""Bits of an event (`<sys/inotify.h>`)."""

_ONLY_DIRECTORY: Final = 0x1000000
_DONT_FOLLOW: Final = 0x2000000
_EXCLUDE_UNLINKED: Final = 0x4000000
_WATCHED: Final = (MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE) | (
    _ONLY_DIRECTORY | _DONT_FOLLOW | _EXCLUDE_UNLINKED
)

_EVENT: Final = struct.Struct("=iIII")
_BUFFER_BYTES: Final = 256 << 10

_libc = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """What happened to `name` in the directory of the watch. `cookie` pairs the two halves of a rename."""

    watch: int
    mask: int
    cookie: int
    name: bytes


class Inotify:
    """One queue of notifications; its events are in the order in which things happened, over all watched directories."""

    def __init__(self) -> None:
        """Raises `NotSupportedError` when the host gives no (more) queues."""
        self.fd: int = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0:
            code = ctypes.get_errno()
            raise NotSupportedError(f"no notifications: {os.strerror(code)} (fs.inotify.max_user_instances)")

    def watch(self, directory: bytes) -> int:
        """Watches a directory; the same number again when it is watched already.

        Raises:
            NotSupportedError: there are too many watches.
            OSError: it is gone, or no directory.
        """
        number: int = _libc.inotify_add_watch(self.fd, directory, _WATCHED)
        if number < 0:
            code = ctypes.get_errno()
            if code == errno.ENOSPC:
                raise NotSupportedError("too many directories to watch: raise fs.inotify.max_user_watches")
            raise OSError(code, os.strerror(code), os.fsdecode(directory))
        return number

    def forget(self, watch: int) -> None:
        """Ends a watch; one that is gone already does no harm."""
        _libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Event]:
        """What has happened since the last call; empty when nothing has."""
        found: list[Event] = []
        while True:
            try:
                data = os.read(self.fd, _BUFFER_BYTES)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                watch, mask, cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                found.append(Event(watch, mask, cookie, data[at : at + length].rstrip(b"\0")))
                at += length

    def wait(self, seconds: float) -> bool:
        """Whether something happens within so many seconds."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Ends all watches."""
        os.close(self.fd)
