"""After a restart, contents are found where later renames took them."""

from chronicle.model.changes import Change
from chronicle.recording.notes import WroteNote
from chronicle.recording.replay import Places
from chronicle.recording.tokens import Token


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
