"""What watching can't promise (docs/internals/chronicle-watch.md): each limit as it is, so that nobody believes otherwise."""

import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.chronicle.watch.watched import Watched, held_up, watching


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path / "w") as watched:
        yield watched


def test_versions_that_are_replaced_before_they_are_read_are_not_kept(watched: Watched) -> None:
    with held_up(watched.place):
        for content in (b"one", b"two", b"three"):
            (watched.tree / "a").write_bytes(content)
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == [b"three"]


def test_a_file_that_is_removed_before_it_is_read_leaves_no_content(watched: Watched) -> None:
    with held_up(watched.place):
        (watched.tree / "a").write_bytes(b"one")
        (watched.tree / "a").unlink()
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == []


def test_a_file_that_is_opened_and_changed_before_it_is_read_is_recorded_as_it_is_then(watched: Watched) -> None:
    with held_up(watched.place):
        (watched.tree / "a").write_bytes(b"one")
        file = open(watched.tree / "a", "r+b", buffering=0)  # noqa: SIM115 - it stays open over the barrier
        file.write(b"half")
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == [b"half"]
    file.close()


def test_a_call_returns_before_its_change_is_recorded_whatever_the_durability(watched: Watched) -> None:
    with held_up(watched.place):
        (watched.tree / "a").write_bytes(b"one")
        assert watched.place.history.head == 0
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == [b"one"]


def test_what_is_written_through_a_mapping_is_seen_when_the_mapping_ends(watched: Watched) -> None:
    (watched.tree / "a").write_bytes(b"one")
    with open(watched.tree / "a", "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 3)
    watched.backend.barrier(10)
    mapping[:] = b"two"
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == [b"one"]
    mapping.close()
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == [b"one", b"two"]


def test_a_hard_link_is_recorded_as_a_file_of_its_own_until_the_tree_is_compared(watched: Watched) -> None:
    (watched.tree / "a").write_bytes(b"one")
    watched.backend.barrier(10)
    os.link(watched.tree / "a", watched.tree / "b")
    watched.backend.barrier(10)
    assert [each.kind for each in watched.place.history.history(b"b")] == ["create"]
    (watched.tree / "b").write_bytes(b"two")
    watched.backend.barrier(10)
    assert watched.place.versions(b"a") == [b"one"]  # nothing is notified about the other name


def exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE, which Python doesn't have."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.renameat2(-100, bytes(one), -100, bytes(other), 2) == 0


def test_an_exchange_is_recorded_as_what_became_of_the_two_paths(watched: Watched) -> None:
    (watched.tree / "a").write_bytes(b"one")
    (watched.tree / "b").write_bytes(b"second")
    (watched.tree / "c").mkdir()
    (watched.tree / "c" / "f").write_bytes(b"in c")
    (watched.tree / "d" / "e").mkdir(parents=True)
    watched.backend.barrier(10)
    exchange(watched.tree / "a", watched.tree / "b")
    exchange(watched.tree / "c", watched.tree / "d")
    watched.backend.barrier(10)
    assert watched.contents() == watched.really()
    assert "exchange" not in {each.kind for each in watched.place.history.log()}
    (watched.tree / "d" / "f").write_bytes(b"in d")
    (watched.tree / "c" / "e" / "g").write_bytes(b"in c/e")
    watched.backend.barrier(10)
    assert watched.contents() == watched.really()


def test_a_turn_is_whose_doing_it_was_when_the_notification_was_read(watched: Watched) -> None:
    with held_up(watched.place):
        (watched.tree / "a").write_bytes(b"one")
        watched.place.recorder.annotate("later")
    watched.backend.barrier(10)
    watched.place.recorder.annotate(None)
    assert [each.turn_id for each in watched.place.history.history(b"a")] == ["later"]
