"""The StreamUpdate envelope: how an event is written as a frame and read back.

A numbered frame is a pure function of its journal row: the same row always gives the same bytes. The gateway
relies on it when it re-attaches a connection in the middle of a frame.
"""

from typing import Any

import msgspec

EMPTY = msgspec.Raw(b"")
"""Content that is absent from the frame."""


class Event(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One StreamUpdate as a client reads it.

    `seq` counts per agent from 1 without gaps; 0 (absent on the wire) marks a connection-local frame
    (`connected`, `pong`, `ack`, `nack`). `ts` is epoch milliseconds.
    """

    message_type: str
    content: dict[str, Any] = {}
    agent_id: str = ""
    instance_id: str = ""
    turn_id: str = ""
    seq: int = 0
    ts: int = 0


class RawEvent(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The same envelope with `content` left as the JSON it came as, for parts that only pass it on."""

    message_type: str
    content: msgspec.Raw = EMPTY
    agent_id: str = ""
    instance_id: str = ""
    turn_id: str = ""
    seq: int = 0
    ts: int = 0


class EventRow(msgspec.Struct, frozen=True):
    """A numbered event as the journal keeps it. `content` is JSON; empty bytes when there is none."""

    seq: int
    type: str
    content: bytes
    instance_id: str
    turn_id: str
    ts: int


class FrameWriter:
    """Writes the frames of one agent: the constant parts are encoded once."""

    def __init__(self, agent_id: str) -> None:
        self._agent = b',"agentId":' + msgspec.json.encode(agent_id)

    def write(self, row: EventRow) -> bytes:
        """The JSON text of a numbered event; equal rows give equal bytes."""
        content = b',"content":' + row.content if row.content else b""
        turn = b',"turnId":"%b"' % row.turn_id.encode() if row.turn_id else b""
        return b'{"messageType":"%b"%b%b,"instanceId":"%b"%b,"seq":%d,"ts":%d}' % (
            row.type.encode(),
            content,
            self._agent,
            row.instance_id.encode(),
            turn,
            row.seq,
            row.ts,
        )


def local_frame(message_type: str, content: Any = None) -> bytes:
    """A connection-local frame (no `seq`): `connected`, `pong`, `ack`, `nack`."""
    if content is None:
        return _ENCODER.encode({"messageType": message_type})
    return _ENCODER.encode({"messageType": message_type, "content": content})


def read_event(frame: bytes | str) -> Event:
    """Reads a frame as a client does.

    Raises:
        msgspec.DecodeError: the frame is no JSON or no envelope (`msgspec.ValidationError`).
    """
    return _EVENTS.decode(frame)


def read_raw_event(frame: bytes | str) -> RawEvent:
    """Reads a frame without parsing its content.

    Raises:
        msgspec.DecodeError: the frame is no JSON or no envelope (`msgspec.ValidationError`).
    """
    return _RAW_EVENTS.decode(frame)


_ENCODER = msgspec.json.Encoder()
_EVENTS = msgspec.json.Decoder(Event)
_RAW_EVENTS = msgspec.json.Decoder(RawEvent)
