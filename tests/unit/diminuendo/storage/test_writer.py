"""Many small writes as few transactions, on a clock that is moved by hand."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diminuendo.storage.errors import StorageError
from diminuendo.storage.writer import BATCH_COMMANDS, BATCH_SECONDS, BatchWriter, Command, Timer
from podium.base.clock import ManualClock


class Alarm:
    """One call that is to come."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Bench:
    """A writer, its time and its file."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.alarms: list[Alarm] = []
        self.failures: list[StorageError] = []
        self.told: list[str] = []
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("CREATE TABLE row (name TEXT PRIMARY KEY)")
        self.writer = BatchWriter(path, self.connection, self.clock, self.call_later, self.failures.append)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.alarms.append(Alarm(self.clock.monotonic() + seconds, call))
        return self.alarms[-1]

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        due = [alarm for alarm in self.alarms if alarm.at <= self.clock.monotonic() + 1e-9]
        self.alarms = [alarm for alarm in self.alarms if alarm not in due]
        for alarm in due:
            if not alarm.cancelled:
                alarm.call()

    def put(self, *names: str) -> None:
        commands = [Command("INSERT INTO row VALUES (?)", (name,)) for name in names]
        self.writer.put(commands, lambda: self.told.extend(names))

    def stored(self) -> list[str]:
        return [name for (name,) in self.connection.execute("SELECT name FROM row ORDER BY rowid")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "x.db")
    yield made
    made.connection.close()


def test_a_write_after_a_pause_is_committed_at_once(bench: Bench) -> None:
    bench.put("a")
    assert bench.stored() == bench.told == ["a"]


def test_writes_right_after_each_other_wait_for_fifty_milliseconds_together(bench: Bench) -> None:
    bench.put("a")
    bench.put("b")
    bench.put("c")
    bench.advance(BATCH_SECONDS - 0.001)
    assert bench.stored() == bench.told == ["a"]
    bench.advance(0.001)
    assert bench.stored() == bench.told == ["a", "b", "c"]
    assert (BATCH_SECONDS, bench.writer.commits) == (0.05, 2)


def test_the_hundredth_command_waits_for_nothing(bench: Bench) -> None:
    bench.put("a")
    for number in range(BATCH_COMMANDS - 1):
        bench.put(str(number))
    assert bench.stored() == ["a"]
    bench.put("last")
    assert (BATCH_COMMANDS, len(bench.stored()), bench.writer.commits) == (100, 101, 2)
    assert bench.told[-1] == "last"
    bench.advance(1)
    assert bench.writer.commits == 2


def test_what_is_put_together_is_never_committed_apart(bench: Bench) -> None:
    bench.put("a")
    bench.put(*(str(number) for number in range(2 * BATCH_COMMANDS)))
    assert (len(bench.stored()), bench.writer.commits) == (2 * BATCH_COMMANDS + 1, 2)


def test_flushing_commits_now_and_does_it_once(bench: Bench) -> None:
    bench.put("a")
    bench.put("b")
    bench.writer.flush()
    assert bench.told == ["a", "b"]
    bench.advance(1)
    assert bench.writer.commits == 2


def test_a_batch_that_fails_is_told_to_nobody_and_is_the_last_one(bench: Bench) -> None:
    bench.put("a")
    bench.put("b")
    bench.put("a")
    bench.advance(BATCH_SECONDS)
    assert bench.stored() == bench.told == ["a"]
    (failure,) = bench.failures
    assert "UNIQUE" in str(failure)
    with pytest.raises(StorageError, match="UNIQUE"):
        bench.put("c")
    with pytest.raises(StorageError, match="UNIQUE"):
        bench.writer.flush()
    assert bench.stored() == ["a"]


def test_a_failure_at_once_is_raised_where_it_was_put(bench: Bench) -> None:
    bench.put("a")
    bench.advance(1)
    with pytest.raises(StorageError):
        bench.put("a")
    assert bench.failures == []


def test_something_that_changes_nothing_is_told_in_its_order(bench: Bench) -> None:
    bench.put("a")
    bench.put("b")
    bench.writer.put([], lambda: bench.told.append("nothing"))
    bench.advance(BATCH_SECONDS)
    assert bench.told == ["a", "b", "nothing"]
