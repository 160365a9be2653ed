"""Readers as cursors: everything once and in order, however slow they are and whenever they come."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diminuendo.protocol.answers import ServerMessage, Session, SessionDeleted, SessionUpdated, StateSnapshot
from diminuendo.serving.audience import Audience, Place
from diminuendo.serving.batch import Batch
from diminuendo.storage.errors import StorageError
from diminuendo.storage.session_store import StoredEvent

SESSION = Session("sess-a", "coder", "sess-a", "", "ready", False, "ann", 1, 1, {})


class Shelf:
    """Events that are durable; the audience is told of them as a store would."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.broken = False
        self.audience = Audience(self)

    def add(self, count: int) -> None:
        first = len(self.events) + 1
        made = [StoredEvent(seq, b'{"seq":%d}' % seq) for seq in range(first, first + count)]
        self.events += made
        self.audience.tell(made)

    def events_after(self, seq: int, limit: int, max_bytes: int | None = None) -> list[StoredEvent]:
        if self.broken:
            raise StorageError(Path("session.db"), "disk I/O error")
        return self.events[seq : seq + min(limit, 7)]

    def seat(self, reader: "Ear", after_seq: int | None) -> Place:
        snapshot = StateSnapshot(session=SESSION, recent_history=[], last_seq=len(self.events), pending=[])
        reader.place = self.audience.seat(reader, snapshot, after_seq)
        return reader.place


class Ear:
    """A reader that can be full."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.heard: list[int] = []
        self.batches: list[Batch] = []
        self.messages: list[ServerMessage] = []
        self.over: str | None = None
        self.is_full = False

    def told(self, batch: Batch) -> None:
        assert not self.is_full
        self.batches.append(batch)
        self.heard += [event.seq for event in batch.events]

    def informed(self, message: ServerMessage) -> None:
        self.messages.append(message)

    def ended(self, reason: str) -> None:
        self.over = reason


async def settle() -> None:
    """Everything that is to happen soon has happened."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.proves("DIM-FAN-OUT")
async def test_one_batch_is_made_for_all_who_are_live() -> None:
    shelf, ears = Shelf(), [Ear(), Ear()]
    for ear in ears:
        shelf.seat(ear, None).begin()
    shelf.add(2)
    shelf.add(1)
    await settle()
    assert [ear.heard for ear in ears] == [[1, 2, 3]] * 2
    assert ears[0].batches == ears[1].batches, "the same object, encoded once"
    assert len(ears[0].batches) == 1, "what came within one turn of the loop goes out together"
    assert ears[0].batches[0].wire.count(b'{"seq":') == 3


@pytest.mark.proves("DIM-RESUME", "DIM-SLOW-CLIENTS")
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from(["add", "burst", "full", "room", "pause"]), max_size=30), after=st.integers(0, 5))
def test_whatever_happens_when_everything_is_heard_once_and_in_order(steps: list[str], after: int) -> None:
    async def live() -> None:
        shelf, ear = Shelf(), Ear()
        shelf.add(5)
        place = shelf.seat(ear, after)
        shelf.add(1)
        place.begin()
        for step in steps:
            if step == "add":
                shelf.add(1)
            elif step == "burst":
                shelf.add(20)
            elif step == "full":
                ear.is_full = True
            elif step == "room":
                ear.is_full = False
                place.go_on()
            else:
                await settle()
        ear.is_full = False
        place.go_on()
        await settle()
        assert ear.heard == list(range(after + 1, len(shelf.events) + 1))

    asyncio.run(live())


async def test_nothing_is_told_before_it_begins_or_after_it_left() -> None:
    shelf, ear = Shelf(), Ear()
    place = shelf.seat(ear, 0)
    shelf.add(1)
    shelf.audience.inform(SessionUpdated(session=SESSION))
    await settle()
    assert (ear.heard, ear.messages) == ([], [])
    place.begin()
    place.leave()
    place.leave()
    shelf.add(1)
    await settle()
    assert len(ear.heard) <= 1
    assert len(shelf.audience) == 0


async def test_what_has_no_number_comes_behind_the_events_so_far_and_a_deletion_is_the_last() -> None:
    shelf, ear = Shelf(), Ear()
    shelf.seat(ear, None).begin()
    shelf.add(1)
    shelf.audience.inform(SessionDeleted(session_id="sess-a"))
    shelf.audience.end("over")
    assert ear.heard == [1]
    assert ear.messages == [SessionDeleted(session_id="sess-a")]
    assert ear.over is None


@pytest.mark.noisy("events_unreadable")
async def test_events_that_cannot_be_read_end_the_place() -> None:
    shelf, ear = Shelf(), Ear()
    shelf.add(1)
    shelf.broken = True
    shelf.seat(ear, 0).begin()
    assert ear.over == "the session's events can't be read"
