"""What the agent sends: frames of one loop turn leave in one write, state changes once per loop turn, in their place."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Final

import msgspec

from podium.agent.errors import AgentUsageError
from podium.agent.state.journal import Journal
from podium.wire.limits import FRAME_MAX_BYTES
from podium.wire.link import Delta, FromAgent, StateDelta, pack

CONTENT_MAX_BYTES: Final = FRAME_MAX_BYTES - 4096
"""Largest content of an event: with its envelope it must fit a frame of the stream."""

TURN_BYTES: Final = 64 * 1024
"""With more than this queued in one loop turn, the next await reaches the loop."""

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Frames on their way to the coordinator. `write` sends bytes; `writable` is clear while it is too far behind."""

    def __init__(self, write: Callable[[bytes], None], writable: asyncio.Event) -> None:
        self._write = write
        self._writable = writable
        self._loop = asyncio.get_running_loop()
        self._pending: list[bytes | None] = []
        self._size = 0
        self._scheduled = False
        self._journal: Journal | None = None
        self._version = 0

    @property
    def version(self) -> int:
        """The number of the state as of what was sent last."""
        return self._version

    def follow(self, journal: Journal, version: int) -> None:
        """Sends what `journal` records from now on; `version` is that of the state as the coordinator has it."""
        self._journal = journal
        self._version = version
        journal.notify = self._state_changed

    def send(self, frame: FromAgent) -> None:
        """Queues a frame; it leaves at the end of the loop turn."""
        self._add(pack(frame))

    def send_event(self, message_id: str, name: str, content: bytes) -> "Sent":
        """Queues an event whose content is JSON. Written by hand: this is where streamed tokens pass.

        Raises:
            AgentUsageError: the content is longer than an event may be.
        """
        if len(content) > CONTENT_MAX_BYTES:
            raise AgentUsageError(f"{name}: {len(content)} bytes of content; at most {CONTENT_MAX_BYTES} are allowed")
        body = b'{"type":"stream_update","message_id":%b,"element":{"type":"%b","content":%b}}' % (
            _encode(message_id),
            name.encode(),
            content,
        )
        self._add(len(body).to_bytes(4, "little") + body)
        return Sent(self)

    async def room(self) -> None:
        """Waits while the coordinator is more than `LINK_AHEAD_MAX_BYTES` behind. Cancellation just ends the wait.

        Code that says much without ever waiting for something else gives way to the loop here, every `TURN_BYTES`: what
        it says is sent, and a cancel can reach it.
        """
        if self._size > TURN_BYTES:
            await asyncio.sleep(0)
        if not self._writable.is_set():
            await self._writable.wait()

    def flush(self) -> None:
        """Sends what is queued now, in one write."""
        self._scheduled = False
        if not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        self._write(b"".join(part if part is not None else self._state_frames() for part in pending))

    def _add(self, packed: bytes) -> None:
        self._pending.append(packed)
        self._size += len(packed)
        self._schedule()

    def _state_changed(self) -> None:
        # Its place in the order is here; what is recorded until the loop turn ends travels along.
        self._pending.append(None)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def _state_frames(self) -> bytes:
        if self._journal is None:
            return b""
        frames = []
        for ops in self._journal.take():
            self._version += 1
            frames.append(pack(StateDelta([Delta(self._version, msgspec.Raw(ops))])))
        return b"".join(frames)


class Sent:
    """An event that is on its way. Awaiting it is optional, and waits while the coordinator is far behind."""

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __await__(self) -> Generator[Any, None, None]:
        return self._outbox.room().__await__()
