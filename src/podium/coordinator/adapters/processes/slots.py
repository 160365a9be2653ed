"""Starts in flight are bounded: each holds a slot while it takes the host's time."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Final, Self

PATIENCE_SECONDS: Final = 1.0
"""How long a start whose workspace is not there yet keeps its slot: mounting takes hundredths of a second, but filling a workspace
from a large template may take minutes, which nobody else should wait for."""


class Slot:
    """One of the slots that `slots` counts, held within an `async with`."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def __aenter__(self) -> Self:
        await self._take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    async def until(self, opened: Awaitable[object]) -> None:
        """Waits until `opened` is done, and raises what it raises; when that takes long the slot is left meanwhile."""
        leaving = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._leave)
        try:
            await opened
        finally:
            leaving.cancel()
        if not self._held:
            await self._take()

    async def _take(self) -> None:
        await self._slots.acquire()
        self._held = True

    def _leave(self) -> None:
        if self._held:
            self._held = False
            self._slots.release()
