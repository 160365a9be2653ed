"""Trees deeper than Python recurses: kept, copied in and out, forked and brought back."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from chronicle import InvalidPathError, Workspace, reaching, remove_tree
from tests.unit.chronicle.test_removing import deep

LEVELS = 1050
"""Deeper than Python's 1,000 calls."""


def chain(levels: int, leaf: bytes = b"leaf") -> bytes:
    return b"d/" * levels + leaf


def content(root: Path, path: bytes) -> bytes:
    fd = reaching.open_file(root, path)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def write(root: Path, path: bytes, data: bytes) -> None:
    fd = reaching.open_file(root, path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


@pytest.fixture
def source(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A directory with one very deep file."""
    made = tmp_path / "source"
    made.mkdir()
    deep(made, LEVELS)
    write(made, chain(LEVELS), b"far down")
    yield made
    remove_tree(made)


@pytest.fixture
def workspace(tmp_path: Path):  # type: ignore[no-untyped-def]
    with Workspace.create(tmp_path / "store") as opened:
        yield opened
        opened.erase()


def only(workspace: Workspace) -> bytes:
    """The content of the one file there is."""
    return b"".join(b"".join(workspace.pieces(one.path)) for one in workspace.tree() if one.version.type == "file")


def test_a_deep_tree_comes_in_is_removed_and_is_restored(workspace: Workspace, source: Path) -> None:
    workspace.import_tree(source)
    then = workspace.head
    assert then == LEVELS + 1
    tree = workspace.root / "tree"
    workspace.remove("d")
    assert os.listdir(tree) == []
    workspace.restore(then)
    assert content(tree, chain(LEVELS)) == b"far down"
    assert workspace.diff(then) == []
    workspace.restore(0)
    assert os.listdir(tree) == []
    assert list(workspace.fsck()) == []


def test_a_deep_tree_goes_out_as_tar_and_comes_back(workspace: Workspace, source: Path) -> None:
    workspace.import_tree(source)
    with open(workspace.root / "out.tar", "w+b") as archive:
        assert workspace.export_tar(archive) == LEVELS + 1
        archive.seek(0)
        with Workspace.create(workspace.root.parent / "second") as second:
            second.import_tar(archive)
            assert content(second.root / "tree", chain(LEVELS)) == b"far down"
            assert only(second) == b"far down"
            second.erase()


def test_a_deep_tree_goes_out_as_a_repository_and_comes_back(
    workspace: Workspace, source: Path, tmp_path: Path
) -> None:
    workspace.import_tree(source)
    workspace.export_git(tmp_path / "out", bare=True)
    with Workspace.create(tmp_path / "second") as second:
        second.import_git(tmp_path / "out")
        assert only(second) == b"far down"
        second.erase()


def test_a_fork_of_a_deep_tree_is_made_whole(workspace: Workspace, source: Path, tmp_path: Path) -> None:
    workspace.import_tree(source)
    with workspace.fork(tmp_path / "fork") as fork:
        fork.import_tree(tmp_path / "source" / "d", "beside")  # an import completes the tree first
        assert content(fork.root / "tree", chain(LEVELS)) == b"far down"
        assert list(fork.diff(workspace.head, path="d")) == []
        fork.erase()


def test_an_archive_with_a_path_that_nobody_could_name_is_refused_and_nothing_of_it_arrives(
    workspace: Workspace,
) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(tarfile.TarInfo("first"))
        made.addfile(tarfile.TarInfo(chain(2100).decode()))
    archive.seek(0)
    with pytest.raises(InvalidPathError):
        workspace.import_tar(archive)
    assert os.listdir(workspace.root / "tree") == []
    assert workspace.head == 0
