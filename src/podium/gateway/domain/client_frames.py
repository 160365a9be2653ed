"""Frames of a client on their way to the coordinator: forwarded whole, remembered for a while. Pure."""

from collections import deque
from typing import Final, NamedTuple

import msgspec

from podium.gateway.domain.frames import CLOSE, FIRST_CONTROL, PING, read_head, unmask
from podium.wire.limits import FRAME_MAX_BYTES

REMEMBERED_MAX_MESSAGES: Final = 64
"""Messages kept to be sent again after re-attaching …"""

REMEMBERED_MAX_BYTES: Final = 1024 * 1024
"""… and their bytes."""


class FrameTooLargeError(Exception):
    """A frame or message is larger than `FRAME_MAX_BYTES`."""


class Message(NamedTuple):
    """One message, or one control frame, as it came: `raw` is what to forward, `pings` the payloads of pings in it."""

    raw: bytes
    opcode: int
    payload: bytes = b""

    @property
    def is_control(self) -> bool:
        """Whether it is a ping, pong or close."""
        return self.opcode >= FIRST_CONTROL

    @property
    def is_close(self) -> bool:
        """Whether the client says goodbye."""
        return self.opcode == CLOSE

    @property
    def is_ping(self) -> bool:
        """Whether the client waits for a pong."""
        return self.opcode == PING


class ClientFrames:
    """Cuts a client's bytes into whole messages, and keeps the latest ones."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._remembered: deque[bytes] = deque()
        self._remembered_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages and control frames that are whole now, in order.

        Raises:
            FrameTooLargeError: as soon as the head says so.
        """
        self._buffer += data
        found: list[Message] = []
        while (head := read_head(self._buffer, 0)) is not None:
            if head.end - head.start + len(self._fragments) > FRAME_MAX_BYTES:
                raise FrameTooLargeError
            if head.end > len(self._buffer):
                break
            raw = bytes(self._buffer[: head.end])
            del self._buffer[: head.end]
            if head.opcode >= FIRST_CONTROL:
                found.append(Message(raw, head.opcode, unmask(raw[head.start :], head.mask)))
            elif not head.is_final:
                self._fragments += raw
            else:
                found.append(Message(bytes(self._fragments) + raw if self._fragments else raw, head.opcode))
                self._fragments.clear()
        return found

    def remember(self, raw: bytes) -> None:
        """Keeps a forwarded message; the oldest go when there are too many."""
        self._remembered.append(raw)
        self._remembered_bytes += len(raw)
        while len(self._remembered) > REMEMBERED_MAX_MESSAGES or self._remembered_bytes > REMEMBERED_MAX_BYTES:
            self._remembered_bytes -= len(self._remembered.popleft())

    def replay(self) -> list[bytes]:
        """The kept messages that may be sent again: those whose command has an `id`, which makes it idempotent."""
        return [raw for raw in self._remembered if command_id(raw) is not None]


def command_id(raw: bytes) -> str | None:
    """The `id` of the command in a message; None when it has none or is none."""
    text, at = bytearray(), 0
    while (head := read_head(raw, at)) is not None:
        text += unmask(raw[head.start : head.end], head.mask)
        at = head.end
    try:
        return msgspec.json.decode(text, type=_WithId).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _WithId(msgspec.Struct):
    id: str | None = None
