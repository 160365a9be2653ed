"""One answer of the agent, as it streams."""

from typing import TYPE_CHECKING, Final

import msgspec

from podium.agent.errors import AgentUsageError
from podium.wire.events import Empty, StopReason, StreamEnd, StreamStart, Text

if TYPE_CHECKING:
    from podium.agent.context import AgentContext

PIECE_MAX_CHARS: Final = 128 * 1024
"""A longer token is sent as several events: the longest JSON of a piece still fits one."""

TEXT_MAX_BYTES: Final = 1000 * 1024
"""`stream_end` carries the whole text up to this much JSON; a longer text is cut there, its pieces were all sent."""


class MessageHandle:
    """What `ctx.send_message` returns. One `stream_start` and one `stream_end` are sent for it, whatever happens."""

    def __init__(self, ctx: "AgentContext") -> None:
        self._ctx = ctx
        self._parts: list[str] = []
        self._thinking = False
        self._ended = False

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self._parts)

    @property
    def ended(self) -> bool:
        """Whether `stream_end` was sent."""
        return self._ended

    async def stream_token(self, text: str, final: bool = False) -> None:
        """Appends `text`; `final` ends the message.

        Raises:
            AgentUsageError: the message has ended.
        """
        self._require_open()
        self._stop_thinking()
        for at in range(0, len(text), PIECE_MAX_CHARS):
            piece = text[at : at + PIECE_MAX_CHARS]
            self._parts.append(piece)
            self._ctx._tell("stream_update", Text(text=piece))
        if final:
            self._end("end_turn")
        await self._ctx._room()

    async def thinking(self, text: str) -> None:
        """Thoughts before or between the text; the next `stream_token` or the end closes them.

        Raises:
            AgentUsageError: the message has ended.
        """
        self._require_open()
        if not self._thinking:
            self._thinking = True
            self._ctx._tell("thinking.start", _EMPTY)
        for at in range(0, len(text), PIECE_MAX_CHARS):
            self._ctx._tell("thinking.progress", Text(text=text[at : at + PIECE_MAX_CHARS]))
        await self._ctx._room()

    async def end(self, stop_reason: StopReason = "end_turn") -> None:
        """Ends the message. Ending it again does nothing."""
        self._end(stop_reason)
        await self._ctx._room()

    def _begin(self, message_id: str, attempt: int) -> None:
        self._ctx._tell("stream_start", StreamStart(message_id=message_id, attempt=attempt))

    def _end(self, stop_reason: StopReason) -> None:
        if self._ended:
            return
        self._stop_thinking()
        self._ended = True
        self._ctx._tell("stream_end", StreamEnd(text=fitting(self.text), stop_reason=stop_reason))
        self._ctx._message_ended(self)

    def _stop_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            self._ctx._tell("thinking.complete", _EMPTY)

    def _require_open(self) -> None:
        if self._ended:
            raise AgentUsageError("this message has ended; send_message begins another")


def fitting(text: str) -> str:
    """`text`, cut at its end until its JSON has at most `TEXT_MAX_BYTES`."""
    while (size := len(msgspec.json.encode(text))) > TEXT_MAX_BYTES:
        text = text[: max(1, int(len(text) * TEXT_MAX_BYTES / size) - 1)]
    return text


_EMPTY = Empty()
