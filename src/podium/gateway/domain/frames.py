"""WebSocket frames as bytes (RFC 6455 §5.2), as far as someone who passes them on must know."""

import struct
from typing import Final, NamedTuple

TEXT: Final = 0x1
BINARY: Final = 0x2
CONTINUATION: Final = 0x0
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
MASKED: Final = 0x80
FIRST_CONTROL: Final = 0x8
"""Opcodes from here on are control frames."""

CLOSE_REASON_MAX_BYTES: Final = 123
"""A control frame holds 125 bytes, two of which are the close code."""

_SHORT: Final = 126
_LONG: Final = 127
_U16 = struct.Struct("!H")
_U64 = struct.Struct("!Q")


class Head(NamedTuple):
    """Head of a frame. `end` is where the frame ends in the buffer it was read from, `start` where its payload begins."""

    opcode: int
    is_final: bool
    start: int
    end: int
    mask: bytes


def read_head(buffer: bytes | bytearray, at: int) -> Head | None:
    """The head of the frame that begins at `at`; None while it is not whole. The payload need not be there yet."""
    have = len(buffer) - at
    if have < 2:
        return None
    first, second = buffer[at], buffer[at + 1]
    size, start = second & 0x7F, at + 2
    if size >= _SHORT:
        number = _U16 if size == _SHORT else _U64
        if have < 2 + number.size:
            return None
        size = number.unpack_from(buffer, start)[0]
        start += number.size
    mask = b""
    if second & MASKED:
        if len(buffer) < start + 4:
            return None
        mask = bytes(buffer[start : start + 4])
        start += 4
    return Head(first & 0x0F, bool(first & FIN), start, start + size, mask)


def last_boundary(buffer: bytes | bytearray) -> int:
    """Where the last whole frame ends, in a buffer that begins with a frame."""
    at = 0
    while (head := read_head(buffer, at)) is not None and head.end <= len(buffer):
        at = head.end
    return at


def unmask(payload: bytes | bytearray, mask: bytes) -> bytes:
    """The payload without its mask."""
    if not mask or not payload:
        return bytes(payload)
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame as a server sends it; the reason is cut to what fits."""
    text = reason.encode()[:CLOSE_REASON_MAX_BYTES].decode("utf-8", "ignore").encode()
    return bytes((FIN | CLOSE, 2 + len(text))) + _U16.pack(code) + text


def pong_frame(payload: bytes) -> bytes:
    """A pong as a server sends it, with at most 125 bytes."""
    return bytes((FIN | PONG, len(payload))) + payload


def close_code(payload: bytes) -> int | None:
    """The code in the payload of a close frame; None when it has none."""
    return int(_U16.unpack_from(payload)[0]) if len(payload) >= 2 else None
