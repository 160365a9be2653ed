"""The threads of the workspaces: bounded, shared, and never waited for longer than is said."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager

import pytest

from podium.coordinator.adapters.workspaces.workers import Workers
from podium.wire.errors import ErrorCode, PodiumError
from tests.waiting import wait_until

LONG = 10.0
SHORT = 0.05


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Four threads, of which each workspace may have two."""
    made = Workers(threads=4, each=2)
    yield made
    await made.close()


class Stuck:
    """Calls that do not end until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.begun += 1
        self.go.wait(LONG)
        return "done"


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """Released at the end, whatever the test did."""
    made = Stuck()
    yield made
    made.go.set()


async def late(workers: Workers, whose: str, stuck: Stuck, *, alone: bool = False) -> None:
    """A call that is given up waiting for."""
    with pytest.raises(PodiumError) as caught:
        await workers.run(whose, stuck, seconds=SHORT, alone=alone)
    assert caught.value.code is ErrorCode.WORKSPACE_UNAVAILABLE
    assert caught.value.retry_after is not None


async def test_results_and_errors_come_back(workers: Workers) -> None:
    assert await workers.run("a", lambda: 42, seconds=LONG) == 42
    with pytest.raises(KeyError, match="x"):
        await workers.run("a", lambda: dict[str, int]()["x"], seconds=LONG)


@pytest.mark.noisy("workspace_call_late")
async def test_a_call_that_takes_too_long_is_told_and_others_go_on(workers: Workers, stuck: Stuck) -> None:
    for _ in range(2):
        await late(workers, "a", stuck)
    assert stuck.begun == 2
    await late(workers, "a", stuck)  # its share is used up: this one does not even begin
    assert stuck.begun == 2
    assert await workers.run("b", lambda: "answered", seconds=LONG) == "answered"
    assert await asyncio.to_thread(lambda: "the loop's own threads are free") == "the loop's own threads are free"
    stuck.go.set()
    assert await workers.run("a", lambda: "again", seconds=LONG) == "again"
    assert stuck.begun == 2


async def test_no_more_threads_than_that_are_started_and_none_of_them_is_needed_for_long(workers: Workers) -> None:
    together, most, lock = 0, 0, threading.Lock()
    pause = threading.Event()

    def count() -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        pause.wait(0.002)
        with lock:
            together -= 1

    await asyncio.gather(*(workers.run(str(number), count, seconds=LONG) for number in range(50)))
    assert 1 < most <= 4
    await asyncio.gather(*(workers.run("one", count, seconds=LONG) for _ in range(20)))


@pytest.mark.noisy("workspace_call_late")
async def test_what_must_be_alone_waits_even_for_one_that_nobody_waits_for(workers: Workers, stuck: Stuck) -> None:
    await late(workers, "a", stuck, alone=True)
    await late(workers, "a", stuck, alone=True)
    assert stuck.begun == 1
    assert await workers.run("b", lambda: "another workspace", seconds=LONG, alone=True) == "another workspace"
    following = asyncio.ensure_future(workers.run("a", lambda: stuck.go.is_set(), seconds=LONG, alone=True))
    await asyncio.sleep(0)
    stuck.go.set()
    assert await following is True


async def test_who_is_cancelled_waits_for_what_has_begun(workers: Workers, stuck: Stuck) -> None:
    running = asyncio.ensure_future(workers.run("a", stuck, seconds=LONG))
    await wait_until(lambda: stuck.begun)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=SHORT)
    assert not done
    stuck.go.set()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.noisy("workspace_call")
async def test_closing_does_not_wait_for_ever(stuck: Stuck) -> None:
    workers = Workers(threads=1)
    running = asyncio.ensure_future(workers.run("a", stuck, seconds=LONG))
    queued = asyncio.ensure_future(workers.run("b", lambda: None, seconds=LONG))
    await wait_until(lambda: stuck.begun)
    await workers.close(SHORT)
    with pytest.raises(PodiumError, match="going down"):
        await queued
    with pytest.raises(PodiumError, match="going down"):
        await workers.run("c", lambda: None, seconds=LONG)
    stuck.go.set()
    assert await running == "done"
    await workers.close()
    await wait_until(lambda: not any(each.name == "workspaces" for each in threading.enumerate()))


@contextmanager
def lent(log: list[str]) -> Iterator[str]:
    """A loan that notes when it is taken and given back."""
    log.append("lent")
    try:
        yield "library"
    finally:
        log.append("back")


async def test_pieces_come_one_by_one_and_the_loan_is_given_back_however_it_ends(workers: Workers) -> None:
    def spell(library: str) -> Iterator[bytes]:
        for letter in library:
            yield letter.encode()
            yield b""

    log: list[str] = []
    found = [piece async for piece in workers.pieces("a", lent(log), spell, seconds=LONG)]
    assert (b"".join(found), b"" in found, log) == (b"library", False, ["lent", "back"])
    log = []
    async with aclosing(workers.pieces("a", lent(log), spell, seconds=LONG)) as pieces:  # type: ignore[type-var]
        assert await anext(pieces) == b"l"
    assert log == ["lent", "back"]


@pytest.mark.noisy("workspace_call_late")
async def test_a_loan_is_not_taken_away_from_who_still_uses_it(workers: Workers, stuck: Stuck) -> None:
    def one(_: str) -> Iterator[bytes]:
        yield stuck().encode()

    log: list[str] = []
    with pytest.raises(PodiumError) as caught:
        [piece async for piece in workers.pieces("a", lent(log), one, seconds=SHORT)]
    assert caught.value.code is ErrorCode.WORKSPACE_UNAVAILABLE
    assert log == ["lent"]
    stuck.go.set()
    await wait_until(lambda: log == ["lent", "back"])


async def test_a_loan_is_given_back_however_late_there_is_a_thread_for_that(stuck: Stuck) -> None:
    workers = Workers(threads=1)
    log: list[str] = []
    pieces = workers.pieces("a", lent(log), lambda library: iter([library.encode()] * 2), seconds=SHORT)
    assert await anext(pieces) == b"library"
    running = asyncio.ensure_future(workers.run("b", stuck, seconds=LONG))
    await wait_until(lambda: stuck.begun)
    await pieces.aclose()  # type: ignore[attr-defined]
    assert log == ["lent"]
    stuck.go.set()
    assert await running == "done"
    await wait_until(lambda: log == ["lent", "back"])
    await workers.close()
