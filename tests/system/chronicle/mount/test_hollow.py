"""Hollow entries are made when somebody looks, not before, and nobody sees them hollow."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.chronicle.mount.serving import Serving

Serve = Callable[..., Serving]


@pytest.fixture
def tree(serve: Serve) -> tuple[Path, Path]:
    """The mount point and the tree behind it, with a hollow directory."""
    serving = serve(hollow=True)
    serving.may_complain = True
    _make_hollow(serving.layout.tree / "d")
    return serving.mountpoint, serving.layout.tree


def _make_hollow(directory: Path) -> None:
    directory.mkdir()
    os.setxattr(directory, "user.chronicle.hollow", b"")


def _is_hollow(path: Path) -> bool:
    return "user.chronicle.hollow" in os.listxattr(path)


def test_a_look_into_a_directory_makes_its_entries(tree: tuple[Path, Path]) -> None:
    mountpoint, behind = tree
    assert _is_hollow(behind / "d")
    assert os.listdir(mountpoint / "d") == ["file"]
    assert not _is_hollow(behind / "d")
    assert (mountpoint / "d/file").stat().st_size == 7
    assert _is_hollow(behind / "d/file")
    assert os.listxattr(mountpoint / "d/file") == []


def test_an_open_fills_a_file(tree: tuple[Path, Path]) -> None:
    mountpoint, behind = tree
    assert (mountpoint / "d/file").read_bytes() == b"content"
    assert not _is_hollow(behind / "d/file")


def test_appending_keeps_what_was_there(tree: tuple[Path, Path]) -> None:
    mountpoint, _ = tree
    with open(mountpoint / "d/file", "ab") as file:
        file.write(b"!")
    assert (mountpoint / "d/file").read_bytes() == b"content!"


def test_an_emptied_file_need_not_be_filled(tree: tuple[Path, Path]) -> None:
    mountpoint, behind = tree
    (mountpoint / "d/file").write_bytes(b"new")
    assert not _is_hollow(behind / "d/file")
    assert (mountpoint / "d/file").read_bytes() == b"new"


@pytest.mark.parametrize(("size", "left"), [(0, b""), (3, b"con")])
def test_a_truncated_file_is_what_it_should_be(tree: tuple[Path, Path], size: int, left: bytes) -> None:
    mountpoint, behind = tree
    os.truncate(mountpoint / "d/file", size)
    assert (mountpoint / "d/file").read_bytes() == left
    assert not _is_hollow(behind / "d/file")


def test_a_hollow_directory_is_not_empty(tree: tuple[Path, Path]) -> None:
    mountpoint, behind = tree
    with pytest.raises(OSError):
        (mountpoint / "d").rmdir()
    _make_hollow(behind / "e")
    (mountpoint / "f").mkdir()
    with pytest.raises(OSError):
        (mountpoint / "f").rename(mountpoint / "e")


def test_a_hollow_file_is_renamed_and_filled_later(tree: tuple[Path, Path]) -> None:
    mountpoint, _ = tree
    (mountpoint / "d/file").rename(mountpoint / "moved")
    (mountpoint / "d").rename(mountpoint / "e")
    assert (mountpoint / "moved").read_bytes() == b"content"


def test_content_that_can_not_be_had_is_an_error(tree: tuple[Path, Path]) -> None:
    mountpoint, _ = tree
    (mountpoint / "d/file").rename(mountpoint / "gone")
    with pytest.raises(OSError) as failed:
        (mountpoint / "gone").read_bytes()
    assert failed.value.errno == 5
