"""Subscriptions inside one process: bounded queues that notices are handed to."""

import asyncio
import logging
from collections import deque
from typing import Final
from weakref import WeakSet

from podium.base.discovery.port import Notice

WAITING_MAX: Final = 1_000
"""Notices a subscriber may have unread; beyond, all of them give way to one that says so (see `Notice.missed`)."""

_log = logging.getLogger(__name__)


class NoticeQueue:
    """One subscription: an async iterator of notices, ended by `aclose` or by its discovery closing."""

    def __init__(self, channels: frozenset[str]) -> None:
        self.channels = channels
        self._waiting: deque[Notice] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> "NoticeQueue":
        return self

    async def __anext__(self) -> Notice:
        while not self._waiting and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed:
            raise StopAsyncIteration
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """Ends the subscription; whoever waits for a notice sees the end."""
        self.end()

    def end(self) -> None:
        """`aclose` without an await."""
        self._closed = True
        self._waiting.clear()
        self._changed.set()

    @property
    def ended(self) -> bool:
        """Whether it takes no more notices."""
        return self._closed

    def give(self, notice: Notice) -> None:
        """Queues a notice if it is of one of our channels."""
        if self._closed or notice.channel not in self.channels:
            return
        if len(self._waiting) == WAITING_MAX:
            _log.warning("notices_dropped", extra={"channel": notice.channel})
            self._waiting.clear()
            self.miss()
        self._waiting.append(notice)
        self._changed.set()

    def miss(self) -> None:
        """Tells, on each of our channels, that notices may have been lost."""
        for channel in sorted(self.channels):
            self.give(Notice(channel, {}, missed=True))


class Subscribers:
    """All subscriptions of one process. One that its owner let go without closing vanishes by itself."""

    def __init__(self) -> None:
        self._queues: WeakSet[NoticeQueue] = WeakSet()

    def add(self, channels: tuple[str, ...]) -> NoticeQueue:
        """A new subscription."""
        queue = NoticeQueue(frozenset(channels))
        self._queues.add(queue)
        return queue

    def give(self, notice: Notice) -> None:
        """Hands a notice to everyone."""
        for queue in list(self._queues):
            queue.give(notice)

    def miss(self) -> None:
        """Tells everyone that notices may have been lost."""
        for queue in list(self._queues):
            queue.miss()

    def __len__(self) -> int:
        return sum(not queue.ended for queue in self._queues)

    def end(self) -> None:
        """Ends all subscriptions."""
        for queue in list(self._queues):
            queue.end()
