"""Directories are removed with all they hold, and nothing else is."""

import os
from pathlib import Path

import pytest

import chronicle
from chronicle.removing import remove_tree


def deep(top: Path, levels: int, leaf: str = "leaf") -> None:
    """A chain of directories below `top`, with a file at its end."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open(leaf, os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_a_tree_that_is_deeper_than_any_path_may_be_long_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    deep(top, 5000)
    chronicle.remove_tree(top)
    assert os.listdir(tmp_path) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside/d").mkdir(parents=True)
    (tmp_path / "outside/kept").write_text("kept")
    (tmp_path / "top/a/b").mkdir(parents=True)
    (tmp_path / "top/a/b/file").write_text("x")
    (tmp_path / "top/a/link").symlink_to(tmp_path / "outside")
    os.mkfifo(tmp_path / "top/fifo")
    here = os.open(tmp_path, os.O_RDONLY)
    remove_tree(b"top", dir_fd=here)
    os.close(here)
    assert sorted(os.listdir(tmp_path / "outside")) == ["d", "kept"]
    assert os.listdir(tmp_path) == ["outside"]


def test_a_link_or_nothing_at_the_top_is_an_error_unless_errors_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to("outside")
    with pytest.raises(NotADirectoryError):
        remove_tree(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        remove_tree(tmp_path / "nothing")
    remove_tree(tmp_path / "link", ignore_errors=True)
    assert sorted(os.listdir(tmp_path)) == ["link", "outside"]


def test_what_cannot_be_removed_stays_and_is_told_and_the_rest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/x", "b/stays", "c/y"):
        (tmp_path / "top" / name).mkdir(parents=True)
    rmdir = os.rmdir

    def refuse(name: bytes, **where: int) -> None:
        if name == b"stays":
            raise PermissionError(1, "refused")
        rmdir(name, **where)

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(PermissionError):
        remove_tree(tmp_path / "top")
    assert [str(each.relative_to(tmp_path)) for each in sorted(tmp_path.rglob("*"))] == ["top", "top/b", "top/b/stays"]


def test_a_directory_that_is_moved_away_takes_the_removal_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "top/a/b").mkdir(parents=True)
    (tmp_path / "elsewhere/b").mkdir(parents=True)
    (tmp_path / "elsewhere/file").write_text("kept")
    scandir, moved = os.scandir, [False]

    def move(here: int) -> object:
        if os.readlink(f"/proc/self/fd/{here}").endswith("/a/b") and not moved[0]:
            moved[0] = True
            os.rename(tmp_path / "top/a/b", tmp_path / "elsewhere/c")
        return scandir(here)

    monkeypatch.setattr(os, "scandir", move)
    with pytest.raises(OSError, match="moved"):
        remove_tree(tmp_path / "top")
    monkeypatch.undo()
    assert moved[0]
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["b", "c", "file"]
