"""Server-sent events as bytes (WHATWG HTML §9.2)."""

from typing import Final, NamedTuple

HEARTBEAT: Final = b": keep-alive\n\n"
"""A comment, which readers ignore and proxies count as life."""

HEARTBEAT_SECONDS: Final = 15.0
"""How long a stream may be silent before a comment is sent."""


class SseEvent(NamedTuple):
    """One event. `id` is what a reader gives back as `Last-Event-ID`; `event` its name, empty for the default."""

    data: bytes
    id: str = ""
    event: str = ""


def encode_sse(event: SseEvent) -> bytes:
    """The event on the wire. Line breaks in `data` become several `data:` lines, as the format wants."""
    head = b"id: %b\n" % event.id.encode() if event.id else b""
    if event.event:
        head += b"event: %b\n" % event.event.encode()
    if b"\n" not in event.data and b"\r" not in event.data:
        return b"%bdata: %b\n\n" % (head, event.data)
    lines = b"".join(b"data: %b\n" % line for line in event.data.splitlines())
    return head + lines + b"\n"
