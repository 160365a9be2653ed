"""Events that were received and not yet read."""

import asyncio
from collections import deque
from typing import Final

from podium.client.event import PodiumEvent

INBOX_MAX_EVENTS: Final = 10_000
"""Unread events after which a connection stops reading; the server keeps the rest, and the stream resumes."""


class Inbox:
    """A queue with an end: iterating gives events until it is closed, then raises why, if there is a why. `last_seq`: the highest
    number that was given."""

    def __init__(self) -> None:
        self._events: deque[PodiumEvent] = deque()
        self._more = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None
        self.last_seq = 0
        self.room = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether the connection should stop reading."""
        return len(self._events) >= INBOX_MAX_EVENTS

    def put(self, event: PodiumEvent) -> None:
        """Adds an event."""
        self._events.append(event)
        self._more.set()

    def close(self, error: BaseException | None = None) -> None:
        """No more will come; readers get what is left, then the end or `error`. The first call counts."""
        if not self._closed:
            self._closed, self._error = True, error
        self._more.set()

    def __aiter__(self) -> "Inbox":
        return self

    async def __anext__(self) -> PodiumEvent:
        while not self._events:
            if self._closed:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        event = self._events.popleft()
        self.last_seq = max(self.last_seq, event.seq)
        self.room.set()
        return event
