"""Thoughts outside a message: `async with ctx.thinking() as thoughts`."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from podium.agent.message import PIECE_MAX_CHARS
from podium.wire.events import Empty, Text

if TYPE_CHECKING:
    from podium.agent.context import AgentContext


class Thoughts:
    """Sends `thinking.start` on entering, `thinking.complete` on leaving, also when an exception leaves it."""

    def __init__(self, ctx: "AgentContext") -> None:
        self._ctx = ctx

    async def write(self, text: str) -> None:
        """Appends to the thoughts."""
        for at in range(0, len(text), PIECE_MAX_CHARS):
            self._ctx._tell("thinking.progress", Text(text=text[at : at + PIECE_MAX_CHARS]))
        await self._ctx._room()

    async def __aenter__(self) -> Self:
        self._ctx._tell("thinking.start", Empty())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ctx._tell("thinking.complete", Empty())
