"""A session's events as an async iterator, for readers inside this process."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Final, Self

from diminuendo.domain.events import ClientEvent, decode
from diminuendo.protocol.answers import Identity, ServerMessage, SessionDeleted, StateSnapshot
from diminuendo.protocol.messages import JoinSession
from diminuendo.serving.batch import Batch
from diminuendo.serving.port import Seat, Sessions

UNREAD_MAX: Final = 1_000
"""Events that are kept for an iterator; more wait in the session's database."""


class WatchEndedError(Exception):
    """The session can't be watched any further, although it is there. `reason` is for a person; join again behind `last_seq`."""

    def __init__(self, reason: str, last_seq: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.last_seq = last_seq


class Watch:
    """An iterator over what happens: events, and the messages `Reader.informed` speaks of. Ends when it is closed or the session is
    deleted. Made by `watch`; for one reader at a time."""

    def __init__(self) -> None:
        self.last_seq = 0
        """Number of the last event that was given."""
        self._seat: Seat | None = None
        self._unread: deque[ClientEvent | ServerMessage] = deque()
        self._more = asyncio.Event()
        self._over = False
        self._reason: str | None = None

    @property
    def snapshot(self) -> StateSnapshot:
        """The session as it was when the watch began."""
        assert self._seat is not None
        return self._seat.snapshot

    def begin(self, seat: Seat, after_seq: int | None) -> None:
        """Called by `watch`."""
        self._seat = seat
        self.last_seq = seat.snapshot.last_seq if after_seq is None else after_seq
        seat.begin()

    # ── a reader of the session ──────────────────────────────────────────────────────────────────────────────

    @property
    def is_full(self) -> bool:
        """See `Reader`."""
        return len(self._unread) >= UNREAD_MAX

    def told(self, batch: Batch) -> None:
        """See `Reader`."""
        self._unread += [decode(event.frame) for event in batch.events]
        self._more.set()

    def informed(self, message: ServerMessage) -> None:
        """See `Reader`."""
        self._unread.append(message)
        self._over = self._over or isinstance(message, SessionDeleted)
        self._more.set()

    def ended(self, reason: str) -> None:
        """See `Reader`."""
        self._over, self._reason = True, reason
        self._more.set()

    # ── an iterator for whoever watches ──────────────────────────────────────────────────────────────────────

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ClientEvent | ServerMessage:
        """What happens next; waits for it.

        Raises:
            WatchEndedError: it can't be watched any further.
        """
        while not self._unread:
            if self._over:
                if self._reason is not None:
                    raise WatchEndedError(self._reason, self.last_seq)
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        was_full = self.is_full
        found = self._unread.popleft()
        if isinstance(found, ClientEvent):
            self.last_seq = found.seq
        if was_full and self._seat is not None and not self._over:
            self._seat.go_on()
        return found

    def close(self) -> None:
        """Ends it, also for whoever waits right now."""
        self._over = True
        self._unread.clear()
        self._more.set()
        if self._seat is not None:
            self._seat.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def watch(sessions: Sessions, caller: Identity, session_id: str, after_seq: int | None = None) -> Watch:
    """Watches a session: what happens behind event `after_seq`, or from now on.

    Raises:
        ProtocolError: it can't be joined.
    """
    watching = Watch()
    seat = await sessions.join(caller, JoinSession(session_id=session_id, after_seq=after_seq), watching)
    watching.begin(seat, after_seq)
    return watching
