"""The asking side: calls over a Unix socket, thread-safe, and a stream of iterations."""

import contextlib
import itertools
import select
import socket
import threading
import time
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from chronicle.control.failures import error_of
from chronicle.control.messages import MESSAGE_BYTES, Answer, Follow, Request, line
from chronicle.control.sockets import connect
from chronicle.model.errors import ChronicleError, StorageError
from chronicle.model.iterations import Iteration

CONNECT_SECONDS: Final = 5.0
"""A listener on this host accepts within microseconds; more means it is stopped."""

CALL_SECONDS: Final = 60.0
"""How long a call may take unless it says otherwise. Restores of large trees are given more."""

_KEPT: Final = 4
"""Idle connections kept for the next calls."""

T = TypeVar("T")
_answers = msgspec.json.Decoder(Answer)


class NobodyThereError(ChronicleError):
    """Nobody listens at the socket, or who did ended before the request was sent: nothing was done."""


class UnansweredError(StorageError):
    """Who was asked ended before it answered: the request may have been carried out, or not."""


class Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = bytearray()

    def send(self, message: Request) -> None:
        """Sends a request."""
        try:
            self._socket.sendall(line(message))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise NobodyThereError(str(error)) from error

    def receive(self, timeout: float | None) -> Answer | None:
        """The next line; None at the end of the connection.

        Raises:
            TimeoutError: none came within `timeout` seconds. The connection can be used on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (cut := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MESSAGE_BYTES:
                raise StorageError("the other side of the control socket sends no lines")
            self._socket.settimeout(None if end is None else max(0.0, end - time.monotonic()) or 0.000001)
            try:
                piece = self._socket.recv(65536)
            except ConnectionResetError:
                return None
            if not piece:
                return None
            self._buffer += piece
        whole = bytes(self._buffer[:cut])
        del self._buffer[: cut + 1]
        return _answers.decode(whole)

    @property
    def stale(self) -> bool:
        """Whether the other side has ended it (or said something nobody asked for)."""
        # Not select(): that takes no descriptor above 1023, which a process with some hundred workspaces has.
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def shut(self) -> None:
        """Wakes a thread that waits in `receive`, which then sees the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives the connection back."""
        self._socket.close()


class Client:
    """Calls to whoever listens at `path`. Thread-safe. Connections are made when needed and kept for the next call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """An id for the next request."""
        return next(self._numbers)

    def reachable(self) -> bool:
        """Whether somebody listens."""
        try:
            self._back(self._connection())
        except NobodyThereError:
            return False
        return True

    def call(self, request: Request, kind: type[T], timeout: float = CALL_SECONDS) -> T:
        """Asks, waits, and returns what was answered.

        Raises:
            NobodyThereError: nobody listens; nothing was done.
            UnansweredError: the other side ended before it answered; the request may have been carried out.
            TimeoutError: no answer within `timeout` seconds.
            ChronicleError: what the other side answered.
        """
        connection = self._connection()
        try:
            connection.send(request)
            received = connection.receive(timeout)
        except BaseException:
            connection.close()
            raise
        if received is None:
            connection.close()
            raise UnansweredError(f"the process behind {self.path} ended before it answered")
        self._back(connection)
        if received.error is not None:
            raise error_of(received.error)
        return msgspec.json.decode(received.ok, type=kind)

    def follow(self, after: int) -> "Following":
        """A stream of the iterations after `after`. Raises NobodyThereError."""
        connection = self._connection()
        try:
            connection.send(Follow(self.number(), after))
        except BaseException:
            connection.close()
            raise
        return Following(connection)

    def close(self) -> None:
        """Gives all idle connections back. The client can be used on."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self) -> Connection:
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            if kept is None:
                break
            if not kept.stale:
                return kept
            kept.close()
        made = connect(self.path, CONNECT_SECONDS)
        if made is None:
            raise NobodyThereError(f"nobody listens at {self.path}")
        return Connection(made)

    def _back(self, connection: Connection) -> None:
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()


class Following:
    """Iterations pushed by the holder of a workspace, in order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wait(self, timeout: float) -> list[Iteration] | None:
        """The next iterations; [] when none came within `timeout` seconds; None when the holder ended."""
        try:
            received = self._connection.receive(timeout)
        except TimeoutError:
            return []
        if received is None:
            return None
        if received.error is not None:
            raise error_of(received.error)
        return received.iterations or []

    def shut(self) -> None:
        """Wakes who waits; that one sees the end."""
        self._connection.shut()

    def close(self) -> None:
        """Ends the stream."""
        self._connection.close()
