"""After a restart, contents are found where later renames took them."""

import os
from pathlib import Path

import pytest

from chronicle import reaching, remove_tree
from chronicle.layout import Layout, Settings
from chronicle.model.changes import Change
from chronicle.recording.journal import Journal
from chronicle.recording.notes import WroteNote, encode
from chronicle.recording.replay import Places, replay
from chronicle.recording.tokens import Token
from tests.unit.chronicle.test_removing import deep


def token(name: bytes) -> Token:
    return Token(WroteNote(name, 0, 0, 0, 0, 0, None), 0)


def changed(places: Places, kind: str, path: bytes, source: bytes | None = None) -> None:
    places.changed(Change(kind=kind, path=path, at=0, source=source))  # type: ignore[arg-type]


def where(places: Places) -> dict[bytes, list[bytes]]:
    return {path: [each.note.path for each in there if each.note] for path, there in places.all()}


def test_a_directory_takes_what_it_holds_along() -> None:
    places = Places()
    places.wrote(b"a/b/c", token(b"c"))
    places.wrote(b"a/d", token(b"d"))
    changed(places, "rename", b"x/y", b"a")
    changed(places, "rename", b"e", b"x/y/d")
    assert where(places) == {b"x/y/b/c": [b"c"], b"e": [b"d"]}


def test_what_is_exchanged_changes_places() -> None:
    places = Places()
    places.wrote(b"a/f", token(b"1"))
    places.wrote(b"b", token(b"2"))
    changed(places, "exchange", b"b", b"a")
    assert where(places) == {b"b/f": [b"1"], b"a": [b"2"]}


def test_a_file_is_found_by_its_other_name() -> None:
    places = Places()
    places.wrote(b"a", token(b"1"))
    changed(places, "link", b"b", b"a")
    changed(places, "delete", b"a")
    assert where(places) == {b"b": [b"1"]}


def test_what_is_replaced_or_removed_is_nowhere() -> None:
    places = Places()
    places.wrote(b"a", token(b"1"))
    places.wrote(b"b", token(b"2"))
    changed(places, "rename", b"b", b"a")
    assert where(places) == {b"b": [b"1"]}
    changed(places, "delete", b"b")
    changed(places, "delete", b"never/was")
    changed(places, "rename", b"c", b"never/was")
    assert where(places) == {}


@pytest.mark.parametrize("other", [b"other", b"d/" * 1500 + b"other"])
def test_what_a_link_on_the_way_shows_outside_is_not_taken_for_the_file_that_lies_elsewhere_in_the_tree(
    tmp_path: Path, other: bytes
) -> None:
    """The file has a second name, which is found however deep it is; the first was in a directory that left the tree."""
    layout = Layout(tmp_path / "w")
    layout.make(Settings("w"))
    (layout.tree / "away").mkdir()
    (layout.tree / "away" / "f").write_bytes(b"content")
    inode = (layout.tree / "away" / "f").stat().st_ino
    if b"/" in other:
        deep(layout.tree, other.count(b"/"), "beside")
    with reaching.place(layout.tree, other) as (here, name):
        os.link(layout.tree / "away" / "f", name, dst_dir_fd=here)
    (layout.tree / "away").rename(tmp_path / "outside")
    (layout.tree / "away").symlink_to(tmp_path / "outside")
    journal = Journal(layout.root / "journal", 0)
    journal.append(encode(WroteNote(b"away/f", 1, 0o100644, 1, inode, 7, None)))
    items = replay(layout, journal, 0)
    journal.close()
    assert [item.token.found for item in items if item.token] == [other]
    remove_tree(layout.tree)
