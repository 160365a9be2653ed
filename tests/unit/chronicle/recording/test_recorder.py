"""What is noted is recorded, in order, whatever happens to it meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.model.changes import Change
from chronicle.model.iterations import Checkpoint
from tests.unit.chronicle.recording.place import AT, Place, layout_at, open_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with open_place(*layout_at(tmp_path / "w")) as place:
        yield place


def test_a_closed_file_is_recorded_with_its_content(place: Place) -> None:
    place.make(b"a", b"one")
    assert place.recorder.barrier(10) == 1
    assert place.versions(b"a") == [b"one"]
    assert [each.iteration for each in place.told] == [1]
    assert os.listdir(place.layout.pending) == []


@pytest.mark.proves("CHR-EVERY-VERSION")
@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
def test_versions_that_follow_each_other_faster_than_they_are_recorded_are_all_kept(place: Place, size: int) -> None:
    contents = [bytes([65 + n]) * size for n in range(5)]
    for content in contents:
        place.make(b"a", content)
    place.recorder.barrier(30)
    assert place.versions(b"a") == contents
    assert os.listdir(place.layout.pending) == []


def test_a_file_that_is_removed_before_it_was_read_is_recorded_all_the_same(place: Place) -> None:
    place.make(b"a", b"one")
    place.unlink(b"a")
    place.recorder.barrier(10)
    assert place.kinds() == [("create", b"a"), ("delete", b"a")]
    assert place.versions(b"a") == [b"one"]


def test_changes_are_recorded_in_the_order_in_which_they_are_noted(place: Place) -> None:
    place.mkdir(b"d")
    place.make(b"d/a", b"one")
    place.rename(b"d", b"e")
    place.make(b"b", b"two")
    place.rename(b"b", b"e/a")
    place.recorder.barrier(10)
    assert place.kinds() == [
        ("mkdir", b"d"),
        ("create", b"d/a"),
        ("rename", b"e"),
        ("create", b"b"),
        ("rename", b"e/a"),
    ]


@pytest.mark.proves("CHR-EQUAL-BYTES")
def test_equal_bytes_are_no_iteration(place: Place) -> None:
    place.make(b"a", b"one")
    place.make(b"a", b"one")
    assert place.recorder.barrier(10) == 1


def test_changes_carry_the_turn_that_was_announced_before_them(place: Place) -> None:
    place.make(b"a", b"1")
    place.recorder.annotate("turn-1")
    place.make(b"b", b"1")
    place.mkdir(b"d")
    place.recorder.annotate(None)
    place.mkdir(b"e")
    place.recorder.barrier(10)
    assert [each.turn_id for each in place.history.log()] == [None, "turn-1", "turn-1", None]


def test_a_checkpoint_lies_between_what_was_noted_before_and_after(place: Place) -> None:
    made: list[Checkpoint] = []
    place.make(b"a", b"1")
    place.recorder.checkpoint(label="here", turn_id="t", done=made.append)
    place.make(b"b", b"1")
    place.recorder.barrier(10)
    assert [(each.iteration, each.label, each.turn_id) for each in made] == [(1, "here", "t")]
    assert place.history.checkpoint("here").iteration == 1


def test_who_waits_is_told_the_head(place: Place) -> None:
    heads: list[int] = []
    place.make(b"a", b"1")
    place.recorder.when_recorded(heads.append)
    place.recorder.barrier(10)
    place.make(b"b", b"1")
    place.recorder.when_recorded(heads.append)
    place.recorder.barrier(10)
    assert heads == [1, 2]


def test_a_stopped_recorder_has_recorded_everything_and_left_nothing(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings) as place:
        place.make(b"a", b"1")
        place.make(b"a", b"2")
    assert layout.journal.stat().st_size == 16
    with open_place(layout, settings) as place:
        assert place.history.head == 2
        place.recorder.changed(Change(kind="delete", path=b"a", at=AT))
        assert place.recorder.barrier(10) == 3
