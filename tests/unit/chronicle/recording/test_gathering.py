"""When the recorder begins: at a quiet moment, when it is late, when there is enough, or at once when somebody waits."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronicle.model.changes import Change
from chronicle.recording.journal import Journal
from chronicle.recording.notes import ChangeNote, WroteNote, encode
from chronicle.recording.queue import Limits, Queue
from chronicle.recording.tokens import Token
from tests.waiting import until

NEVER = 3600.0
"""Longer than any test: what is limited by it does not happen."""

PLENTY = 1 << 40

Make = Callable[[Limits], Queue]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    opened: list[Journal] = []

    def made(limits: Limits) -> Queue:
        opened.append(Journal(tmp_path / f"journal{len(opened)}", 0))
        return Queue(opened[-1], limits)

    yield made
    for journal in opened:
        journal.close()


def limits(**chosen: float) -> Limits:
    none = {"quiet_s": NEVER, "late_s": NEVER, "gather_items": PLENTY, "gather_bytes": PLENTY, "held": PLENTY}
    return Limits(**{**none, **chosen})  # type: ignore[arg-type]


def put(queue: Queue, size: int = 0) -> None:
    """A change, or content of so many bytes."""
    if size:
        wrote = WroteNote(b"f", 1, 0o100644, 1, 1, size, None)
        assert queue.put(encode(wrote), wrote, Token(wrote, 0)) is None
    else:
        changed = ChangeNote(Change("mkdir", b"d", 1, 0o40755, 1), None)
        assert queue.put(encode(changed), changed) is None


class Taker:
    """A thread that does what the recorder's does, once: waits, gathers, takes."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.taken: list[object] = []
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._queue.wait()
        self._queue.gather()
        self.taken = list(self._queue.take())
        self.done.set()

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def taking(queue: Queue) -> Iterator[Taker]:
    taker = Taker(queue)
    until(lambda: queue._ring_at == 1, what="asleep until something is put")
    try:
        yield taker
    finally:
        queue.hurry()
        taker.join()


def test_a_quiet_moment_is_enough(make: Make) -> None:
    queue = make(limits(quiet_s=0.02))
    with taking(queue) as taker:
        put(queue)
        assert taker.done.wait(20)
        assert len(taker.taken) == 1


def test_who_is_never_quiet_is_recorded_when_it_is_late(make: Make) -> None:
    queue = make(limits(quiet_s=NEVER / 2, late_s=0.2))
    with taking(queue) as taker:
        pause = threading.Event()
        puts = 0
        while not taker.done.is_set():
            put(queue)
            puts += 1
            assert puts < 20_000
            pause.wait(0.001)
        assert 0 < len(taker.taken) <= puts


def test_enough_changes_are_not_waited_with(make: Make) -> None:
    queue = make(limits(gather_items=5))
    with taking(queue) as taker:
        for _ in range(5):
            put(queue)
        assert taker.done.wait(20)
        assert 1 <= len(taker.taken) <= 5


def test_enough_bytes_are_not_waited_with(make: Make) -> None:
    queue = make(limits(gather_bytes=1000))
    with taking(queue) as taker:
        put(queue, 400)
        put(queue, 700)
        assert taker.done.wait(20)


def test_too_few_changes_and_bytes_are_waited_with(make: Make) -> None:
    queue = make(limits(gather_items=5, gather_bytes=1000))
    queue.wait_for(lambda _: None)
    queue.wait()
    queue.gather()
    assert len(queue.take()) == 1, "who waits is no reason to wait for more"
    with taking(queue) as taker:
        put(queue, 400)
        put(queue)
        assert not taker.done.wait(0.1)


@pytest.mark.parametrize("urgent", ["hurry", "wait_for"])
def test_who_waits_is_served_at_once(make: Make, urgent: str) -> None:
    queue = make(limits())
    with taking(queue) as taker:
        put(queue)
        if urgent == "hurry":
            queue.hurry()
        else:
            queue.wait_for(lambda _: None)
        assert taker.done.wait(20)
        assert taker.taken
