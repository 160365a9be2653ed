"""What is told of recorded changes."""

from typing import Any

import pytest

from chronicle.model.iterations import Iteration, Kind
from podium.coordinator.domain.file_changes import Telling, merged, told
from podium.wire.events import FileChanged


def change(number: int, kind: Kind = "modify", path: bytes = b"a", **more: Any) -> Iteration:
    return Iteration(number, path, kind, 0, **more)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("create", "created"),
        ("mkdir", "created"),
        ("symlink", "created"),
        ("link", "created"),
        ("special", "created"),
        ("modify", "modified"),
        ("chmod", "modified"),
        ("xattr", "modified"),
        ("delete", "deleted"),
        ("rename", "renamed"),
        ("exchange", "renamed"),
    ],
)
def test_every_kind_is_one_of_four(kind: Kind, shown: str) -> None:
    assert told(change(1, kind)).kind == shown


def test_only_a_rename_says_where_from() -> None:
    assert told(change(1, "rename", b"new", from_=b"old")) == FileChanged(
        path="new", kind="renamed", iteration=1, from_="old"
    )
    assert told(change(1, "link", b"new", from_=b"old")).from_ is None


def test_names_that_are_no_text_are_escaped() -> None:
    assert told(change(1, path=b"a\xff\xc3\xa9")).path == "a\\xff\u00e9"


def test_changes_of_one_path_right_after_each_other_are_told_as_what_they_come_to() -> None:
    changes = [
        change(1, "create", size=0),
        change(2, size=5),
        change(3, "chmod", size=5),
        change(4, path=b"b", size=1),
        change(5, size=6),
        change(6, "delete"),
        change(7, "create", size=1),
    ]
    assert [(event.path, event.kind, event.iteration, event.size) for event in merged(changes)] == [
        ("a", "created", 3, 5),
        ("b", "modified", 4, 1),
        ("a", "modified", 5, 6),
        ("a", "deleted", 6, None),
        ("a", "created", 7, 1),
    ]


def test_a_renamed_file_that_is_then_written_stays_renamed() -> None:
    found = merged([change(1, "rename", b"new", from_=b"old"), change(2, path=b"new", size=3)])
    assert found == [FileChanged(path="new", kind="renamed", iteration=2, size=3, from_="old")]


def test_what_is_too_much_is_counted_and_told_at_the_end() -> None:
    telling = Telling(most=3)
    assert len(telling.take([change(n, path=b"%d" % n) for n in range(1, 3)])) == 2
    assert [event.iteration for event in telling.take([change(n, path=b"%d" % n) for n in range(3, 8)])] == [3]
    assert telling.take([change(8, path=b"8")]) == []
    assert telling.end() == [FileChanged(path="", kind="modified", iteration=8, omitted=5)]
    assert telling.end() == []
    assert len(telling.take([change(9)])) == 1


def test_nothing_too_much_needs_no_end() -> None:
    telling = Telling()
    telling.take([change(1)])
    assert telling.end() == []
