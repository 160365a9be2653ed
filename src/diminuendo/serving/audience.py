"""Who follows a session: each reader is a cursor over its events.

A place is *live* when its reader has been told all there is: new events are then passed on as they become durable, the same bytes to
everybody. A reader that is full, or has just come, is not: what it misses is read from the database when it has room, in pages.
So a reader costs no memory for being slow, and nobody else waits for it.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from diminuendo.protocol.answers import ServerMessage, SessionDeleted, StateSnapshot
from diminuendo.serving.batch import Batch
from diminuendo.serving.port import Reader
from diminuendo.storage.errors import StorageError
from diminuendo.storage.session_store import StoredEvent

PAGE_EVENTS: Final = 500
"""Events that are read from the database at once for a reader that is behind."""

PAGE_BYTES: Final = 256 * 1024
"""The same in bytes; as much as a connection may have unsent."""

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where events are that were shown before."""

    def events_after(self, seq: int, limit: int, max_bytes: int | None = None) -> list[StoredEvent]:
        """The first events after number `seq`. Raises `StorageError`."""
        ...


class Audience:
    """All places of one session."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._places: set[Place] = set()
        self._untold: list[StoredEvent] = []

    def __len__(self) -> int:
        return len(self._places)

    def seat(self, reader: Reader, snapshot: StateSnapshot, after_seq: int | None) -> "Place":
        """A place for `reader`; it is told nothing before `Place.begin`."""
        place = Place(self, self._source, reader, snapshot, after_seq)
        self._places.add(place)
        return place

    def tell(self, events: Sequence[StoredEvent]) -> None:
        """These are durable now. What is told within one turn of the event loop goes out together."""
        if not self._untold and events:
            asyncio.get_running_loop().call_soon(self._pass_on)
        self._untold += events

    def inform(self, message: ServerMessage) -> None:
        """Tells everybody something without a number, behind the events so far."""
        self._pass_on()
        for place in list(self._places):
            place.inform(message)

    def end(self, reason: str) -> None:
        """Ends all places."""
        self._pass_on()
        for place in list(self._places):
            place.end(reason)

    def remove(self, place: "Place") -> None:
        """The place is free."""
        self._places.discard(place)

    def _pass_on(self) -> None:
        untold, self._untold = self._untold, []
        if untold:
            batch = Batch(untold)
            for place in list(self._places):
                place.tell(batch)


class Place:
    """A reader's place (a `Seat`)."""

    def __init__(
        self, audience: Audience, source: Source, reader: Reader, snapshot: StateSnapshot, after_seq: int | None
    ) -> None:
        self.snapshot = snapshot
        self._audience = audience
        self._source = source
        self._reader = reader
        self._seq = snapshot.last_seq if after_seq is None else after_seq
        self._begun = False
        self._live = False
        self._left = False
        self._reading: asyncio.Handle | None = None

    def begin(self) -> None:
        """See `Seat`."""
        self._begun = True
        self._read()

    def go_on(self) -> None:
        """See `Seat`."""
        if self._begun and not self._live and self._reading is None:
            self._read()

    def leave(self) -> None:
        """See `Seat`."""
        self._left, self._live = True, False
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self._audience.remove(self)

    def tell(self, batch: Batch) -> None:
        """Passes on what became durable, to a reader that has all before it."""
        if not self._live or batch.last_seq <= self._seq:  # the latter: it was read from the database already
            return
        if self._reader.is_full or batch.events[0].seq != self._seq + 1:
            self._live = False
            self.go_on()
            return
        self._seq = batch.last_seq
        self._reader.told(batch)

    def inform(self, message: ServerMessage) -> None:
        """Passes on what has no number."""
        if self._begun and not self._left:
            self._reader.informed(message)
        if isinstance(message, SessionDeleted):
            self.leave()

    def end(self, reason: str) -> None:
        """Nothing follows."""
        if not self._left:
            self.leave()
            self._reader.ended(reason)

    def _read(self) -> None:
        """Tells the next page of what the reader has missed; the next one after others had their turn."""
        self._reading = None
        if self._left or self._reader.is_full:
            return
        try:
            page = self._source.events_after(self._seq, PAGE_EVENTS, PAGE_BYTES)
        except StorageError as error:
            _log.exception("events_unreadable", exc_info=error)
            self.end("the session's events can't be read")
            return
        if page:
            self._seq = page[-1].seq
            self._reader.told(Batch(page))
            self._reading = asyncio.get_running_loop().call_soon(self._read)
        else:
            self._live = True
