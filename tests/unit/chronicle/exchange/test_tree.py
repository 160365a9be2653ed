"""Directories come in."""

import os
import socket
import stat
from pathlib import Path

import pytest

from chronicle import reaching
from chronicle.exchange import import_tree
from chronicle.exchange.arriving import Arriving
from chronicle.model.errors import InvalidInputError, InvalidPathError
from chronicle.removing import remove_tree
from tests.unit.chronicle.worktree.past import seen


def test_a_directory_comes_in_as_it_is(tmp_path: Path, into: Path) -> None:
    source = tmp_path / "source"
    (source / "d/e").mkdir(parents=True)
    (source / "d/file").write_bytes(b"x" * 100_000)
    os.setxattr(source / "d/file", "user.colour", b"blue")
    os.link(source / "d/file", source / "other name")
    (source / "outside").symlink_to("/etc/passwd")
    (source / "run").write_bytes(b"#!/bin/sh\n")
    (source / "run").chmod(0o4750)
    os.mkfifo(source / "queue", 0o620)
    (source / os.fsdecode(b"\xff")).write_bytes(b"")
    with open(source / "sparse", "wb") as sparse:
        sparse.truncate(50_000_000)
    os.utime(source / "d", ns=(5, 1_600_000_000_123_456_789))
    (source / "d/e").chmod(0o500)
    arrived = import_tree(source, into)
    assert seen(into) == seen(source)
    assert os.stat(into / "d").st_mtime_ns == 1_600_000_000_123_456_789
    assert os.stat(into / "sparse").st_blocks * 512 < 1_000_000
    assert arrived.entries == len(seen(source))


def test_sockets_and_the_magic_directory_stay_outside(tmp_path: Path, into: Path) -> None:
    source = tmp_path / "source"
    (source / ".chronicle/at").mkdir(parents=True)
    (source / "d/.chronicle").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(source)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        assert import_tree(source, into, b"below").skipped == [b"socket"]
    assert seen(into).keys() == {b"below", b"below/d", b"below/d/.chronicle"}
    assert stat.S_ISDIR(os.stat(into / "below").st_mode)


def test_a_directory_is_not_copied_into_itself(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(InvalidInputError):
        import_tree(tmp_path / "a", tmp_path / "a/b")
    with pytest.raises(InvalidInputError):
        import_tree(tmp_path / "missing", tmp_path / "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_comes_in_belongs_to_whom_the_tree_belongs(tmp_path: Path, into: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d/file").write_bytes(b"x")
    (source / "link").symlink_to("d")
    os.chown(into, 4321, 8765)
    import_tree(source, into)
    for path in ("d", "d/file", "link"):
        assert (os.lstat(into / path).st_uid, os.lstat(into / path).st_gid) == (4321, 8765)


def test_directories_that_are_missing_above_what_arrives_are_made_however_many(into: Path) -> None:
    with Arriving(into) as arriving:
        arriving.file(b"d/" * 1200 + b"leaf", [b"deep"])
    with reaching.place(into, b"d/" * 1200 + b"leaf") as (here, name):
        assert os.stat(name, dir_fd=here).st_size == 4
    remove_tree(into / "d")


def test_names_that_look_like_ours_are_in_nobodys_way_and_stay(tmp_path: Path, into: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_text("new")
    (into / ".chronicle-new").mkdir()
    (into / ".chronicle-new-").mkdir()
    (into / ".chronicle-new-0").write_text("somebody's")
    import_tree(tmp_path / "source", into)
    assert seen(into).keys() == {b"a", b".chronicle-new", b".chronicle-new-", b".chronicle-new-0"}
    assert (into / ".chronicle-new-0").read_text() == "somebody's"


def test_nothing_is_left_beside_when_a_directory_is_in_the_way(tmp_path: Path, into: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_text("new")
    (into / "a/b").mkdir(parents=True)
    with pytest.raises(InvalidPathError):
        import_tree(tmp_path / "source", into)
    assert seen(into).keys() == {b"a", b"a/b"}
