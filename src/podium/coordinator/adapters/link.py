"""The agent link at its coordinator's end: bytes become frames, printed output becomes lines."""

from typing import Final, Literal, Protocol

from podium.coordinator.domain.ports import ExitStatus
from podium.wire.link import FrameBuffer, FromAgent, LinkError, read_from_agent

LINE_MAX_BYTES: Final = 16 * 1024
"""A longer printed line is cut into pieces of this size."""

Stream = Literal["stdout", "stderr"]


class LinkOwner(Protocol):
    """Who acts on what an agent says. `link` tells a process from the one before it."""

    def frames_received(self, link: "AgentLink", frames: list[FromAgent]) -> None:
        """Whole frames, in order: all that one read brought."""
        ...

    def link_broken(self, link: "AgentLink", why: str) -> None:
        """The agent broke the protocol; nothing more will come of this link."""
        ...

    def lines_printed(self, link: "AgentLink", stream: Stream, lines: list[str]) -> None:
        """Lines the process printed."""
        ...

    def process_ended(self, link: "AgentLink", status: ExitStatus) -> None:
        """The process is gone."""
        ...


class AgentLink:
    """Receives what one process says (a `LinkHandler`) and hands it on in whole pieces."""

    def __init__(self, owner: LinkOwner) -> None:
        self._owner = owner
        self._frames = FrameBuffer()
        self._broken = False
        self._partial: dict[Stream, bytes] = {}

    def link_received(self, data: bytes) -> None:
        """Bytes of the link; frames before a broken one still count."""
        if self._broken:
            return
        frames: list[FromAgent] = []
        why = None
        try:
            for body in self._frames.feed(data):
                frames.append(read_from_agent(body))
        except LinkError as error:
            why = str(error)
        if frames:
            self._owner.frames_received(self, frames)
        if why is not None:
            self.give_up(why)

    def give_up(self, why: str) -> None:
        """Ignores all that follows and tells the owner."""
        if not self._broken:
            self._broken = True
            self._owner.link_broken(self, why)

    def output_received(self, stream: Stream, data: bytes) -> None:
        """Printed bytes; whole lines are handed on, the rest is kept for the next call."""
        *whole, rest = (self._partial.get(stream, b"") + data).split(b"\n")
        if len(rest) > LINE_MAX_BYTES:
            whole.append(rest)
            rest = b""
        self._partial[stream] = rest
        self._hand_on(stream, whole)

    def process_ended(self, status: ExitStatus) -> None:
        """The process is gone; what it printed without a newline is a line too."""
        for stream, rest in self._partial.items():
            self._hand_on(stream, [rest] if rest else [])
        self._partial.clear()
        self._owner.process_ended(self, status)

    def _hand_on(self, stream: Stream, whole: list[bytes]) -> None:
        lines = [
            line[at : at + LINE_MAX_BYTES].decode("utf-8", "replace")
            for line in whole
            for at in range(0, len(line), LINE_MAX_BYTES)
        ]
        if lines:
            self._owner.lines_printed(self, stream, lines)
