"""Forks share what was, and nothing that comes."""

import os
from pathlib import Path

import pytest

from chronicle import InvalidInputError, IterationNotFoundError, Retention, Workspace


def content(workspace: Workspace) -> dict[bytes, bytes]:
    return {one.path: workspace.read(one.path) for one in workspace.tree() if one.version.type == "file"}


@pytest.mark.proves("CHR-FORK")
def test_a_fork_begins_at_its_moment_and_neither_notices_the_other(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(10):
        workspace.put(f"dir{number % 3}/file{number}", b"content %d" % number)
    then = workspace.head - 4
    workspace.put("later", b"x")
    was = content(workspace)
    with workspace.fork(tmp_path / "fork", then) as fork:
        assert fork.head == then
        assert fork.log() == workspace.log(before=then + 1)
        fork.put("dir0/file0", b"changed")
        fork.put("mine", b"y")
        fork.remove("dir1")
        workspace.put("later", b"z")
        assert list(fork.fsck()) == []
        assert fork.read("dir0/file0") == b"changed"
        assert fork.read("dir0/file0", then) == b"content 0"
        assert content(workspace) == {**was, b"later": b"z"}
        fork.restore(then)
        assert content(fork) == {path: workspace.read(path, then) for path in content(fork)}


@pytest.mark.proves("CHR-FORK")
def test_the_tree_of_a_fork_is_whole_for_who_looks(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put("a/b/c", b"deep", mode=0o755)
    with workspace.fork(tmp_path / "fork") as fork:
        assert fork.put("a/b/d", b"beside").kind == "create"
        assert sorted(os.listdir(fork.root / "tree" / "a" / "b")) == ["c", "d"]
        assert fork.head == workspace.head + 1


def test_a_fork_of_a_fork_goes_on(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put("a", b"0")
    current, opened = workspace, []
    for number in range(1, 12):
        current = current.fork(tmp_path / f"fork{number}")
        opened.append(current)
        current.put("a", b"%d" % number)
    assert [current.read("a", n + 1) for n in range(12)] == [b"%d" % n for n in range(12)]
    assert list(current.fsck()) == []
    for one in opened:
        one.close()


def test_a_fork_that_can_not_be_made_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put("a", b"0")
    with pytest.raises(IterationNotFoundError):
        workspace.fork(tmp_path / "fork", 99)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(InvalidInputError):
        workspace.fork(tmp_path / "taken")
    assert not (tmp_path / "fork").exists()


@pytest.mark.proves("CHR-GC-SAFE", "CHR-RETENTION")
def test_collection_marks_over_all_workspaces_of_the_pool(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put("a", os.urandom(1000))
    old = workspace.read("a")
    with workspace.fork(tmp_path / "fork") as fork:
        workspace.put("a", os.urandom(1000))
        workspace.configure(retention=Retention(last=1))
        assert workspace.gc(grace_s=0, dry_run=True).objects == 0
        assert fork.read("a") == old
        fork.erase()
    with Workspace.open(workspace.root) as again:
        assert again.gc(grace_s=0, dry_run=True).objects == 1
        assert again.read("a", 1) == old
        assert again.gc(grace_s=0).objects == 1
        assert len(again.read("a")) == 1000
