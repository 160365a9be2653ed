"""A WebSocket server connection that is written to in whole, ready-made frames.

The `websockets` library does the handshake and reads what the client sends (its sans-I/O protocol); frames to the
client are made once for all connections and go straight to the transport. No compression, ever.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from websockets.exceptions import InvalidState
from websockets.frames import CloseCode as LibraryCloseCode
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from podium.base.clock import Clock
from podium.base.http.framing import ping_frame, text_frame
from podium.base.http.server import Upgrade
from podium.base.timers import Timers
from podium.wire.limits import FRAME_MAX_BYTES, PEER_SILENT_SECONDS, PING_INTERVAL_SECONDS

CLOSE_SECONDS: Final = 5.0
"""How long the peer may take to answer a close; then the connection is cut."""

STALLED_SECONDS: Final = 60.0
"""A peer that takes none of what is written for this long is gone."""

HIGH_WATER_BYTES: Final = 256 * 1024
"""More than this unsent: `drained` will tell when to go on."""

_quiet = logging.getLogger("podium.websocket.library")
_quiet.setLevel(logging.CRITICAL + 1)


class Peer(Protocol):
    """Who talks over the connection."""

    def opened(self) -> None:
        """The handshake is done; frames may be written."""
        ...

    def text_received(self, data: bytes) -> None:
        """A whole text message."""
        ...

    def binary_received(self) -> None:
        """A whole binary message, which nothing of ours uses."""
        ...

    def drained(self) -> None:
        """What was written is (nearly) sent, after it was not."""
        ...

    def closed(self) -> None:
        """The connection is gone. Last call."""
        ...


class WebSocket(asyncio.Protocol):
    """One connection, from the request to upgrade on. `subprotocol`: the one that is selected when it is offered; `max_bytes`:
    the largest message that is read, a larger one closes the connection with 1009."""

    def __init__(
        self,
        upgrade: Upgrade,
        clock: Clock,
        timers: Timers,
        *,
        subprotocol: str | None = None,
        max_bytes: int = FRAME_MAX_BYTES,
    ) -> None:
        self.peer: Peer | None = None
        self.headers: dict[str, str] = {}
        """Headers of the answer to the handshake, beside its own; may be added to before `connection_made`."""
        self._upgrade = upgrade
        self._clock = clock
        self._alarm = timers.alarm(self._tick)
        self._transport: asyncio.Transport | None = None
        self._protocol = ServerProtocol(select_subprotocol=_selecting(subprotocol), max_size=max_bytes, logger=_quiet)
        self._fragments: list[bytes] = []
        self._is_text = False
        self._opened = False
        self._paused = False
        self._heard_at = self._pinged_at = self._moved_at = clock.monotonic()
        self._closing_since: float | None = None
        self._sent_before = 0
        self.written = 0
        """Bytes given to the transport so far."""

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def unsent(self) -> int:
        """Bytes written and not yet taken by the system."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def is_open(self) -> bool:
        """Whether frames may be written."""
        return self._opened and self._closing_since is None

    @property
    def is_paused(self) -> bool:
        """Whether more is unsent than `HIGH_WATER_BYTES`."""
        return self._paused

    def write(self, frames: bytes) -> None:
        """Writes whole frames; ignored once the connection closes."""
        if self._opened and self._closing_since is None and self._transport is not None:
            self.written += len(frames)
            self._transport.write(frames)

    def write_text(self, payload: bytes) -> None:
        """Writes a text message."""
        self.write(text_frame(payload))

    def close(self, code: int, reason: str) -> None:
        """Begins to close; the connection is cut when the peer does not answer in time."""
        if self._closing_since is not None:
            return
        try:
            self._protocol.send_close(LibraryCloseCode(code) if code in _KNOWN else code, reason[:_REASON_MAX_CHARS])
        except InvalidState:
            pass  # the peer closed first
        self._flush()
        self._begin_closing()

    def let_go(self) -> None:
        """Ends the connection without a word, once what was written is sent: a proxy attaches it again elsewhere."""
        self._closing_since = self._clock.monotonic()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cuts the connection."""
        if self._transport is not None:
            self._transport.abort()

    # ── the transport's calls ───────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Does the handshake."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)  # type: ignore[union-attr]
        self._protocol.receive_data(_head_of(self._upgrade))
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                response = self._protocol.accept(event)
                response.headers.update(self.headers)
                self._protocol.send_response(response)
        self._flush()
        if self._protocol.state is not State.OPEN:
            self._begin_closing()
            self._close_transport()
            return
        self._opened = True
        self._alarm.set(self._clock.monotonic() + PING_INTERVAL_SECONDS)
        if self.peer is not None:
            self.peer.opened()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._heard_at = self._clock.monotonic()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.state is not State.OPEN and self._closing_since is None:
            self._begin_closing()

    def eof_received(self) -> None:
        """The client sends nothing more."""
        self._protocol.receive_eof()
        self._flush()

    def pause_writing(self) -> None:
        """Too much is unsent."""
        self._paused = True

    def resume_writing(self) -> None:
        """It was sent."""
        self._paused = False
        if self.peer is not None and self.is_open:
            self.peer.drained()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone."""
        self._alarm.set(None)
        self._transport = None
        self._opened = False
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.closed()

    # ── parts ───────────────────────────────────────────────────────────────────────────────────────────────

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
                self._fragments.clear()
            self._fragments.append(bytes(frame.data))
            if frame.fin and self.peer is not None and self.is_open:
                data = b"".join(self._fragments)
                self._fragments.clear()
                if self._is_text:
                    self.peer.text_received(data)
                else:
                    self.peer.binary_received()

    def _flush(self) -> None:
        """Sends what the protocol wants to say itself: the handshake, pongs, closes."""
        transport = self._transport
        if transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self.written += len(data)
                transport.write(data)
            else:
                self._close_transport()

    def _close_transport(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def _begin_closing(self) -> None:
        self._closing_since = self._clock.monotonic()
        self._alarm.set(self._closing_since + CLOSE_SECONDS)

    def _tick(self) -> None:
        now = self._clock.monotonic()
        if self._closing_since is not None:
            self.abort()
            return
        sent = self.written - self.unsent
        if sent != self._sent_before or not self.unsent:
            self._sent_before, self._moved_at = sent, now
        if now - self._heard_at >= PEER_SILENT_SECONDS or now - self._moved_at >= STALLED_SECONDS:
            self.abort()
            return
        self.write(ping_frame())
        self._alarm.set(now + PING_INTERVAL_SECONDS)


_KNOWN: Final = frozenset(int(code) for code in LibraryCloseCode)
_REASON_MAX_CHARS: Final = 100
"""A close frame holds 123 bytes of reason; ours are ASCII."""


def _selecting(subprotocol: str | None) -> Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None]:
    """How the library selects: ours when it is offered, else none, which is no reason to refuse."""

    def select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return Subprotocol(subprotocol) if subprotocol is not None and subprotocol in offered else None

    return select


def _head_of(upgrade: Upgrade) -> bytes:
    query = b"?" + upgrade.query_string if upgrade.query_string else b""
    lines = [b"%b %b%b HTTP/1.1" % (upgrade.method.encode(), upgrade.raw_path, query)]
    lines += [b"%b: %b" % header for header in upgrade.headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"
