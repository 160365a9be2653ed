"""A restored tree equals the moment, and nothing that was the same is touched."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronicle.model.errors import StorageError, VersionDroppedError
from chronicle.worktree import Worktree, restore
from tests.unit.chronicle.worktree.past import Past, seen, without_times


def materialised(past: Past) -> Worktree:
    """Makes the tree what head says."""
    worktree = Worktree(past.layout, past.history, past.pool)
    worktree.make_hollow(None)
    worktree.complete()
    return worktree


def restored(past: Past, moment: int, path: bytes = b"") -> list[bytes]:
    return restore(past.history, past.pool, past.layout.tree, moment, path)


def inodes(tree: Path) -> dict[bytes, tuple[int, int]]:
    return {
        path: (there.st_ino, there.st_mtime_ns) for path in seen(tree) for there in [os.lstat(tree / os.fsdecode(path))]
    }


def test_everything_is_as_it_was(past: Past) -> None:
    past.write("same", b"same")
    past.write("changed", b"old", 0o600)
    past.mkdir("gone")
    past.write("gone/file", b"gone")
    past.symlink("link", "changed")
    past.write("becomes a directory", b"file")
    past.mkdir("becomes a file")
    past.write("becomes a file/inside", b"x")
    past.mkdir("renamed", 0o700)
    past.write("renamed/inside", b"inside", 0o755)
    past.change("special", "queue", mode=stat.S_IFIFO | 0o600)
    moment = past.history.head
    past.write("changed", b"new", 0o644)
    past.delete("gone/file")
    past.delete("gone")
    past.delete("link")
    past.symlink("link", "elsewhere")
    past.delete("becomes a directory")
    past.mkdir("becomes a directory")
    past.write("becomes a directory/inside", b"y")
    past.delete("becomes a file/inside")
    past.delete("becomes a file")
    past.write("becomes a file", b"file now")
    past.rename("moved", "renamed")
    past.write("new", b"new")
    past.delete("queue")
    materialised(past)
    before = inodes(past.layout.tree)
    restored(past, moment)
    assert without_times(seen(past.layout.tree)) == without_times(past.at(moment))
    assert inodes(past.layout.tree)[b"same"] == before[b"same"]


def test_what_did_not_differ_is_not_touched_and_what_did_is_named(past: Past) -> None:
    past.mkdir("d")
    for number in range(20):
        past.write(f"d/{number}", b"%d" % number)
    moment = past.history.head
    past.write("d/7", b"seven")
    past.write("extra", b"extra")
    materialised(past)
    before = inodes(past.layout.tree)
    assert restored(past, moment) == [b"d/7", b"extra"]
    after = inodes(past.layout.tree)
    assert {path for path in after if after[path] != before[path] and path != b"d"} == {b"d/7"}
    there = past.history.lookup(b"d/7", moment)
    assert there is not None
    assert after[b"d/7"][1] == there.mtime_ns


def test_one_path_is_restored_with_the_directories_it_needs_and_nothing_else(past: Past) -> None:
    past.mkdir("a", 0o711)
    past.mkdir("a/b", 0o750)
    past.write("a/b/wanted", b"wanted")
    past.write("a/b/not wanted", b"x")
    past.write("other", b"then")
    moment = past.history.head
    past.delete("a/b/wanted")
    past.delete("a/b/not wanted")
    past.delete("a/b")
    past.delete("a")
    past.write("other", b"now")
    materialised(past)
    restored(past, moment, b"a/b/wanted")
    tree = without_times(seen(past.layout.tree))
    then = without_times(past.at(moment))
    assert tree == {
        **{path: then[path] for path in (b"a", b"a/b", b"a/b/wanted")},
        b"other": without_times(past.at())[b"other"],
    }


def test_whoever_has_the_old_file_open_reads_the_old_content(past: Past) -> None:
    past.write("file", b"then")
    past.write("file", b"now!")
    materialised(past)
    with open(past.layout.tree / "file", "rb") as reader:
        restored(past, 1)
        assert reader.read() == b"now!"
    assert (past.layout.tree / "file").read_bytes() == b"then"


def test_names_of_one_file_are_one_file_again(past: Past) -> None:
    past.write("one", b"shared")
    past.link("two", "one")
    past.mkdir("d")
    past.link("d/three", "one")
    linked = past.history.head
    past.write("one", b"shared and changed")
    changed = past.history.head
    past.delete("two")
    past.write("two", b"alone")
    materialised(past)
    restored(past, changed)
    assert without_times(seen(past.layout.tree)) == without_times(past.at(changed))
    before = os.stat(past.layout.tree / "one").st_ino
    for change in ("delete",):
        past.change(change, "two")
    past.link("two", "one")
    restored(past, linked)
    assert without_times(seen(past.layout.tree)) == without_times(past.at(linked))
    assert os.stat(past.layout.tree / "d/three").st_ino == before


def test_a_name_outside_the_path_keeps_its_content(past: Past) -> None:
    past.mkdir("in")
    past.write("in/one", b"then")
    past.link("outside", "in/one")
    moment = past.history.head
    past.write("outside", b"now")
    materialised(past)
    restored(past, moment, b"in")
    assert (past.layout.tree / "in/one").read_bytes() == b"then"
    assert (past.layout.tree / "outside").read_bytes() == b"now"


def test_extended_attributes_come_back(past: Past) -> None:
    past.write("file", b"x")
    past.change("xattr", "file", xattrs={b"user.a": b"1", b"user.b": b"2"})
    moment = past.history.head
    past.change("xattr", "file", xattrs={b"user.b": b"3", b"user.c": b"4"})
    materialised(past)
    restored(past, moment)
    assert seen(past.layout.tree) == past.at(moment)


def test_an_excluded_file_keeps_its_directory(past: Past) -> None:
    moment = past.history.head
    past.mkdir("d")
    past.write("d/file", b"x")
    materialised(past)
    (past.layout.tree / "d/excluded").write_bytes(b"no history")
    restored(past, moment)
    assert seen(past.layout.tree).keys() == {b"d", b"d/excluded"}


def test_an_excluded_file_in_the_way_is_an_error_and_is_not_lost(past: Past) -> None:
    past.write("d", b"a file")
    past.delete("d")
    past.mkdir("d")
    materialised(past)
    (past.layout.tree / "d/excluded").write_bytes(b"no history")
    with pytest.raises(StorageError, match="d can't be restored"):
        restored(past, 1)
    assert (past.layout.tree / "d/excluded").read_bytes() == b"no history"


def test_a_link_that_was_put_in_the_way_is_not_followed(past: Past, tmp_path: Path) -> None:
    past.mkdir("d")
    past.write("d/file", b"then")
    moment = past.history.head
    past.write("d/file", b"now")
    materialised(past)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"theirs")
    os.rename(past.layout.tree / "d", tmp_path / "away")
    os.symlink(outside, past.layout.tree / "d")
    with pytest.raises(StorageError):
        restored(past, moment)
    assert (outside / "file").read_bytes() == b"theirs"
    assert os.listdir(outside) == ["file"]


def test_a_content_that_was_given_up_is_said_before_anything_changes(past: Past) -> None:
    past.write("a", b"then")
    past.change("write", "b", size=3, digest=bytes(32), mode=0o100644)
    moment = past.history.head
    past.write("a", b"now")
    past.write("b", b"now")
    materialised(past)
    before = seen(past.layout.tree)
    with pytest.raises(VersionDroppedError):
        restored(past, moment)
    assert seen(past.layout.tree) == before


def test_a_hollow_tree_is_restored_where_it_lies(past: Past) -> None:
    past.mkdir("a")
    past.mkdir("a/b")
    past.write("a/b/one", b"then")
    past.link("a/two", "a/b/one")
    past.write("a/left", b"left")
    past.write("untouched", b"untouched")
    moment = past.history.head
    past.write("a/b/one", b"now")
    past.delete("a/left")
    past.mkdir("new")
    past.write("new/file", b"new")
    worktree = Worktree(past.layout, past.history, past.pool)
    worktree.make_hollow(None)
    restore(past.history, past.pool, past.layout.tree, moment, worktree=worktree)
    assert worktree.is_hollow(b"untouched")
    worktree.complete()
    assert without_times(seen(past.layout.tree)) == without_times(past.at(moment))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_new_entries_belong_to_whom_the_tree_belongs(past: Past) -> None:
    past.mkdir("d")
    past.write("d/file", b"x")
    past.symlink("d/link", "file")
    moment = past.history.head
    past.delete("d")
    materialised(past)
    os.chown(past.layout.tree, 4321, 8765)
    restored(past, moment)
    for path in ("d", "d/file", "d/link"):
        assert (os.lstat(past.layout.tree / path).st_uid, os.lstat(past.layout.tree / path).st_gid) == (4321, 8765)


NAMES = st.sampled_from([b"a", b"b", b"c", b"a/a", b"a/b", b"b/a", b"b/b", b"a/a/a", b"a/a/b", b"c/a/b"])
CONTENTS = st.sampled_from([b"", b"one", b"two", b"three" * 50])
MODES = st.sampled_from([0o644, 0o755, 0o600])
STORIES = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, CONTENTS, MODES),
        st.tuples(st.just("mkdir"), NAMES, st.none(), st.sampled_from([0o755, 0o700])),
        st.tuples(st.just("symlink"), NAMES, NAMES, st.none()),
        st.tuples(st.just("special"), NAMES, st.none(), MODES),
        st.tuples(st.just("delete"), NAMES, st.none(), st.none()),
        st.tuples(st.just("rename"), NAMES, NAMES, st.none()),
        st.tuples(st.just("exchange"), NAMES, NAMES, st.none()),
        st.tuples(st.just("link"), NAMES, NAMES, st.none()),
        st.tuples(st.just("attributes"), NAMES, st.none(), st.sampled_from([0o640, 0o711])),
    ),
    min_size=1,
    max_size=25,
)


def tell(past: Past, story: list[tuple[str, bytes, bytes | None, int | None]]) -> None:
    for kind, path, other, mode in story:
        match kind:
            case "write":
                past.write(path, other or b"", mode or 0o644)
            case "mkdir":
                past.mkdir(path, mode or 0o755)
            case "symlink":
                past.change("symlink", path, target=other)
            case "special":
                past.change("special", path, mode=stat.S_IFIFO | (mode or 0o600))
            case "delete":
                past.change("delete", path)
            case "rename" | "exchange" | "link":
                past.change(kind, path, source=other)
            case "attributes":
                past.change("attributes", path, mode=mode)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES, data=st.data())
def test_any_moment_of_any_history_is_restored_exactly(
    story: list[tuple[str, bytes, bytes | None, int | None]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    past = Past(tmp_path_factory.mktemp("story") / "workspace")
    try:
        tell(past, story)
        moment = data.draw(st.integers(0, past.history.head))
        materialised(past)
        assert seen(past.layout.tree) == past.at()
        restored(past, moment)
        assert without_times(seen(past.layout.tree)) == without_times(past.at(moment))
    finally:
        past.close()


def test_names_that_look_like_ours_are_in_no_restores_way_and_stay(past: Past) -> None:
    past.write("a", b"old")
    moment = past.history.head
    past.write("a", b"new")
    materialised(past)
    tree = past.layout.tree
    (tree / ".chronicle-new").mkdir()
    (tree / ".chronicle-new-0").write_text("somebody's")
    restored(past, moment)
    assert (tree / "a").read_bytes() == b"old"
    assert sorted(os.listdir(tree)) == [".chronicle-new", ".chronicle-new-0", "a"]
