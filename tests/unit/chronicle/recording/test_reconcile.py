"""What nobody noted is found by comparing, and nothing else is touched."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.model.changes import Change
from chronicle.recording import reconcile
from tests.unit.chronicle.recording.place import AT, Place, layout_at, open_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with open_place(*layout_at(tmp_path / "w", exclude=("*.tmp", "skip/"))) as place:
        yield place


def compare(place: Place, paths: list[bytes] | None = None) -> int:
    noted = reconcile(place.layout, place.history, place.recorder, paths=paths)
    place.recorder.barrier(30)
    return noted


def test_a_tree_that_nobody_recorded_is_recorded_whole(place: Place) -> None:
    tree = place.layout.tree
    (tree / "d" / "e").mkdir(parents=True)
    (tree / "d" / "f").write_bytes(b"1")
    (tree / "g").write_bytes(b"2")
    os.link(tree / "g", tree / "h")
    os.symlink("d/f", tree / "l")
    os.mkfifo(tree / "p")
    os.setxattr(tree / "g", "user.note", b"x")
    (tree / "a.tmp").write_bytes(b"3")
    (tree / "skip").mkdir()
    (tree / "skip" / "i").write_bytes(b"4")
    compare(place)
    entries = {entry.path: entry.version for entry in place.history.walk()}
    assert sorted(entries) == [b"d", b"d/e", b"d/f", b"g", b"h", b"l", b"p"]
    assert entries[b"g"].node == entries[b"h"].node
    assert entries[b"g"].xattrs == {b"user.note": b"x"}
    assert entries[b"l"].target == b"d/f"
    assert stat.S_ISFIFO(entries[b"p"].mode)
    head = place.history.head
    assert compare(place) == 0
    assert place.history.head == head


def test_what_changed_is_noted_and_nothing_else(place: Place) -> None:
    tree = place.layout.tree
    for name in (b"a", b"b", b"c", b"d", b"e", b"f"):
        place.make(name, name)
    place.mkdir(b"x")
    place.make(b"x/y", b"1")
    place.recorder.barrier(10)
    head = place.history.head
    (tree / "a").write_bytes(b"changed")
    (tree / "b").unlink()
    (tree / "c").unlink()
    (tree / "c").mkdir()
    (tree / "d").chmod(0o700)
    os.setxattr(tree / "e", "user.note", b"x")
    os.unlink(tree / "x" / "y")
    os.rmdir(tree / "x")
    (tree / "x").write_bytes(b"2")
    os.link(tree / "f", tree / "0")
    compare(place)
    found = {(each.kind, each.path) for each in place.history.log(after=head)}
    assert found == {
        ("modify", b"a"),
        ("delete", b"b"),
        ("delete", b"c"),
        ("mkdir", b"c"),
        ("chmod", b"d"),
        ("xattr", b"e"),
        ("delete", b"x/y"),
        ("delete", b"x"),
        ("create", b"x"),
        ("link", b"0"),
    }


def test_only_the_paths_that_are_asked_for_are_compared(place: Place) -> None:
    tree = place.layout.tree
    (tree / "d").mkdir()
    (tree / "d" / "f").write_bytes(b"1")
    (tree / "other").write_bytes(b"2")
    compare(place, [b"d/f", b"gone"])
    assert place.kinds() == [("mkdir", b"d"), ("create", b"d/f")]
    (tree / "d" / "f").unlink()
    compare(place, [b"d"])
    assert place.kinds()[2:] == [("delete", b"d/f")]


def test_a_touched_file_is_read_and_found_equal(place: Place) -> None:
    place.make(b"a", b"1")
    head = place.recorder.barrier(10)
    os.utime(place.path(b"a"), ns=(1, 1))
    compare(place)
    assert place.history.head == head


def test_hollow_entries_are_as_the_history_says(place: Place) -> None:
    tree = place.layout.tree
    for change in (
        Change(kind="mkdir", path=b"d", at=AT, mode=0o40755),
        Change(kind="mkdir", path=b"d/e", at=AT, mode=0o40755),
        Change(kind="mkdir", path=b"f", at=AT, mode=0o40755),
    ):
        place.recorder.changed(change)
    place.make(b"g", b"whole")
    place.recorder.barrier(10)
    head = place.history.head
    (place.layout.root / "hollow").touch()
    (tree / "d").mkdir()
    (tree / "g").write_bytes(b"")
    for name in ("d", "g"):
        os.setxattr(tree / name, "user.chronicle.hollow", b"1")
    compare(place)
    assert [(each.kind, each.path) for each in place.history.log(after=head)] == [("delete", b"f")]
    os.setxattr(tree, "user.chronicle.hollow", b"1")
    (tree / "d").rmdir()
    assert compare(place) == 0


@pytest.mark.proves("CHR-EXCLUDED")
def test_renames_over_the_border_of_the_excluded_are_deletions_and_creations(place: Place) -> None:
    place.mkdir(b"d")
    place.make(b"d/f", b"1")
    place.make(b"g", b"2")
    place.rename(b"d", b"skip")
    place.rename(b"g", b"g.tmp")
    place.make(b"h.tmp", b"3")
    place.rename(b"h.tmp", b"h")
    place.recorder.barrier(10)
    assert [entry.path for entry in place.history.walk()] == [b"h"]
    place.rename(b"skip", b"back")
    place.recorder.barrier(10)
    assert [entry.path for entry in place.history.walk()] == [b"back", b"back/f", b"h"]
    assert place.versions(b"back/f") == [b"1"]
    assert b"skip" not in {each.path for each in place.history.log()}
