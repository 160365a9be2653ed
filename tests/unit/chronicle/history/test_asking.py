"""Questions about paths and moments."""

from collections.abc import Sequence

import pytest

from chronicle.model.errors import (
    CheckpointNotFoundError,
    FileNotFoundInHistoryError,
    IterationNotFoundError,
    WorkspaceNotFoundError,
)
from chronicle.store.history import History
from chronicle.store.history.segments import Row, Segment
from tests.unit.chronicle.history.trees import Teller, digest


def told(history: History, path: bytes) -> list[tuple[str, bytes]]:
    return [(iteration.kind, iteration.path) for iteration in history.history(path)]


@pytest.mark.proves("CHR-FOLLOWS-RENAMES")
def test_a_history_goes_on_through_renames(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.rename(b"x", b"y")
    teller.write(b"y", b"2")
    assert told(history, b"y") == [("modify", b"y"), ("rename", b"y"), ("create", b"x")]
    assert told(history, b"x") == [("rename", b"y"), ("create", b"x")]


@pytest.mark.proves("CHR-FOLLOWS-RENAMES")
def test_a_history_goes_on_through_renames_of_the_directory(history: History, teller: Teller) -> None:
    teller.write(b"d/x", b"1")
    teller.rename(b"d", b"e")
    teller.write(b"e/x", b"2")
    assert told(history, b"e/x") == [("modify", b"e/x"), ("create", b"d/x")]
    assert told(history, b"d/x") == [("create", b"d/x")]


@pytest.mark.proves("CHR-FOLLOWS-RENAMES")
def test_a_history_has_the_lives_in_directories_that_were_removed_and_made_again(
    history: History, teller: Teller
) -> None:
    for content in (b"1", b"2", b"3"):
        teller.write(b"src/x", content)
        teller.delete(b"src")
    teller.write(b"src/x", b"4")
    assert [kind for kind, _ in told(history, b"src/x")] == ["create", "delete"] * 3 + ["create"]
    assert [kind for kind, _ in told(history, b"src")] == ["mkdir", "delete"] * 3 + ["mkdir"]


def test_a_history_has_both_lives_of_a_name_that_was_renamed_over(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.write(b"x.tmp", b"2")
    teller.rename(b"x.tmp", b"x")
    teller.write(b"x", b"3")
    assert told(history, b"x") == [("modify", b"x"), ("rename", b"x"), ("create", b"x.tmp"), ("create", b"x")]


def test_a_history_of_a_thousand_lives_is_paged(history: History, teller: Teller) -> None:
    for number in range(1000):
        teller.write(b"x.tmp", b"%d" % number)
        teller.rename(b"x.tmp", b"x")
    page = history.history(b"x", limit=3)
    assert [iteration.iteration for iteration in page] == [2000, 1999, 1998]
    assert [item.iteration for item in history.history(b"x", before=1998, limit=2)] == [1997, 1996]


def test_the_history_of_what_never_was_is_empty(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    assert history.history(b"y") == history.history(b"x/y") == []


@pytest.mark.proves("CHR-HISTORY-EXACT")
def test_a_moment_shows_the_tree_as_it_was(history: History, teller: Teller) -> None:
    teller.write(b"d/x", b"1")
    teller.write(b"d/x", b"2")
    teller.delete(b"d")
    found = history.lookup(b"d/x", 2)
    assert found is not None
    assert (found.digest, found.iteration) == (digest(b"1"), 2)
    assert history.lookup(b"d/x", 4) is None
    assert [entry.path for entry in history.walk(3)] == [b"d", b"d/x"]
    assert [entry.path for entry in history.walk()] == []
    assert [entry.path for entry in history.walk(0)] == []


def test_entries_are_sorted_and_paged(history: History, teller: Teller) -> None:
    for name in (b"b", b"a", b"\xff", b"a.b", b"c"):
        teller.write(b"d/" + name, b"1")
    names = [b"a", b"a.b", b"b", b"c", b"\xff"]
    assert [entry.name for entry in history.entries(b"d")] == names
    assert [entry.name for entry in history.entries(b"d", after=b"a.b", limit=2)] == names[2:4]


def test_a_walk_goes_on_beside_what_is_recorded_sealed_and_folded(history: History, teller: Teller) -> None:
    for number in range(300):
        teller.write(b"%d/x" % (number % 10), b"%d" % number)
    walk = history.walk()
    seen = [next(walk).path]
    for number in range(12):
        teller.delete(b"%d" % number)
        history.seal()
    history.fold()
    seen += [entry.path for entry in walk]
    assert seen == [path for number in range(10) for path in (b"%d" % number, b"%d/x" % number)]


@pytest.mark.parametrize("at", [-1, 2])
def test_a_moment_that_does_not_exist_is_named(history: History, teller: Teller, at: int) -> None:
    teller.write(b"x", b"1")
    with pytest.raises(IterationNotFoundError):
        history.lookup(b"x", at)
    with pytest.raises(IterationNotFoundError):
        history.differences(0, at)
    with pytest.raises(IterationNotFoundError):
        history.iteration(at)


def test_only_directories_have_entries(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    for path in (b"x", b"y", b"x/y"):
        with pytest.raises(FileNotFoundInHistoryError):
            history.entries(path)


def test_where_no_history_is_none_is_opened(history: History) -> None:
    with pytest.raises(WorkspaceNotFoundError):
        History.open(history.directory / "other")


def test_the_log_has_bounds_directions_and_a_directory(history: History, teller: Teller) -> None:
    teller.mkdir(b"d")
    teller.write(b"d/x", b"1")
    teller.write(b"dd", b"1")
    history.seal()
    teller.rename(b"d/x", b"y")
    teller.write(b"d/z", b"1")

    def numbers(**bounds: object) -> list[int]:
        return [item.iteration for item in history.log(**bounds)]  # type: ignore[arg-type]

    assert numbers() == [1, 2, 3, 4, 5]
    assert numbers(after=1, before=4) == [2, 3]
    assert numbers(newest_first=True, limit=2) == [5, 4]
    assert numbers(newest_first=True, before=4, after=1) == [3, 2]
    assert numbers(within=b"d") == [1, 2, 4, 5]
    assert numbers(within=b"d", newest_first=True, limit=2) == [5, 4]


def test_differences_are_what_changed_between(history: History, teller: Teller) -> None:
    teller.write(b"same", b"1")
    teller.write(b"changed", b"1")
    teller.write(b"gone", b"1")
    before = history.head
    teller.write(b"changed", b"2")
    teller.delete(b"gone")
    teller.write(b"new", b"1")
    teller.write(b"passing", b"1")
    teller.delete(b"passing")
    after = history.head
    shown = {item.path: (item.before is None, item.after is None) for item in history.differences(before, after)}
    assert shown == {b"changed": (False, False), b"gone": (False, True), b"new": (True, False)}
    turned = history.differences(after, before)
    assert {item.path: (item.after is None, item.before is None) for item in turned} == shown


def test_of_a_renamed_directory_everything_differs(history: History, teller: Teller) -> None:
    teller.write(b"d/e/x", b"1")
    before = history.head
    teller.rename(b"d", b"f")
    paths = [item.path for item in history.differences(before, history.head)]
    assert paths == [b"d", b"d/e", b"d/e/x", b"f", b"f/e", b"f/e/x"]
    assert [item.path for item in history.differences(before, history.head, b"f/e")] == [b"f/e", b"f/e/x"]


def test_what_was_removed_and_made_again_with_the_same_bytes_is_the_same(history: History, teller: Teller) -> None:
    teller.write(b"d/x", b"1")
    before = history.head
    teller.delete(b"d")
    teller.write(b"d/x", b"1")
    assert history.differences(before, history.head) == []


def test_a_changed_file_differs_at_all_its_names(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.link(b"x", b"d/y")
    before = history.head
    teller.write(b"x", b"2")
    assert [item.path for item in history.differences(before, history.head)] == [b"d/y", b"x"]


def test_names_that_became_one_file_differ(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.write(b"y", b"1")
    before = history.head
    teller.link(b"x", b"y")
    differences = history.differences(before, history.head)
    assert [item.path for item in differences] == [b"y"]
    assert differences[0].after is not None
    node = differences[0].after.node
    assert history.links([node]) == {node: [b"x", b"y"]}
    assert history.links([node], before) == {}
    assert history.links([node], within=b"y") == {}


def test_checkpoints_are_found_by_label_and_by_turn(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.checkpoint("first", "turn-1")
    teller.write(b"x", b"2")
    history.seal()
    teller.checkpoint("second")
    teller.write(b"x", b"3")
    teller.checkpoint("first", "turn-3")
    assert [(item.iteration, item.label) for item in history.checkpoints()] == [
        (3, "first"),
        (2, "second"),
        (1, "first"),
    ]
    assert [item.iteration for item in history.checkpoints(newest_first=False, limit=2)] == [1, 2]
    found = [history.checkpoint(name).iteration for name in ("first", "second", "turn-1", "turn-3")]
    assert found == [3, 2, 1, 3]
    with pytest.raises(CheckpointNotFoundError):
        history.checkpoint("third")


def test_a_directory_of_many_entries_is_asked_for_in_few_questions_whatever_database_has_them(
    history: History, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [b"d/%03d" % number for number in range(700)]
    for at, name in enumerate(names):
        teller.write(name, name)
        if at in (200, 400):
            history.seal()
    for name in names[::7]:
        teller.write(name, name + b" again")
    teller.rename(b"d/350", b"d/351")
    history.seal()
    questions = [0]
    plain = Segment.rows

    def counted(segment: Segment, sql: str, arguments: Sequence[object]) -> list[Row]:
        questions[0] += 1
        return plain(segment, sql, arguments)

    monkeypatch.setattr(Segment, "rows", counted)
    entries = history.entries(b"d")
    assert questions[0] <= 24
    monkeypatch.undo()
    assert [entry.path for entry in entries] == [name for name in names if name != b"d/350"]
    assert [entry.version for entry in entries] == [history.lookup(entry.path) for entry in entries]
    assert history.entries(b"d", after=b"349", limit=2) == entries[350:352]
    assert [entry.version.digest for entry in history.entries(b"d", 350)] == [digest(name) for name in names[:349]]
