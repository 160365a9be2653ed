"""Sealing, forking and folding: the same history in other files."""

import os
import shutil
from pathlib import Path

import pytest

from chronicle.model.errors import DamagedError, InvalidInputError, IterationNotFoundError
from chronicle.store.history import History, files
from chronicle.store.history.check import check
from chronicle.store.history.folding import Folding, how_many
from tests.unit.chronicle.history.trees import Teller, looked


def segments(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.endswith(".db") and name != "head.db")


def test_a_sealed_history_goes_on_as_if_nothing_happened(history: History, teller: Teller) -> None:
    teller.write(b"d/x", b"1")
    before = looked(history)
    history.seal()
    teller.write(b"d/x", b"2")
    assert looked(history, 2) == before
    assert [item.iteration for item in history.history(b"d/x")] == [3, 2]
    assert segments(history.directory) == ["segment-1.db", "segment-2.db"]


def test_sealing_an_empty_database_is_nothing(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    history.seal()
    history.seal()
    assert len(segments(history.directory)) == 2


def test_the_journal_position_goes_on_through_a_seal_and_begins_anew_in_a_fork(
    history: History, teller: Teller, tmp_path: Path
) -> None:
    with history.batch() as batch:
        batch.consumed(77)
    teller.write(b"x", b"1")
    history.seal()
    assert history.position() == 77
    history.fork(tmp_path / "fork", 1)
    with History.open(tmp_path / "fork") as fork:
        assert fork.position() == 0


@pytest.mark.proves("CHR-FORK")
def test_a_fork_and_its_parent_go_on_independently(history: History, teller: Teller, tmp_path: Path) -> None:
    teller.write(b"d/x", b"1")
    teller.write(b"d/x", b"2")
    history.fork(tmp_path / "fork", 2)
    teller.write(b"d/x", b"3")
    with History.open(tmp_path / "fork", writable=True) as fork:
        assert fork.head == 2
        Teller(fork).write(b"d/x", b"other")
        assert [item.iteration for item in fork.history(b"d/x")] == [3, 2]
        assert [item.iteration for item in history.history(b"d/x")] == [4, 3, 2]
        assert history.iteration(3).hash != fork.iteration(3).hash
        assert list(check(fork)) == []


@pytest.mark.proves("CHR-FORK")
def test_a_fork_outlives_its_parent(tmp_path: Path) -> None:
    with History.create(tmp_path / "parent") as parent:
        Teller(parent).write(b"x", b"1")
        parent.fork(tmp_path / "fork", 1)
    shutil.rmtree(tmp_path / "parent")
    with History.open(tmp_path / "fork", writable=True) as fork:
        Teller(fork).write(b"y", b"1")
        assert [entry.path for entry in fork.walk()] == [b"x", b"y"]


def test_forks_of_forks_share_segments_and_know_all_moments(history: History, teller: Teller, tmp_path: Path) -> None:
    for number in range(5):
        teller.write(b"x", b"%d" % number)
        history.seal()
    history.fork(tmp_path / "1", 3)
    with History.open(tmp_path / "1", writable=True) as first:
        Teller(first).write(b"y", b"1")
        first.fork(tmp_path / "2", 2)
        first.fork(tmp_path / "3", 4)
    for number, head in ((2, 2), (3, 4)):
        with History.open(tmp_path / str(number)) as fork:
            assert fork.head == head
            assert looked(fork, 2) == looked(history, 2)
            assert list(check(fork)) == []
    one, other = (tmp_path / name / "segment-1.db" for name in "13")
    assert one.stat().st_ino == other.stat().st_ino


def test_a_fork_of_the_beginning_is_empty(history: History, teller: Teller, tmp_path: Path) -> None:
    teller.write(b"x", b"1")
    history.fork(tmp_path / "fork", 0)
    with History.open(tmp_path / "fork", writable=True) as fork:
        assert (fork.head, list(fork.walk())) == (0, [])
        Teller(fork).write(b"y", b"1")
        assert fork.head == 1


def test_a_fork_has_the_checkpoints_up_to_its_moment(history: History, teller: Teller, tmp_path: Path) -> None:
    teller.write(b"x", b"1")
    teller.checkpoint("early")
    history.seal()
    teller.checkpoint("between")
    teller.write(b"x", b"2")
    teller.checkpoint("late")
    history.fork(tmp_path / "fork", 1)
    with History.open(tmp_path / "fork") as fork:
        assert [item.label for item in fork.checkpoints(newest_first=False)] == ["early", "between"]


def test_a_fork_needs_a_moment_and_an_empty_place(history: History, teller: Teller, tmp_path: Path) -> None:
    teller.write(b"x", b"1")
    with pytest.raises(IterationNotFoundError):
        history.fork(tmp_path / "fork", 2)
    history.fork(tmp_path / "fork", 1)
    with pytest.raises(InvalidInputError, match="already"):
        history.fork(tmp_path / "fork", 1)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([1] * 8, 0),
        ([1] * 9, 9),
        ([1] * 9 + [1000], 9),
        ([1, 1, 1, 9, 1, 1, 1, 1, 5000], 2 + 1),
        ([5, 1, 10_000, 1, 1, 1, 1, 1, 1], 2),
    ],
)
def test_a_long_chain_is_folded_where_little_has_to_be_copied(sizes: list[int], count: int) -> None:
    assert how_many(sizes, 8) == count


def test_a_chain_that_is_too_long_is_folded_and_says_the_same(history: History, teller: Teller) -> None:
    moments = {}
    for number in range(14):
        teller.write(b"d%d/x" % (number % 3), b"%d" % number)
        teller.checkpoint(f"c{number}")
        moments[history.head] = looked(history)
        history.seal()
    history.fold()
    assert len(segments(history.directory)) <= 9
    assert {at: looked(history, at) for at in moments} == moments
    assert [item.label for item in history.checkpoints(newest_first=False)] == [f"c{number}" for number in range(14)]
    with History.open(history.directory) as reader:
        assert looked(reader) == looked(history)


def test_a_fold_that_was_interrupted_goes_on_where_it_stood(
    history: History, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronicle.store.history.folding.STEP_ROWS", 2)
    for number in range(4):
        for name in (b"a", b"b", b"c"):
            teller.write(name, b"%d" % number)
        history.seal()
    before = {at: looked(history, at) for at in range(history.head + 1)}
    sealed = history._current().segments[1:4]
    whole = Folding(history.directory, sealed)
    steps = 0
    while whole.step():
        steps += 1
    whole.close()
    files.remove_database(history.directory / files.PARTIAL)

    folding = Folding(history.directory, sealed)
    for _ in range(5):
        assert folding.step()
    folding.close()
    again = Folding(history.directory, sealed)
    rest = 0
    while again.step():
        rest += 1
    again.finish()
    assert 5 + rest == steps
    history._let_go()
    assert {at: looked(history, at) for at in before} == before
    assert len(segments(history.directory)) == 3


def test_readers_notice_a_seal_and_survive_a_fold(history: History, teller: Teller) -> None:
    with History.open(history.directory) as reader:
        for number in range(12):
            teller.write(b"x", b"%d" % number)
            assert reader.head == number + 1
            history.seal()
        history.fold()
        assert len(reader.history(b"x")) == 12
        teller.write(b"x", b"last")
        assert reader.head == 13


def test_what_an_ended_process_left_is_tidied_by_the_next_writer(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    history.seal()
    directory = history.directory
    (directory / "segment-9.db").write_bytes(b"half")
    (directory / "segment-1.db-wal").write_bytes(b"old")
    kinds = [finding.kind for finding in check(history)]
    assert kinds == ["leftover-segment"]
    history.close()
    with History.open(directory, writable=True) as again:
        assert segments(directory) == ["segment-1.db", "segment-2.db"]
        assert not (directory / "segment-1.db-wal").exists()
        assert looked(again).keys() == {b"x"}


def test_a_missing_segment_is_said(tmp_path: Path) -> None:
    with History.create(tmp_path / "history") as history:
        Teller(history).write(b"x", b"1")
        history.seal()
    (tmp_path / "history" / "segment-1.db").unlink()
    with pytest.raises(DamagedError, match=r"segment-1\.db"):
        History.open(tmp_path / "history")
