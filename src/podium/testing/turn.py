"""One turn as a test sees it."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from podium.testing.errors import HarnessTimeoutError
from podium.wire.link import Message

if TYPE_CHECKING:
    from podium.testing.coordinator import MemoryCoordinator


class HarnessEvent(msgspec.Struct, frozen=True):
    """One event the agent emitted: canonical name, content, and the turn it belongs to (empty outside turns)."""

    type: str
    content: dict[str, Any]
    turn_id: str = ""

    def __getitem__(self, key: str) -> Any:
        return self.content[key]


class HarnessTurn:
    """A turn that runs or has ended. Await it to wait for its end."""

    def __init__(self, coordinator: "MemoryCoordinator", message: Message, timeout: float) -> None:
        self._coordinator = coordinator
        self._timeout = timeout
        self.message = message
        self.events: list[HarnessEvent] = []
        self.stop_reason: str | None = None
        self.error: str | None = None
        self.over = asyncio.Event()

    @property
    def id(self) -> str:
        """`turn-…`."""
        return self.message.turn_id

    @property
    def attempt(self) -> int:
        """How many times it was begun."""
        return self.message.attempt

    @property
    def text(self) -> str:
        """The text of all answers that have ended."""
        return "".join(str(event["text"]) for event in self.events if event.type == "stream_end")

    @property
    def types(self) -> list[str]:
        """The names of its events, in order."""
        return [event.type for event in self.events]

    def of_type(self, name: str) -> list[HarnessEvent]:
        """Its events of one name."""
        return [event for event in self.events if event.type == name]

    async def done(self) -> "HarnessTurn":
        """Waits for its end.

        Raises:
            HarnessTimeoutError: it did not come in time.
        """
        await self._wait("its end", self.over.is_set)
        self._coordinator.check_state()
        return self

    async def until(self, name: str, count: int = 1) -> HarnessEvent:
        """Waits for the `count`-th event of a name.

        Raises:
            HarnessTimeoutError: it did not come in time, or the turn ended without it.
        """
        await self._wait(f"{name} ({count})", lambda: len(self.of_type(name)) >= count or self.over.is_set())
        found = self.of_type(name)
        if len(found) < count:
            raise HarnessTimeoutError(f"the turn ended without {name}; it said {self.types}, error: {self.error}")
        return found[count - 1]

    def steer(self, text: str) -> None:
        """Text for the running turn."""
        self._coordinator.steer(self.id, text)

    def cancel(self) -> None:
        """Asks for its end; wait for it with `done`."""
        self._coordinator.cancel(self.id)

    async def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                while not holds():
                    await self._coordinator.changed()
        except TimeoutError:
            said = f"it said {self.types}, logs: {[record.message for record in self._coordinator.logs[-5:]]}"
            raise HarnessTimeoutError(f"waited {self._timeout:g} s for {what}; {said}") from None
