"""An event as a client sees it."""

from typing import Any

import msgspec

from podium.wire.events import canonical


class PodiumEvent(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One StreamUpdate.

    `seq` counts per agent from 1 without gaps; 0 marks a frame that belongs to one connection alone. `ts` is epoch
    milliseconds. `content` is None when the event has none.
    """

    message_type: str
    content: dict[str, Any] | None = None
    agent_id: str | None = None
    instance_id: str | None = None
    turn_id: str | None = None
    seq: int = 0
    ts: int = 0

    @property
    def kind(self) -> str:
        """The canonical name of the event (`stream_start` for `created`)."""
        return canonical(self.message_type)

    @property
    def text(self) -> str:
        """`content.text`, or the empty string."""
        given = (self.content or {}).get("text", "")
        return given if isinstance(given, str) else ""


def read_frame(frame: str | bytes) -> PodiumEvent:
    """Reads a frame of the stream.

    Raises:
        msgspec.DecodeError: it is no JSON, or no envelope.
    """
    return _EVENTS.decode(frame)


_EVENTS: msgspec.json.Decoder[PodiumEvent] = msgspec.json.Decoder(PodiumEvent)
