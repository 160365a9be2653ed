"""The page that who serves a workspace shares with who uses it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.page import ORDERED, PAGE_BYTES, TURN_BYTES, Page

pytestmark = pytest.mark.skipif(not ORDERED, reason="this machine has no pages")

Pair = tuple[Page, Page]
_TURN_WORD, _LENGTH_WORD = 32 * 8, 33 * 8


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Who serves, who uses."""
    serving = Page.make(tmp_path / "page")
    assert serving is not None
    serving.recorded(7)
    serving.begin()
    using = Page.find(tmp_path / "page")
    assert using is not None
    yield serving, using
    serving.close()
    using.close()


def test_a_page_is_quiet_when_all_that_was_noted_is_recorded_and_nothing_is_open(pair: Pair) -> None:
    serving, using = pair
    assert using.quiet() == 7
    serving.opened()
    assert using.quiet() is None
    serving.noted()
    serving.closed()
    assert using.quiet() is None
    serving.recorded(8)
    assert using.quiet() == 8


def test_a_fresh_page_is_not_quiet_before_the_recorder_says_so(tmp_path: Path) -> None:
    serving = Page.make(tmp_path / "page")
    assert serving is not None
    assert Page.find(tmp_path / "page") is None
    serving.begin()
    using = Page.find(tmp_path / "page")
    assert using is not None
    assert using.quiet() is None
    serving.close()
    using.close()


def test_who_uses_the_page_of_a_process_that_was_replaced_sees_that(pair: Pair, tmp_path: Path) -> None:
    _, using = pair
    after = Page.make(tmp_path / "page")
    assert after is not None
    assert (using.quiet(), using.begin_turn("turn")) == (None, False)
    after.recorded(9)
    after.begin()
    assert (using.quiet(), using.begin_turn("turn")) == (None, False)
    fresh = Page.find(tmp_path / "page")
    assert fresh is not None
    assert fresh.quiet() == 9
    fresh.close()
    after.close()


def test_a_page_that_ended_promises_nothing(pair: Pair, tmp_path: Path) -> None:
    serving, using = pair
    serving.end()
    assert (using.quiet(), using.begin_turn("turn"), Page.find(tmp_path / "page")) == (None, False, None)


@pytest.mark.parametrize("turn", ["turn_1", "", None, "ü" * 100, "t" * TURN_BYTES])
def test_a_turn_is_read_as_it_was_written(pair: Pair, turn: str | None) -> None:
    serving, using = pair
    before = serving.turn_number
    assert using.begin_turn("another, longer than the next may be")
    assert using.begin_turn(turn)
    assert serving.turn_number == before + 4
    assert serving.turn() == (before + 4, turn)


def test_a_turn_that_is_too_long_or_begins_beside_an_open_file_goes_by_request(pair: Pair) -> None:
    serving, using = pair
    assert not using.begin_turn("t" * (TURN_BYTES + 1))
    serving.opened()
    assert not using.begin_turn("turn")
    assert serving.turn_number == 0


def test_a_turn_that_is_being_written_is_not_read(pair: Pair, tmp_path: Path) -> None:
    serving, using = pair
    assert using.begin_turn("whole")
    fd = os.open(tmp_path / "page", os.O_RDWR)
    os.pwrite(fd, (serving.turn_number + 1).to_bytes(8, "little"), _TURN_WORD)
    os.pwrite(fd, (3).to_bytes(8, "little"), _LENGTH_WORD)
    os.close(fd)
    assert serving.turn() is None
    assert using.begin_turn("next")  # who wrote before was cut off
    found = serving.turn()
    assert found is not None
    assert (found[0] % 2, found[1]) == (0, "next")


def test_what_is_no_page_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "page"
    assert Page.find(path) is None
    path.write_bytes(b"short")
    assert Page.find(path) is None
    path.write_bytes(b"x" * PAGE_BYTES)
    assert Page.find(path) is None


def test_a_page_that_can_not_be_made_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.symlink_to("elsewhere")
    assert Page.make(path) is None
    assert not path.is_symlink()
