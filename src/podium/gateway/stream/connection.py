"""One client's connection: admitted, attached to its instance, attached again when the coordinator is lost, closed.

```
ADMITTING ──► LIVE ◄──► LOST (attaching again)
    │           │          │
    └───────────┴──────────┴──► CLOSING ──► over
```
"""

import asyncio
import os
from enum import Enum, auto
from typing import Final, Protocol, cast

from podium.base.clock import Clock
from podium.base.tasks import TaskOwner
from podium.gateway.domain.client_frames import ClientFrames, FrameTooLargeError, Message
from podium.gateway.domain.frames import close_code, close_frame, pong_frame
from podium.gateway.domain.handshake import Answered, Opening
from podium.gateway.domain.recovery import Recovery, RefusedError, UnfinishableError
from podium.gateway.domain.stream_tail import MARK_BYTES, ResumePoint, StreamTail
from podium.gateway.stream.upstream import BUFFER_BYTES, Upstream
from podium.wire.close import CloseCode
from podium.wire.errors import PodiumError

QUEUE_MAX_BYTES: Final = 1024 * 1024
"""What a client may send while its coordinator is away; beyond, it is not read."""

CLOSE_SECONDS: Final = 2.0
"""How long a client may take to answer a close frame, and a frame under way to become whole before one is sent."""

RECOVER_SECONDS: Final = 10.0
"""How long a new connection may take to reach the point where the old one broke."""

IDLE_TAIL_BYTES: Final = 4096
"""A connection on which nothing came lately keeps no more than this of what it was given."""

FIRST_PAUSE_SECONDS: Final = 0.02
LAST_PAUSE_SECONDS: Final = 0.5
"""Pauses between tries to attach again: from the first, doubled, up to the last."""

_MOVING: Final = frozenset({CloseCode.MOVING, CloseCode.TRY_LATER, CloseCode.INTERNAL})
"""Close codes of a coordinator that is going away or not back yet: attaching is tried again."""


class Phase(Enum):
    """Where a connection is in its life."""

    ADMITTING = auto()
    LIVE = auto()
    LOST = auto()
    CLOSING = auto()
    OVER = auto()


class Plan(Protocol):
    """How a connection gets to its coordinator, and whom it tells."""

    @property
    def reattach_seconds(self) -> float:
        """How long attaching again may take."""
        ...

    async def admit(self, opening: Opening) -> None:
        """Checks who is there and what it may see.

        Raises:
            PodiumError: the client is told by a close code.
        """
        ...

    async def dial(self, upstream: Upstream, after: int | None, mark: bytes, *, first: bool) -> Answered:
        """Connects `upstream` to the coordinator of the instance; its answer is a 101.

        Raises:
            PodiumError: it can't be had; a retryable one may come right.
        """
        ...

    async def may_come_right(self, error: PodiumError) -> bool:
        """Whether a coordinator that could not be had at first may be had within seconds, for its agents go on elsewhere."""
        ...

    def reattached(self) -> None:
        """The coordinator was lost and found again."""
        ...

    def ended(self, connection: "Connection") -> None:
        """The connection is over."""
        ...


class Connection(asyncio.Protocol):
    """The client's side of a stream, and the whole of it."""

    def __init__(self, opening: Opening, plan: Plan, clock: Clock, owner: TaskOwner) -> None:
        self._opening = opening
        self._plan = plan
        self._clock = clock
        self._owner = owner
        self._phase = Phase.ADMITTING
        self._frames = ClientFrames()
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._mark = os.urandom(MARK_BYTES)
        self._tail = StreamTail(self._mark, None)
        self._transport: asyncio.Transport | None = None
        self._upstream: Upstream | None = None
        self._recovery: Recovery | None = None
        self._recovered: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._close_frame = b""
        self._client_left = False
        self._full = False
        self._silent_rounds = 0
        self._full_rounds = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of it."""
        return self._phase is Phase.OVER

    @property
    def buffered(self) -> int:
        """Bytes the client has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def is_stalled(self) -> bool:
        """Whether the client does not take what there is, so that its coordinator is not read."""
        return self._full

    def close(self, code: CloseCode | int, reason: str) -> None:
        """Tells the client to go, behind the frame that is under way; bounded."""
        before = self._phase
        if before in (Phase.CLOSING, Phase.OVER) or self._transport is None:
            return
        self._phase = Phase.CLOSING
        self._close_frame = close_frame(int(code), reason)
        self._stop_attaching()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.abort)
        if before is Phase.ADMITTING:
            self._write(self._opening.accept())
        if not self._tail.missing():
            self._say_close()
        elif before is Phase.LIVE and self._upstream is not None:
            self._upstream.unsplice(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Cuts both sides."""
        if self._transport is not None:
            self._transport.abort()
        self._drop_upstream()

    def check(self, rounds_allowed: int) -> None:
        """Called at regular times: cuts a coordinator or client that has been silent or stuck for too many rounds."""
        upstream = self._upstream
        if upstream is not None and self._phase is Phase.LIVE and not self._full:
            self._silent_rounds = 0 if upstream.heard else self._silent_rounds + 1
            if not upstream.heard and self._tail.size > IDLE_TAIL_BYTES:
                self._tail.resume_point()  # reduces it to what an idle connection needs
            upstream.heard = False
            if self._silent_rounds > rounds_allowed:
                upstream.abort()
        self._full_rounds = self._full_rounds + 1 if self._full else 0
        if self._full_rounds > rounds_allowed:
            self.abort()

    # ── the client ──────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake was read; what comes now is frames."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._task = self._owner.start(self._open(), "open")

    def data_received(self, data: bytes) -> None:
        """Frames of the client."""
        try:
            messages = self._frames.feed(data)
        except FrameTooLargeError:
            self.close(CloseCode.TOO_LARGE, "the frame is too large")
            return
        for message in messages:
            self._from_client(message)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client is gone."""
        if self._phase is Phase.OVER:
            return
        self._phase = Phase.OVER
        self._stop_attaching()
        self._drop_upstream()
        if self._timer is not None:
            self._timer.cancel()
        self._plan.ended(self)

    def pause_writing(self) -> None:
        """The client does not take more: the coordinator is not read."""
        self._full = True
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_writing(self) -> None:
        """The client takes more again."""
        self._full = False
        if self._upstream is not None:
            self._upstream.resume_reading()

    def _from_client(self, message: Message) -> None:
        if self._phase is Phase.LIVE and self._upstream is not None:
            self._upstream.write(message.raw)
            if message.is_close:
                self._client_left = True
            elif not message.is_control:
                self._frames.remember(message.raw)
        elif message.is_close:
            self._answer_close(message)
        elif message.is_ping and self._phase is Phase.LOST and not self._tail.size:
            self._write(pong_frame(message.payload))
        elif not message.is_control and self._phase is not Phase.CLOSING:
            self._enqueue(message.raw)

    def _enqueue(self, raw: bytes) -> None:
        self._queue.append(raw)
        self._queued_bytes += len(raw)
        if self._queued_bytes > QUEUE_MAX_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def _answer_close(self, message: Message) -> None:
        """A goodbye that no coordinator will answer: of a client we closed, or of one whose coordinator is away."""
        if self._phase is not Phase.CLOSING and self._transport is not None and not self._tail.size:
            self._transport.write(close_frame(close_code(message.payload) or CloseCode.NORMAL))
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # ── the coordinator ─────────────────────────────────────────────────────────────────────────────────────

    def upstream_received(self, data: bytes) -> None:
        """Bytes while we close or recover."""
        if self._phase is Phase.CLOSING:
            self._finish_frame(data)
        elif self._recovery is not None:
            self._recover(self._recovery, data)

    def upstream_lost(self, upstream: Upstream) -> None:
        """The coordinator is gone, or has said goodbye."""
        if upstream is not self._upstream:
            return
        self._upstream = None
        if self._recovered is not None and not self._recovered.done():
            self._recovered.set_exception(ConnectionResetError("the coordinator hung up"))
        elif self._phase is Phase.CLOSING and self._close_frame:
            self.abort()
        elif self._phase is Phase.LIVE and (self._client_left or self._tail.said_close()):
            self._end_softly()
        elif self._phase is Phase.LIVE:
            self._phase = Phase.LOST
            self._task = self._owner.start(self._reattach(), "reattach")

    def upstream_full(self) -> None:
        """The coordinator does not take more: the client is not read."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def upstream_drained(self) -> None:
        """The coordinator takes more again."""
        if self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()

    def _finish_frame(self, data: bytes) -> None:
        """Forwards the rest of the frame under way, then says goodbye."""
        while data and (missing := self._tail.missing()):
            part, data = data[:missing], data[missing:]
            self._write(part)
            self._tail.forwarded(part)
        if not self._tail.missing():
            self._say_close()

    def _say_close(self) -> None:
        self._write(self._close_frame)
        self._close_frame = b""
        self._drop_upstream()

    def _end_softly(self) -> None:
        """Both have said goodbye, or the client still may: it has a moment."""
        self._phase = Phase.CLOSING
        if self._transport is None:
            return
        if self._client_left:
            self._transport.close()
        else:
            self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._transport.close)

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()

    def _stop_attaching(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    # ── attaching ───────────────────────────────────────────────────────────────────────────────────────────

    async def _open(self) -> None:
        """Admits and attaches. A client that is refused becomes a WebSocket first: a browser can't read HTTP errors."""
        upstream = Upstream(self)
        try:
            await self._plan.admit(self._opening)
            after = self._opening.after()
            self._tail = StreamTail(self._mark, after)
        except PodiumError as error:
            self.close(error.mapping.close, error.code.value)
            return
        try:
            answer = await self._plan.dial(upstream, after, self._mark, first=True)
        except PodiumError as error:
            if await self._plan.may_come_right(error):
                self._write(self._opening.accept())
                self._phase = Phase.LOST
                await self._reattach()
            else:
                self.close(error.mapping.close, error.code.value)
            return
        except asyncio.CancelledError:
            upstream.abort()
            raise
        self._upstream = upstream
        self._write(answer.head)
        self._go_live(upstream, answer.rest)

    async def _reattach(self) -> None:
        """Goes on where the lost connection broke, or tells the client to."""
        point = self._tail.resume_point()
        deadline = self._clock.monotonic() + self._plan.reattach_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._attach_at(point)
            except UnfinishableError:
                self.abort()
                return
            except RefusedError as refused:
                if refused.code not in _MOVING or self._clock.monotonic() >= deadline:
                    self.close(refused.code or CloseCode.TRY_LATER, refused.reason)
                    return
            except (PodiumError, OSError, TimeoutError) as error:
                if self._is_final(error) or self._clock.monotonic() >= deadline:
                    self._give_up(error)
                    return
            else:
                self._plan.reattached()
                return
            self._drop_upstream()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def _attach_at(self, point: ResumePoint) -> None:
        recovery = Recovery(point)
        upstream = Upstream(self)
        try:
            answer = await self._plan.dial(upstream, point.after, self._mark, first=False)
            self._recovery, self._upstream = recovery, upstream
            self._recovered = asyncio.get_running_loop().create_future()
            self._recover(recovery, answer.rest)
            if not self._recovered.done():
                upstream.give_to(self)
            async with asyncio.timeout(RECOVER_SECONDS):
                await self._recovered
        except BaseException:
            # Whatever it was, also a cancellation: this upstream must not be left behind.
            upstream.abort()
            raise
        finally:
            self._recovery = self._recovered = None

    def _recover(self, recovery: Recovery, data: bytes) -> None:
        recovered = self._recovered
        if recovered is None or recovered.done() or self._upstream is None:
            return
        try:
            out = recovery.feed(data)
        except (UnfinishableError, RefusedError) as error:
            recovered.set_exception(error)
            return
        if recovery.done:
            self._recovery = None
            self._upstream.pause_reading()
            if recovery.completion:
                self._write(recovery.completion)
                self._tail.forwarded(recovery.completion)
            for raw in self._frames.replay():
                self._upstream.write(raw)
            self._go_live(self._upstream, out)
            recovered.set_result(None)

    def _go_live(self, upstream: Upstream, first: bytes) -> None:
        """From here on bytes pass by themselves. No await between the last byte handled and the splice."""
        assert self._transport is not None
        self._phase = Phase.LIVE
        if first:
            self._write(first)
            self._tail.forwarded(first)
        queue, self._queue, self._queued_bytes = self._queue, [], 0
        for raw in queue:
            upstream.write(raw)
            self._frames.remember(raw)
        if not self._transport.is_reading() and not self._transport.is_closing():
            self._transport.resume_reading()
        upstream.splice(self._transport, self._tail)
        if self._full:
            upstream.pause_reading()
        if upstream.is_lost:
            self.upstream_lost(upstream)

    def _is_final(self, error: Exception) -> bool:
        return isinstance(error, PodiumError) and not error.mapping.retryable

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, PodiumError) and self._is_final(error):
            self.close(error.mapping.close, error.code.value)
        else:
            self.close(CloseCode.MOVING, "the coordinator is away; reconnect")
