"""The list of sessions that any number of `podium acp` share."""

from pathlib import Path

import pytest

from diminuendo.acp.keeper import SessionView
from diminuendo.acp.shelf import Shelf, ShelfError
from diminuendo.domain.ids import make_session_id


def view(number: int, updated_at: int = 1) -> SessionView:
    session_id = make_session_id(bytes([number] * 10))
    return SessionView(session_id, "coder", session_id, "/p", "", updated_at)


def test_sessions_are_found_and_listed_by_their_last_use(tmp_path: Path) -> None:
    shelf, other = Shelf(tmp_path / "a" / "b"), Shelf(tmp_path / "a" / "b")
    for session in (view(1, 5), view(2, 9), view(3, 7)):
        shelf.put(session)
    other.put(view(1, 11)._replace(title="first"))
    assert [session.updated_at for session in shelf.all()] == [11, 9, 7]
    assert shelf.find(view(1).session_id) == view(1, 11)._replace(title="first")
    other.remove(view(2).session_id)
    other.remove(view(2).session_id)
    assert shelf.find(view(2).session_id) is None
    assert len(shelf.all()) == 2


def test_files_are_for_their_owners_eyes_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "list")
    shelf.put(view(1))
    (file,) = (tmp_path / "list").iterdir()
    assert (file.stat().st_mode & 0o777, (tmp_path / "list").stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_is_no_session_is_passed_over(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(view(1))
    (tmp_path / f"{view(2).session_id}.json").write_text("{")
    (tmp_path / "notes.json").write_text("{}")
    assert shelf.all() == [view(1)]
    assert shelf.find("../../etc/passwd") is None


def test_a_place_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShelfError, match="file"):
        Shelf(tmp_path / "file" / "list")
