"""The way requests come and replies go. `DeviceChannel` reads and writes `/dev/fuse`; another transport has the same face."""

import errno
import os
from collections.abc import Sequence
from typing import Final, Protocol

from chronicle.mount.protocol import Request

Reply = bytes | tuple[bytes, bytes]
"""A whole reply, or its header and its data apart (large reads are not copied together)."""

_AGAIN: Final = frozenset({errno.EINTR, errno.EAGAIN, errno.ENOENT})
"""The request was taken back while we read it, or nothing was there yet."""

_OVER: Final = frozenset({errno.ENODEV, errno.ECONNABORTED, errno.EBADF})
"""Unmounted, or cut off by `/sys/fs/fuse/connections/…/abort`."""

_HEAD_BYTES: Final = 4096
"""Room for headers beside the data of a write."""


class Channel(Protocol):
    """Where requests come from."""

    def receive(self) -> Request | None:
        """The next request; its body lives until the next call. None: the mount is gone. Only the protocol thread calls it."""

    def reply(self, reply: Reply) -> None:
        """Answers; any thread. A request nobody waits for any more is no error."""


class DeviceChannel:
    """`/dev/fuse` by `readv(2)` and `writev(2)`: one system call for each message."""

    def __init__(self, device: int, max_write: int) -> None:
        self.device = device
        self._buffer = bytearray(max_write + _HEAD_BYTES)
        self._buffers: Sequence[bytearray] = [self._buffer]

    def receive(self) -> Request | None:
        """The next request."""
        while True:
            try:
                return Request(self._buffer, os.readv(self.device, self._buffers))
            except OSError as error:
                if error.errno in _AGAIN:
                    continue
                if error.errno in _OVER:
                    return None
                raise

    def reply(self, reply: Reply) -> None:
        """Answers."""
        try:
            if type(reply) is tuple:
                os.writev(self.device, reply)
            else:
                os.write(self.device, reply)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in _AGAIN and error.errno not in _OVER:
                raise
