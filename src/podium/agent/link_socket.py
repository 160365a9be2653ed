"""Bytes over the agent's socket, without waiting: what can't be sent yet is kept, and the sender told to pause.

A fraction of what an asyncio transport is: an idle agent's memory is counted in pages touched.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from podium.wire.limits import LINK_AHEAD_MAX_BYTES

READ_BYTES: Final = 64 * 1024
"""Read at once."""

RESUME_BYTES: Final = LINK_AHEAD_MAX_BYTES // 4
"""A paused sender goes on when no more than this is unsent."""


class LinkSocket:
    """Owns a connected socket. `received` gets bytes, `lost` is called once when the peer is gone."""

    def __init__(self, link: socket.socket, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        link.setblocking(False)
        self._socket = link
        self._received = received
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self.writable = asyncio.Event()
        self.writable.set()
        self._loop.add_reader(link.fileno(), self._read)

    def unsent(self) -> int:
        """Bytes the kernel has not taken yet."""
        return self._size

    def write(self, data: bytes) -> None:
        """Sends `data`, now or when there is room; what is written after the end is thrown away."""
        if self._closed or not data:
            return
        if not self._unsent:
            data = data[self._send(data) :]
            if not data or self._closed:
                return
            self._loop.add_writer(self._socket.fileno(), self._write)
        self._unsent.append(data)
        self._size += len(data)
        if self._size > LINK_AHEAD_MAX_BYTES:
            self.writable.clear()

    async def drained(self) -> None:
        """Waits until nothing is unsent, or the peer is gone."""
        while self._size and not self._closed:
            self.writable.clear()
            await self.writable.wait()

    def close(self) -> None:
        """Closes the socket; what is unsent is lost."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._unsent.clear()
        self._size = 0
        self.writable.set()

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._received(data)
        else:
            self._end()

    def _write(self) -> None:
        while self._unsent and not self._closed:
            sent = self._send(self._unsent[0])
            self._size -= sent
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
                break
            self._unsent.popleft()
        if self._closed:
            return
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())
        if self._size <= RESUME_BYTES:
            self.writable.set()

    def _send(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._end()
            return 0

    def _end(self) -> None:
        if not self._closed:
            self.close()
            self._lost()
