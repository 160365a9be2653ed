"""Putting and removing while others change the tree, and trees of any depth."""

import os
import stat
from pathlib import Path

import pytest

from chronicle import Workspace
from chronicle.model.errors import InvalidInputError, InvalidPathError
from chronicle.workspace import applying
from tests.unit.chronicle.test_removing import deep


@pytest.fixture
def content(tmp_path: Path) -> Path:
    made = tmp_path / "content"
    made.write_bytes(b"new")
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    return made


def put(tree: Path, path: bytes, content: Path) -> None:
    with applying.source(content) as source:
        applying.put(tree, path, source, None)


@pytest.mark.timeout(20)
def test_a_file_that_is_exchanged_for_a_fifo_between_looking_and_opening_is_refused_or_written_but_never_waited_for(
    tree: Path, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "a").write_bytes(b"old")
    kept = os.open(tree / "a", os.O_RDONLY)
    look = os.fstat
    exchanged: list[bool] = []

    def exchange() -> None:
        if not exchanged:
            exchanged.append(True)
            (tree / "a").unlink()
            os.mkfifo(tree / "a")

    def seen_by_descriptor(fd: int) -> os.stat_result:
        found = look(fd)
        if stat.S_ISREG(found.st_mode):
            exchange()
        return found

    def seen_by_name(*arguments: object, **options: object) -> os.stat_result:
        found = status(*arguments, **options)  # type: ignore[arg-type]
        if stat.S_ISREG(found.st_mode):
            exchange()
        return found

    status = os.stat
    with applying.source(content) as source:
        monkeypatch.setattr(os, "fstat", seen_by_descriptor)
        monkeypatch.setattr(os, "stat", seen_by_name)
        applying.put(tree, b"a", source, None)
        monkeypatch.undo()
    assert exchanged
    assert os.read(kept, 10) == b"new"
    os.close(kept)


@pytest.mark.timeout(20)
def test_a_fifo_a_link_or_a_directory_in_the_way_is_refused(tree: Path, content: Path) -> None:
    os.mkfifo(tree / "fifo")
    (tree / "link").symlink_to(content)
    (tree / "directory").mkdir()
    for name in (b"fifo", b"link", b"directory"):
        with pytest.raises(InvalidPathError):
            put(tree, name, content)
    assert content.read_bytes() == b"new"


@pytest.mark.timeout(20)
def test_a_source_that_is_no_regular_file_is_refused_at_once(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    with pytest.raises(InvalidInputError):
        put(tree, b"a", tmp_path / "never")
    assert os.listdir(tree) == []


def test_a_file_is_made_or_replaced_with_its_mode_kept(tree: Path, content: Path) -> None:
    put(tree, b"d/a", content)
    (tree / "b").write_bytes(b"much longer than the new one")
    (tree / "b").chmod(0o640)
    put(tree, b"b", content)
    assert [(tree / name).read_bytes() for name in ("d/a", "b")] == [b"new", b"new"]
    assert stat.S_IMODE((tree / "b").stat().st_mode) == 0o640


def test_a_tree_that_is_deeper_than_calls_may_be_is_removed_and_erased(tree: Path, tmp_path: Path) -> None:
    (tree / "top").mkdir()
    deep(tree / "top", 1500)
    applying.remove(tree, b"top")
    assert os.listdir(tree) == []
    with Workspace.create(tmp_path / "store") as workspace:
        deep(workspace.root / "tree", 1500)
        workspace.erase()
    assert not (tmp_path / "store").exists()
