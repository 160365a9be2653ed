"""The answering side: one loop over a listening socket and its connections, and over whatever else its owner has to look at."""

import collections
import contextlib
import errno
import heapq
import itertools
import logging
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from chronicle.control.failures import Failure, failure_of
from chronicle.control.messages import MESSAGE_BYTES, PUSHED_AT_ONCE, Follow, answer, pushed, refusal
from chronicle.control.sockets import may_talk
from chronicle.model.errors import ChronicleError
from chronicle.model.iterations import Iteration

_log = logging.getLogger(__name__)

UNREAD_BYTES: Final = 8 * 1024 * 1024
"""Answers that a peer may leave unread before its connection is given up."""

FAREWELL_SECONDS: Final = 1.0
"""How long answers that were given are still being sent when the loop ends."""

REST_SECONDS: Final = 0.2
"""How long a descriptor is not looked at after what was to be done about it failed; it may still be readable, and fail again."""

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

R = TypeVar("R", bound=msgspec.Struct)


class Feed(Protocol):
    """What followers are given."""

    @property
    def head(self) -> int:
        """The newest iteration."""

    def log(self, *, after: int, limit: int) -> list[Iteration]:
        """The next iterations after `after`."""


class _Connection:
    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.cursor: int | None = None
        self.open = True


class _Timer(NamedTuple):
    when: float
    number: int
    work: Callable[[], None]


class Reply:
    """The way back for one request: `good` or `bad`, once, from any thread. A peer that left is no error."""

    def __init__(self, server: "Server[R]", connection: _Connection, number: int) -> None:
        self._server = server
        self._connection = connection
        self._number = number

    def good(self, value: object) -> None:
        """The request was carried out."""
        self._say(answer(self._number, value))

    def bad(self, error: BaseException) -> None:
        """It was not."""
        failure = failure_of(error)
        if failure.code == "internal":
            _log.error("a request failed", exc_info=error)
        self._say(refusal(self._number, failure))

    def _say(self, words: bytes) -> None:
        self._server.post(lambda: self._server.say(self._connection, words))


class Server(Generic[R]):
    """Answers requests of type `R`. `handle(request, reply)` is called in the loop and must not take long: what does replies later.

    `feed` serves `follow` requests; call `recorded` (from any thread) when there is more. `post` and `stop` may be called from any
    thread, everything else in the loop only.
    """

    def __init__(
        self,
        listener: socket.socket,
        decoder: msgspec.json.Decoder[R],
        handle: Callable[[R, Reply], None],
        feed: Feed | None = None,
    ) -> None:
        self._listener = listener
        self._decoder = decoder
        self._handle = handle
        self._feed = feed
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._timers: list[_Timer] = []
        self._resting: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._stopping = False
        self.look_at(self._wake_receiver.fileno(), self._woken)
        self.look_at(listener.fileno(), self._accept)

    # --- from any thread

    def post(self, work: Callable[[], None]) -> None:
        """Has `work` done in the loop."""
        self._posted.append(work)
        with contextlib.suppress(BlockingIOError, OSError):  # full: it wakes anyway; closed: nobody is there to wake
            self._wake_sender.send(b"\0")

    def recorded(self) -> None:
        """There is more for followers."""
        self.post(self._feed_all)

    def stop(self) -> None:
        """Ends the loop."""
        self.post(self._stop)

    # --- in the loop

    def look_at(self, descriptor: int, work: Callable[[], None]) -> None:
        """Has `work` done whenever the descriptor can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, work)

    def look_away(self, descriptor: int) -> None:
        """Ends that."""
        if self._resting.pop(descriptor, None) is None:
            self._selector.unregister(descriptor)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Has `work` done once, after `seconds`."""
        heapq.heappush(self._timers, _Timer(time.monotonic() + seconds, next(self._numbers), work))

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    def run(self) -> None:
        """Serves until stopped, then closes everything, the listener too."""
        try:
            while not self._stopping:
                self._step()
            self._farewell()
        finally:
            self.close()

    def close(self) -> None:
        """Closes everything at once. For processes that were forked and don't serve; else `run` does it."""
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        self._listener.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _step(self) -> None:
        timeout = None if not self._timers else max(0.0, self._timers[0].when - time.monotonic())
        for key, events in self._selector.select(timeout):
            if isinstance(key.data, _Connection):
                self._serve_safely(key.data, events)
            elif self._selector.get_map().get(key.fd) is not key:
                continue  # what came before ended it
            elif not _done(key.data):
                self._rest(key.fd, key.data)
        while self._timers and self._timers[0].when <= time.monotonic():
            _done(heapq.heappop(self._timers).work)

    def _rest(self, descriptor: int, work: Callable[[], None]) -> None:
        """Looks at the descriptor again a little later, unless that is ended meanwhile."""
        if descriptor not in self._selector.get_map():
            return
        self._selector.unregister(descriptor)
        self._resting[descriptor] = work

        def look_again() -> None:
            if self._resting.get(descriptor) is work:
                del self._resting[descriptor]
                self.look_at(descriptor, work)

        self.later(REST_SECONDS, look_again)

    def _stop(self) -> None:
        self._stopping = True

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_receiver.recv(4096)
        while self._posted:
            _done(self._posted.popleft())

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:  # it goes on waiting, and is heard when there is
                self._rest(self._listener.fileno(), self._accept)
            return  # otherwise it left again
        if not may_talk(accepted):
            accepted.close()
            return
        accepted.setblocking(False)
        connection = _Connection(accepted)
        self._connections.add(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _serve_safely(self, connection: _Connection, events: int) -> None:
        if not connection.open:
            return
        try:
            self._serve(connection, events)
        except Exception:  # noqa: BLE001 - one connection must not end the loop for the others
            _log.exception("a connection fails and is given up")
            self._drop(connection)

    def _serve(self, connection: _Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._send(connection)
        if events & selectors.EVENT_READ and connection.open:
            self._receive(connection)

    def _receive(self, connection: _Connection) -> None:
        try:
            piece = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._drop(connection)
            return
        connection.incoming += piece
        while connection.open and (cut := connection.incoming.find(b"\n")) >= 0:
            whole = bytes(connection.incoming[:cut])
            del connection.incoming[: cut + 1]
            self._request(connection, whole)
        if len(connection.incoming) > MESSAGE_BYTES:
            self._drop(connection)

    def _request(self, connection: _Connection, raw: bytes) -> None:
        try:
            request = self._decoder.decode(raw)
        except msgspec.DecodeError as error:
            self.say(connection, refusal(_number_in(raw), Failure("invalid_input", f"not a request: {error}")))
            return
        reply = Reply(self, connection, getattr(request, "id", 0))
        try:
            if isinstance(request, Follow) and self._feed is not None:
                connection.cursor = request.after
                self.say(connection, answer(request.id, self._feed.head))
                self._feed_one(connection)
            else:
                self._handle(request, reply)
        except Exception as error:  # noqa: BLE001 - told to who asked; a request must not end the loop
            reply.bad(error)

    def say(self, connection: _Connection, words: bytes) -> None:
        """Sends a line to a peer, as soon as it takes it."""
        if not connection.open:
            return
        if len(connection.outgoing) > UNREAD_BYTES:
            self._drop(connection)
            return
        connection.outgoing += words
        self._send(connection)

    def _send(self, connection: _Connection) -> None:
        try:
            while connection.outgoing:
                del connection.outgoing[: connection.socket.send(connection.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outgoing else 0)
        if self._selector.get_key(connection.socket).events != wanted:
            self._selector.modify(connection.socket, wanted, connection)
        if connection.cursor is not None and not connection.outgoing:
            self.post(lambda: self._feed_one(connection))

    def _feed_all(self) -> None:
        for connection in [one for one in self._connections if one.cursor is not None]:
            self._feed_one(connection)

    def _feed_one(self, connection: _Connection) -> None:
        """The next iterations for one follower, unless it has not taken the last ones yet."""
        if self._feed is None or connection.cursor is None or connection.outgoing or not connection.open:
            return
        try:
            found = self._feed.log(after=connection.cursor, limit=PUSHED_AT_ONCE)
        except ChronicleError as error:
            self.say(connection, refusal(None, failure_of(error)))
            connection.cursor = None
            return
        if found:
            connection.cursor = found[-1].iteration
            self.say(connection, pushed(found))

    def _drop(self, connection: _Connection) -> None:
        if connection.open:
            connection.open = False
            self._connections.discard(connection)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection.socket)
            connection.socket.close()

    def _farewell(self) -> None:
        """What was answered goes out, to those who take it."""
        end = time.monotonic() + FAREWELL_SECONDS
        while any(connection.outgoing for connection in self._connections) and time.monotonic() < end:
            for key, events in self._selector.select(max(0.0, end - time.monotonic())):
                if isinstance(key.data, _Connection) and events & selectors.EVENT_WRITE:
                    self._send(key.data)


def _done(work: Callable[[], None]) -> bool:
    """Does it; False when it failed. Nothing that is done for one may end the loop, which others need."""
    try:
        work()
    except Exception:  # noqa: BLE001 - see above
        _log.exception("something failed in the loop that answers")
        return False
    return True


class _Numbered(msgspec.Struct):
    id: int | None = None


def _number_in(raw: bytes) -> int | None:
    try:
        return msgspec.json.decode(raw, type=_Numbered).id
    except msgspec.DecodeError:
        return None
