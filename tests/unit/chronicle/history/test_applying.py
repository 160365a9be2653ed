"""What becomes of a change."""

from collections.abc import Sequence

import pytest

from chronicle.model.changes import DIRECTORY, REGULAR, SYMLINK, Change
from chronicle.model.errors import InvalidInputError
from chronicle.model.iterations import Iteration
from chronicle.store.history import History
from tests.unit.chronicle.history.trees import Teller, digest


def apply(history: History, *changes: Change) -> list[Iteration]:
    with history.batch() as batch:
        return [made for change in changes for made in batch.apply(change)]


def write(path: bytes, content: bytes, mode: int = REGULAR | 0o644, at: int = 1) -> Change:
    return Change("write", path, at, mode=mode, mtime_ns=9, size=len(content), digest=digest(content), turn_id="t1")


def told(made: Sequence[Iteration]) -> list[tuple[str, bytes]]:
    return [(iteration.kind, iteration.path) for iteration in made]


def test_a_new_file_is_one_iteration_with_everything_known_of_it(history: History) -> None:
    [made] = apply(history, write(b"x", b"content", at=5))
    assert made == Iteration(1, b"x", "create", 5, 7, digest(b"content").hex(), REGULAR | 0o644, None, "t1")
    assert history.iteration(1) == made


@pytest.mark.proves("CHR-EQUAL-BYTES")
def test_writing_the_same_bytes_again_is_no_iteration(history: History) -> None:
    apply(history, write(b"x", b"1"))
    assert apply(history, write(b"x", b"1", at=99)) == []
    assert history.head == 1


def test_other_bytes_modify_and_another_mode_alone_is_chmod(history: History) -> None:
    apply(history, write(b"x", b"1"))
    made = apply(history, write(b"x", b"2"), write(b"x", b"2", REGULAR | 0o755))
    assert told(made) == [("modify", b"x"), ("chmod", b"x")]


def test_directories_nobody_told_of_are_made(history: History) -> None:
    made = apply(history, write(b"a/b/x", b"1"))
    assert told(made) == [("mkdir", b"a"), ("mkdir", b"a/b"), ("create", b"a/b/x")]


def test_making_a_directory_twice_is_nothing(history: History) -> None:
    change = Change("mkdir", b"d", 1, mode=DIRECTORY | 0o755)
    assert told(apply(history, change, change)) == [("mkdir", b"d")]


def test_what_a_removed_directory_held_goes_first(history: History) -> None:
    apply(history, write(b"d/e/x", b"1"), write(b"d/y", b"1"))
    made = apply(history, Change("delete", b"d", 2))
    assert told(made) == [("delete", b"d/e/x"), ("delete", b"d/e"), ("delete", b"d/y"), ("delete", b"d")]


def test_removing_what_is_not_there_is_nothing(history: History) -> None:
    assert apply(history, Change("delete", b"x", 1), Change("delete", b"a/b/c", 1)) == []


def test_a_deletion_tells_no_content(history: History) -> None:
    apply(history, write(b"x", b"1"))
    assert apply(history, Change("delete", b"x", 3)) == [Iteration(2, b"x", "delete", 3)]


def test_something_of_another_type_replaces_what_is_there(history: History) -> None:
    apply(history, write(b"x", b"1"))
    made = apply(history, Change("mkdir", b"x", 1, mode=DIRECTORY | 0o755), write(b"x", b"1"))
    assert told(made) == [("delete", b"x"), ("mkdir", b"x"), ("delete", b"x"), ("create", b"x")]


def test_a_file_where_a_directory_is_needed_gives_way(history: History) -> None:
    apply(history, write(b"x", b"1"))
    assert told(apply(history, write(b"x/y", b"1"))) == [("delete", b"x"), ("mkdir", b"x"), ("create", b"x/y")]


def test_a_rename_over_a_file_is_one_iteration(history: History) -> None:
    apply(history, write(b"x", b"1"), write(b"x.tmp", b"2"))
    [made] = apply(history, Change("rename", b"x", 1, source=b"x.tmp"))
    assert (made.kind, made.from_, made.hash) == ("rename", b"x.tmp", digest(b"2").hex())
    assert [entry.path for entry in history.walk()] == [b"x"]


def test_renaming_a_directory_is_one_iteration_whatever_it_holds(history: History) -> None:
    apply(history, *(write(b"d/%d" % number, b"1") for number in range(50)))
    assert told(apply(history, Change("rename", b"e", 1, source=b"d"))) == [("rename", b"e")]
    assert len(history.entries(b"e")) == 50
    assert told(apply(history, write(b"e/1", b"2"))) == [("modify", b"e/1")]


@pytest.mark.parametrize(("source", "path"), [(b"d", b"d/e"), (b"d", b"d/e/f"), (b"d/x", b"d"), (b"no", b"y")])
def test_a_rename_that_no_kernel_does_is_nothing(history: History, source: bytes, path: bytes) -> None:
    apply(history, write(b"d/x", b"1"))
    assert apply(history, Change("rename", path, 1, source=source)) == []


def test_a_directory_that_still_held_things_is_emptied_when_another_takes_its_name(history: History) -> None:
    apply(history, write(b"d/x", b"1"), Change("mkdir", b"e", 1, mode=DIRECTORY | 0o755))
    assert told(apply(history, Change("rename", b"d", 1, source=b"e"))) == [("delete", b"d/x"), ("rename", b"d")]


def test_an_exchange_is_two_iterations_and_one_moment(history: History) -> None:
    apply(history, write(b"x", b"1"), write(b"y", b"2"))
    made = apply(history, Change("exchange", b"x", 1, source=b"y"))
    assert [(item.kind, item.path, item.from_) for item in made] == [("exchange", b"x", b"y"), ("exchange", b"y", b"x")]
    for at in (3, 4):
        digests = [entry.version.digest for entry in history.entries(b"", at)]
        assert digests == [digest(b"2"), digest(b"1")]


def test_hard_links_are_one_file_until_the_last_name_goes(history: History) -> None:
    apply(history, write(b"x", b"1"), Change("link", b"y", 1, source=b"x"), write(b"y", b"2"))
    found = history.lookup(b"x")
    assert found is not None
    assert found.digest == digest(b"2")
    assert history.names_of(found.node) == [b"x", b"y"]
    apply(history, Change("delete", b"x", 1))
    left = history.lookup(b"y")
    assert left is not None
    assert (left.node, left.digest, history.names_of(left.node)) == (found.node, digest(b"2"), [b"y"])


def test_a_symlink_has_a_target_and_no_content(history: History) -> None:
    [made] = apply(history, Change("symlink", b"l", 1, mode=SYMLINK | 0o777, target=b"../\xff"))
    found = history.lookup(b"l")
    assert found is not None
    assert (made.kind, made.size, made.hash, found.target, found.type) == ("symlink", None, None, b"../\xff", "symlink")


def test_extended_attributes_are_kept_and_equal_ones_are_no_change(history: History) -> None:
    apply(history, write(b"x", b"1"))
    one, other = {b"user.a": b"1", b"user.b": b"\xff"}, {b"user.b": b"\xff", b"user.a": b"1"}
    made = apply(history, Change("xattr", b"x", 1, xattrs=one), Change("xattr", b"x", 1, xattrs=other))
    assert told(made) == [("xattr", b"x")]
    found = history.lookup(b"x")
    assert found is not None
    assert found.xattrs == one


def test_the_root_has_a_mode_too(history: History) -> None:
    [made] = apply(history, Change("attributes", b"", 1, mode=0o700))
    assert (made.kind, made.path, made.mode) == ("chmod", b"", DIRECTORY | 0o700)
    assert [item.path for item in history.differences(0, 1)] == [b""]
    assert apply(history, Change("delete", b"", 1), Change("mkdir", b"", 1), write(b"", b"1")) == []


def test_time_does_not_run_backwards_when_the_clock_is_set_back(history: History) -> None:
    made = apply(history, write(b"x", b"1", at=1000), write(b"y", b"1", at=400), write(b"z", b"1", at=2000))
    assert [item.timestamp for item in made] == [1000, 1000, 2000]
    with History.open(history.directory) as again:
        assert [item.timestamp for item in again.log()] == [1000, 1000, 2000]


@pytest.mark.proves("CHR-NO-GAPS")
def test_a_batch_that_fails_leaves_nothing_and_its_numbers_are_given_again(history: History) -> None:
    apply(history, write(b"x", b"1"))
    with pytest.raises(RuntimeError), history.batch() as batch:  # noqa: PT012 - the batch is what fails
        batch.apply(write(b"d/y", b"1"))
        batch.apply(Change("delete", b"x", 1))
        batch.consumed(7)
        raise RuntimeError
    assert (history.head, history.position()) == (1, 0)
    assert told(apply(history, write(b"d/y", b"1"))) == [("mkdir", b"d"), ("create", b"d/y")]
    assert history.lookup(b"x") is not None


def test_what_a_batch_records_is_not_seen_before_it_is_whole(history: History) -> None:
    with history.batch(durable=True) as batch:
        batch.apply(write(b"x", b"1"))
        batch.consumed(12)
        assert (batch.head, history.head, history.position()) == (1, 0, 0)
    assert (history.head, history.position()) == (1, 12)


def test_who_opened_it_for_reading_can_not_write(history: History) -> None:
    with History.open(history.directory) as reader:
        with pytest.raises(InvalidInputError, match="for reading"), reader.batch():
            pass


def test_a_history_is_made_once(history: History) -> None:
    with pytest.raises(InvalidInputError, match="already"):
        History.create(history.directory)


def test_paths_of_a_thousand_levels_are_recorded_and_removed(history: History, teller: Teller) -> None:
    path = b"/".join([b"a"] * 1200)
    teller.write(path, b"1")
    assert history.lookup(path) is not None
    assert history.history(path)[0].path == path
    teller.delete(b"a")
    assert list(history.walk()) == []
    assert history.head == 2400
