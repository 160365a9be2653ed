"""A session's database, on real files."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from diminuendo.domain.events import (
    ApprovalResolved,
    ClientEvent,
    PermissionOption,
    PermissionRequested,
    Question,
    QuestionRequested,
    TextDelta,
    TurnComplete,
    TurnError,
    TurnStarted,
)
from diminuendo.domain.mapper import Said
from diminuendo.storage.errors import StorageError
from diminuendo.storage.places import Places
from diminuendo.storage.session_store import Resume, SessionStore, StoredEvent
from diminuendo.storage.writer import Timer
from podium.base.clock import ManualClock, SystemClock

SESSION = "sess-aaaaaaaaaaaaaaaa"


class Never:
    """A timer that never comes: whatever is seen was flushed, or written at once."""

    def cancel(self) -> None:
        pass


class Desk:
    """A store that can be closed, or dropped as if the process had died, and opened again."""

    def __init__(self, root: Path) -> None:
        self.path = Places(root).session(SESSION)
        self.clock = ManualClock()
        self.shown: list[StoredEvent] = []
        self.store = self.open()

    def open(self) -> SessionStore:
        def later(_: float, __: object) -> Timer:
            return Never()

        return SessionStore.open(self.path, SESSION, self.clock, later, lambda error: None)

    def append(self, *events: ClientEvent, podium_seq: int | None = None, said: Said | None = None) -> None:
        self.store.append(events, self.shown.extend, podium_seq, said)

    def die(self) -> None:
        """What was not committed is gone."""
        self.store._connection.close()
        self.store = self.open()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    assert made.store.findings() == []
    made.store._connection.close()


def text(words: str, turn: str | None = "t1") -> TextDelta:
    return TextDelta(session_id=SESSION, turn_id=turn, text=words)


def started(turn: str = "t1") -> TurnStarted:
    return TurnStarted(session_id=SESSION, turn_id=turn)


def complete(words: str, turn: str = "t1") -> TurnComplete:
    return TurnComplete(session_id=SESSION, turn_id=turn, final_text=words, stop_reason="end_turn")


def question(request_id: str) -> QuestionRequested:
    asked = [Question("1", "Which?", ["a", "b"])]
    return QuestionRequested(session_id=SESSION, turn_id="t1", request_id=request_id, questions=asked)


def permission(request_id: str) -> PermissionRequested:
    options = [PermissionOption("yes", "Yes", "allow_once")]
    return PermissionRequested(
        session_id=SESSION,
        turn_id="t1",
        request_id=request_id,
        tool_call_id=None,
        tool_name="bash",
        args={},
        options=options,
    )


def test_events_are_numbered_from_one_without_gaps_over_restarts(desk: Desk) -> None:
    desk.append(text("a"), text("b"))
    desk.append(text("c"))
    desk.store.close()
    desk.store = desk.open()
    desk.append(text("d"))
    assert [event.seq for event in desk.shown] == [1, 2, 3, 4]
    assert desk.store.last_seq == 4
    assert desk.store.events_after(1, 2) == desk.shown[1:3]
    assert b'"seq":2' in desk.shown[1].frame
    assert b'"ts":1700000000000' in desk.shown[1].frame


@pytest.mark.proves("DIM-SEQ")
def test_nothing_is_shown_that_a_crash_could_take_back(desk: Desk) -> None:
    desk.append(text("a"), podium_seq=1)
    desk.append(text("b"), podium_seq=2)
    assert [event.seq for event in desk.shown] == [1]
    desk.die()
    assert desk.store.resume().podium_seq == 1
    desk.append(text("b"), podium_seq=2)
    assert [event.seq for event in desk.shown] == [1, 2]


def test_an_event_of_podium_that_comes_again_is_taken_in_once(desk: Desk) -> None:
    desk.append(text("a"), podium_seq=5)
    desk.append(podium_seq=6)
    desk.append(text("a"), podium_seq=5)
    desk.append(text("x"), podium_seq=6)
    desk.store.flush()
    assert (len(desk.shown), desk.store.last_seq, desk.store.resume().podium_seq) == (1, 1, 6)


def test_an_event_without_anything_for_the_client_moves_the_cursor(desk: Desk) -> None:
    desk.append(podium_seq=9)
    desk.store.close()
    desk.store = desk.open()
    assert desk.store.resume() == Resume(9, None, frozenset())


def test_the_conversation_is_what_people_said_and_what_was_answered(desk: Desk) -> None:
    desk.append(podium_seq=1, said=Said("hello", "t1", 7))
    desk.append(started(), text("Hi"), complete("Hi"), podium_seq=2)
    desk.append(podium_seq=3, said=Said("more", "t2", 0))
    desk.append(podium_seq=3, said=Said("more", "t2", 0))
    desk.append(started("t2"), complete("Sure", "t2"), podium_seq=4)
    desk.store.flush()
    said = desk.store.history(None, 10)
    assert [(row.position, row.role, row.text, row.turn_id) for row in said] == [
        (1, "user", "hello", "t1"), (2, "assistant", "Hi", "t1"), (3, "user", "more", "t2"), (4, "assistant", "Sure", "t2"),
    ]  # fmt: skip
    assert [row.stop_reason for row in said] == [None, "end_turn", None, "end_turn"]
    assert [row.ts for row in said] == [7, *[desk.clock.now_ms()] * 3]
    assert desk.store.history(None, 2) == said[2:]
    assert desk.store.history(3, 10) == said[:2]


def test_what_waits_for_an_answer_is_there_until_it_is_answered(desk: Desk) -> None:
    desk.append(started(), question("r1"), permission("r2"))
    desk.store.close()
    desk.store = desk.open()
    assert desk.store.resume() == Resume(0, "t1", frozenset({"r1", "r2"}))
    waiting = desk.store.pending()
    assert [(type(event), event.request_id, event.seq) for event in waiting] == [
        (QuestionRequested, "r1", 2), (PermissionRequested, "r2", 3),
    ]  # fmt: skip
    desk.append(ApprovalResolved(session_id=SESSION, turn_id="t1", request_id="r1", outcome="answered"))
    desk.store.flush()
    assert [event.request_id for event in desk.store.pending()] == ["r2"]


@pytest.mark.parametrize(
    "last",
    [complete("x"), TurnError(session_id=SESSION, turn_id="t1", code="c", message="m")],
    ids=["complete", "error"],
)
def test_the_end_of_a_turn_ends_what_it_asked(desk: Desk, last: ClientEvent) -> None:
    desk.append(started(), question("r1"))
    desk.append(last)
    desk.store.flush()
    assert desk.store.pending() == []
    assert desk.store.resume().turn_id is None


def test_the_file_is_for_its_owner_alone_and_of_one_session(desk: Desk) -> None:
    desk.append(text("a"))
    for name in desk.path.parent.iterdir():
        assert name.stat().st_mode & 0o077 == 0
    assert desk.path.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(StorageError, match="locked"):
        desk.open()
    desk.store.close()
    with pytest.raises(StorageError, match="belongs to session"):
        SessionStore.open(desk.path, "sess-bbbbbbbbbbbbbbbb", desk.clock, lambda *_: Never(), lambda _: None)
    desk.store = desk.open()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = Places(tmp_path).session(SESSION)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match=r"session\.db"):
        SessionStore.open(path, SESSION, ManualClock(), lambda *_: Never(), lambda _: None)


def test_damage_is_found(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.append(started(), question("r1"), text("b"))
    desk.store.close()
    with sqlite3.connect(desk.path) as connection:
        connection.execute("DELETE FROM event WHERE seq = 2")
        connection.execute("UPDATE event SET type = 'other' WHERE seq = 3")
    connection.close()
    store = desk.open()
    assert [line.split()[0] for line in store.findings()] == ["2", "request", "event"]
    store.close()


async def test_on_a_real_loop_a_burst_is_shown_in_two_transactions(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    shown: list[StoredEvent] = []
    failures: list[StorageError] = []

    def show(events: list[StoredEvent]) -> None:
        shown.extend(events)
        if len(shown) == 50:
            done.set()

    store = SessionStore.open(
        Places(tmp_path).session(SESSION), SESSION, SystemClock(), loop.call_later, failures.append
    )
    for number in range(50):
        store.append([text(str(number))], show, number + 1)
    await asyncio.wait_for(done.wait(), 10)
    assert [event.seq for event in shown] == list(range(1, 51))
    assert store._writer.commits <= 10  # two, unless the machine stood still in between
    store.close()
    assert failures == []
