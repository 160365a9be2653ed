"""A stream to an instance that survives the loss of its socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final, Self
from uuid import uuid4

import msgspec

from podium.base.tasks import TaskOwner
from podium.client.cursor import Cursor, Verdict
from podium.client.errors import PodiumConnectionError, problem_of_close, unreachable
from podium.client.event import PodiumEvent, read_frame
from podium.client.inbox import Inbox
from podium.client.outbox import Outbox
from podium.client.reconnect import GIVE_UP_SECONDS, SHORT_LIFE_SECONDS, Next, after_close, wait_before
from podium.client.resilience import with_retry
from podium.client.retry import CALLS
from podium.client.socket import Closed, Dial, StreamSocket
from podium.client.timing import Timing
from podium.client.tracing import traceparent
from podium.wire.commands import PROTOCOL, Ack, Command, Connected, Ping, ProcessMessage
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import FRAME_MAX_BYTES

FIRST_FRAME_SECONDS: Final = 30.0
"""How long the server may take to say `connected`."""

ACK_SECONDS: Final = 30.0
"""How long a command waits for its acknowledgement, reconnects included."""


class PodiumConnection:
    """Made by `PodiumClient.connect`; `close` it, or use it as an async context manager.

    Every event after the starting point is delivered exactly once and in order, over any number of reconnects.
    A command is sent again until it is acknowledged; its id makes that harmless.
    """

    def __init__(self, dial: Dial, instance_id: str, after: int | None, timing: Timing) -> None:
        self.instance_id = instance_id
        self.info: Connected | None = None
        """What the server said when the current socket was opened."""
        self.reconnects = 0
        self._began_at = 0
        """How often the socket was replaced."""
        self._dial = dial
        self._timing = timing
        self._cursor = Cursor(after)
        self._inbox = Inbox()
        self._outbox = Outbox(instance_id)
        self._socket: StreamSocket | None = None
        self._online = asyncio.Event()
        self._tasks = TaskOwner(f"stream-{instance_id}")
        self._ended: PodiumConnectionError | None = None

    # ── public ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def events(self) -> AsyncIterator[PodiumEvent]:
        """The events, for one reader. Ends when closed; raises `PodiumConnectionError` when the stream can't go on."""
        return self._inbox

    @property
    def last_seq(self) -> int:
        """Number of the newest event that was read from `events`; `connect(…, after=last_seq)` continues behind it."""
        return self._inbox.last_seq or self._began_at

    async def open(self) -> "PodiumConnection":
        """Opens the first socket; called by `PodiumClient.connect`."""
        socket = await with_retry(CALLS, self._timing, self._open)
        self._tasks.start(self._run(socket), "read")
        return self

    async def send_message(self, content: str, metadata: dict[str, Any] | None = None) -> Ack:
        """Sends a user message; returns when it is durable."""
        return await self.send(ProcessMessage(content={**(metadata or {}), "text": content}))

    async def send(self, command: Command, seconds: float = ACK_SECONDS) -> Ack:
        """Sends a command and waits for its acknowledgement. A command without an id gets a unique one, and
        one without a trace the current one.

        Raises:
            PodiumConnectionError: it was refused (`nack`), is too large, the stream ended, or no answer came in time;
                in the last case it may have been done.
        """
        named = command if command.id else msgspec.structs.replace(command, id=f"cmd-{uuid4().hex}")
        if not isinstance(named, Ping) and named.traceparent is None and (current := traceparent()):
            named = msgspec.structs.replace(named, traceparent=current)
        frame = msgspec.json.encode(named).decode()
        self._check_frame(frame)
        future = self._outbox.add(named.id or "", frame)
        self._inbox.room.set()
        if self._socket is not None and self._online.is_set():
            await self._socket.send(frame)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError as error:
            raise self._unanswered(f"no acknowledgement within {seconds:.0f} s", error) from error

    async def send_raw(self, data: str) -> None:
        """Sends a frame as it is, once. An answer to it comes as an event without a number.

        Raises:
            PodiumConnectionError: too large, the stream ended, or there is no connection within 30 s.
        """
        self._check_frame(data)
        try:
            async with asyncio.timeout(ACK_SECONDS):
                await self._online.wait()
        except TimeoutError as error:
            raise self._unanswered("not connected", error) from error
        if self._ended is not None or self._socket is None:
            raise self._ended or self._unanswered("the connection is closed", None)
        await self._socket.send(data)

    async def close(self) -> None:
        """Closes the stream; commands that still wait fail."""
        self._end(self._unanswered("the connection was closed", None), quietly=True)
        await self._tasks.close()
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── sockets come and go ──────────────────────────────────────────────────────────────────────────────────

    async def _run(self, socket: StreamSocket) -> None:
        short_lives = 0
        try:
            while True:
                began = self._timing.monotonic()
                closed = await self._use(socket)
                await socket.close()
                lived = self._timing.monotonic() - began
                short_lives = short_lives + 1 if lived < SHORT_LIFE_SECONDS else 0
                socket = await self._reopen(closed, short_lives)
                self.reconnects += 1
        except PodiumConnectionError as error:
            self._end(error)

    async def _use(self, socket: StreamSocket) -> Closed:
        """Reads a socket until it ends."""
        self._socket = socket
        self._online.set()
        for frame in self._outbox.frames():
            await socket.send(frame)
        try:
            while True:
                await self._until_wanted()
                frame_or_end = await socket.receive()
                if isinstance(frame_or_end, Closed):
                    return frame_or_end
                if not self._receive(frame_or_end):
                    return Closed(None, "an event was missing")
        finally:
            self._online.clear()

    async def _until_wanted(self) -> None:
        """Waits while nobody reads events, unless a command waits for its acknowledgement."""
        while self._inbox.full and not self._outbox:
            self._inbox.room.clear()
            await self._inbox.room.wait()

    def _receive(self, frame: str | bytes) -> bool:
        """Takes one frame; False when the stream has a gap and must be resumed."""
        try:
            event = read_frame(frame)
        except msgspec.DecodeError:
            # A frame that is no event says nothing we could act on; the next one may.
            return True
        if event.message_type in _ANSWERS and self._outbox.settle(event):
            return True
        verdict = self._cursor.take(event)
        if verdict is Verdict.DELIVER:
            self._inbox.put(event)
        return verdict is not Verdict.GAP

    async def _reopen(self, closed: Closed, short_lives: int) -> StreamSocket:
        following = after_close(closed.code)
        error = self._lost(closed)
        started = self._timing.monotonic()
        attempt = max(1, short_lives)
        while following is not Next.END and self._timing.monotonic() - started < GIVE_UP_SECONDS:
            await self._timing.sleep(wait_before(attempt, following, self._timing.chance()))
            try:
                return await self._open()
            except PodiumConnectionError as failure:
                if not failure.retryable:
                    raise
                error, attempt, following = failure, attempt + 1, Next.LATER
        raise error

    async def _open(self) -> StreamSocket:
        """A socket whose server has said `connected`."""
        socket = await self._dial(self.instance_id, self._cursor.seq)
        try:
            async with asyncio.timeout(FIRST_FRAME_SECONDS):
                first = await socket.receive()
            self._greet(first)
        except TimeoutError as error:
            await socket.close()
            raise unreachable("connect", f"no greeting within {FIRST_FRAME_SECONDS:.0f} s", error) from error
        except BaseException:
            # Whatever it was, also a cancellation: the socket must not be left open.
            with suppress(OSError):
                await socket.close()
            raise
        return socket

    def _greet(self, first: str | bytes | Closed) -> None:
        if isinstance(first, Closed):
            raise self._lost(first)
        try:
            event = read_frame(first)
            info = msgspec.convert(event.content, Connected)
        except msgspec.DecodeError as error:
            raise unreachable("connect", "the server did not greet with `connected`", error) from error
        if info.protocol != PROTOCOL:
            problem = PodiumError(
                ErrorCode.INVALID_REQUEST, f"the server speaks protocol {info.protocol}, not {PROTOCOL}"
            )
            raise PodiumConnectionError("connect", problem, instance_id=self.instance_id)
        self.info = info
        self._cursor.begin(info.last_seq)
        if not self.reconnects:
            self._began_at = self._cursor.seq or 0

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self, error: PodiumConnectionError, *, quietly: bool = False) -> None:
        self._ended = self._ended or error
        self._outbox.fail(error)
        self._inbox.close(None if quietly else error)
        self._online.set()

    def _lost(self, closed: Closed) -> PodiumConnectionError:
        problem = problem_of_close(closed.code, closed.reason)
        return PodiumConnectionError("connect", problem, instance_id=self.instance_id, status=None)

    def _unanswered(self, detail: str, cause: BaseException | None) -> PodiumConnectionError:
        problem = PodiumError(ErrorCode.UNREACHABLE, detail)
        return PodiumConnectionError("send", problem, instance_id=self.instance_id, cause=cause)

    def _check_frame(self, frame: str) -> None:
        if self._ended is not None:
            raise self._ended
        if len(frame.encode()) > FRAME_MAX_BYTES:
            problem = PodiumError(ErrorCode.MESSAGE_TOO_LARGE, f"a frame holds at most {FRAME_MAX_BYTES} bytes")
            raise PodiumConnectionError("send", problem, instance_id=self.instance_id)


_ANSWERS: Final = frozenset({"ack", "nack", "pong"})
