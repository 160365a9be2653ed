"""WebSocket frames as a server sends them (RFC 6455 §5.2): whole, unmasked, uncompressed."""

import struct
from typing import Final

SYNC_BYTES: Final = 16
"""Length of the marks a gateway asks for with `Podium-Sync`."""

_TEXT: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A
_CLOSE: Final = 0x88
_SHORT_MAX: Final = 125
_MEDIUM_MAX: Final = 0xFFFF
_HEAD_MEDIUM = struct.Struct("!BBH")
_HEAD_LONG = struct.Struct("!BBQ")


def text_frame(payload: bytes) -> bytes:
    """A text message in one frame."""
    size = len(payload)
    if size <= _SHORT_MAX:
        return b"%c%c%b" % (_TEXT, size, payload)
    if size <= _MEDIUM_MAX:
        return _HEAD_MEDIUM.pack(_TEXT, 126, size) + payload
    return _HEAD_LONG.pack(_TEXT, 127, size) + payload


def ping_frame() -> bytes:
    """A ping without payload."""
    return b"%c%c" % (_PING, 0)


def pong_frame(payload: bytes) -> bytes:
    """A pong; unsolicited ones are ignored by every peer (RFC 6455 §5.5.3)."""
    return b"%c%c%b" % (_PONG, len(payload), payload)


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut to what fits."""
    payload = struct.pack("!H", code) + reason.encode()[: _SHORT_MAX - 2]
    return b"%c%c%b" % (_CLOSE, len(payload), payload)
