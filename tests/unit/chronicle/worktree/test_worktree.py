"""Hollow entries: a tree that is made as it is looked at is the tree that was."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from chronicle.layout import Layout
from chronicle.model.errors import NotFoundError, StorageError
from chronicle.worktree import HOLLOW_XATTR, Worktree
from tests.unit.chronicle.worktree.past import Past, seen


def varied(past: Past) -> None:
    """Something of everything."""
    past.mkdir("src", 0o750)
    past.write("src/main.py", b"print('hello')\n" * 100)
    past.write("src/run", b"#!/bin/sh\n", 0o755)
    past.write("src/secret", b"hidden", 0o400)
    past.write("src/nobody", b"nothing", 0o000)
    past.write("empty", b"")
    past.mkdir("src/closed", 0o555)
    past.write("src/closed/deep", b"deep down", 0o444)
    past.mkdir("src/closed/below", 0o700)
    past.write("src/closed/below/more", b"more")
    past.symlink("latest", "src/main.py")
    past.symlink("away", "/etc/passwd")
    past.write("notes", b"a note", xattrs={b"user.colour": b"blue"})
    past.change("special", "queue", mode=stat.S_IFIFO | 0o620)
    past.mkdir("other")
    past.write("large", os.urandom(6_000_000))
    past.write(b"bytes \xff\n", b"any name")
    past.write("set", b"sticky", 0o4755)


def made(past: Past) -> Worktree:
    worktree = Worktree(past.layout, past.history, past.pool)
    worktree.make_hollow((os.geteuid(), os.getegid()))
    return worktree


def explore(worktree: Worktree, tree: Path) -> None:
    """Looks at everything, as a mount does: populates what is listed, fills what is read."""
    pending = [b""]
    while pending:
        here = pending.pop()
        if worktree.is_hollow(here):
            worktree.populate(here)
        for name in sorted(os.listdir(os.fsencode(tree) + b"/" + here)):
            path = here + b"/" + name if here else name
            mode = os.lstat(os.fsencode(tree) + b"/" + path).st_mode
            if stat.S_ISDIR(mode):
                pending.append(path)
            elif worktree.is_hollow(path):
                worktree.fill(path)


def test_a_copy_without_extended_attributes_is_known_as_one(past: Past, tmp_path: Path) -> None:
    varied(past)
    made(past).check_copied()
    for attributes in ("--preserve=all", "--preserve=mode,ownership,timestamps"):
        copy = tmp_path / attributes.lstrip("-")
        subprocess.run(["cp", "-R", attributes, str(past.layout.root), str(copy)], check=True)
        worktree = Worktree(Layout(copy), past.history, past.pool)
        if attributes == "--preserve=all":
            worktree.check_copied()
        else:
            with pytest.raises(StorageError, match="tar --xattrs"):
                worktree.check_copied()


def test_a_hollow_tree_becomes_what_the_history_says_as_it_is_looked_at(past: Past) -> None:
    varied(past)
    worktree = made(past)
    assert worktree.hollow
    assert os.listdir(past.layout.tree) == []
    explore(worktree, past.layout.tree)
    assert seen(past.layout.tree) == past.at()


def test_placeholders_look_like_the_files_before_they_are_filled(past: Past) -> None:
    past.write("file", b"x" * 12345, 0o640, mtime_ns=1_234_567_890_123_456_789)
    worktree = made(past)
    worktree.populate(b"")
    there = os.stat(past.layout.tree / "file")
    assert (there.st_size, there.st_mtime_ns, stat.S_IMODE(there.st_mode)) == (12345, 1_234_567_890_123_456_789, 0o640)
    assert there.st_blocks * 512 < 12345
    assert worktree.is_hollow(b"file")


def test_directories_have_their_times_after_they_were_populated(past: Past) -> None:
    past.mkdir("d")
    past.write("d/file", b"x")
    version = past.history.lookup(b"d")
    assert version is not None
    worktree = made(past)
    worktree.populate(b"")
    worktree.populate(b"d")
    assert os.stat(past.layout.tree / "d").st_mtime_ns == version.mtime_ns


def test_completing_leaves_nothing_hollow_and_no_trace(past: Past) -> None:
    varied(past)
    past.write("one", b"linked")
    past.link("other/two", "one")
    worktree = made(past)
    worktree.complete()
    assert not worktree.hollow
    assert seen(past.layout.tree) == past.at()
    assert not list(past.layout.root.glob("hollow*"))
    assert not Worktree(past.layout, past.history, past.pool).hollow


def test_what_is_asked_again_is_done_once(past: Past) -> None:
    past.write("file", b"content")
    worktree = made(past)
    worktree.populate(b"")
    worktree.populate(b"")
    worktree.fill(b"file")
    (past.layout.tree / "file").write_bytes(b"changed")
    worktree.fill(b"file")
    worktree.populate(b"")
    assert (past.layout.tree / "file").read_bytes() == b"changed"


def test_a_hollow_entry_may_be_renamed_and_changed_before_it_is_made(past: Past) -> None:
    past.mkdir("d")
    past.write("d/file", b"content", mtime_ns=5_000)
    worktree = made(past)
    worktree.populate(b"")
    tree = past.layout.tree
    os.rename(tree / "d", tree / "moved")
    past.rename("moved", "d")
    past.mkdir("d")
    worktree.populate(b"moved")
    os.rename(tree / "moved/file", tree / "taken out")
    os.chmod(tree / "taken out", 0o600)
    os.utime(tree / "taken out", ns=(7_000, 7_000))
    worktree.fill(b"taken out")
    there = os.stat(tree / "taken out")
    assert (tree / "taken out").read_bytes() == b"content"
    assert (there.st_mtime_ns, stat.S_IMODE(there.st_mode)) == (7_000, 0o600)


def test_what_was_recorded_after_the_fork_does_not_change_what_is_made(past: Past) -> None:
    past.write("file", b"then")
    worktree = made(past)
    past.write("file", b"later")
    past.write("new", b"later")
    worktree.populate(b"")
    worktree.fill(b"file")
    assert seen(past.layout.tree).keys() == {b"file"}
    assert (past.layout.tree / "file").read_bytes() == b"then"


def test_names_of_one_file_stay_one_file_whenever_they_are_made(past: Past) -> None:
    past.mkdir("a")
    past.mkdir("b")
    past.write("a/one", b"shared")
    past.link("b/two", "a/one")
    past.link("b/three", "a/one")
    worktree = made(past)
    tree = past.layout.tree
    worktree.populate(b"")
    worktree.populate(b"a")
    assert os.stat(tree / "a/one").st_nlink == 3
    worktree.fill(b"a/one")
    (tree / "a/one").write_bytes(b"changed before the others were seen")
    worktree.populate(b"b")
    assert (tree / "b/two").read_bytes() == b"changed before the others were seen"
    assert os.stat(tree / "b/three").st_ino == os.stat(tree / "a/one").st_ino
    assert os.stat(tree / "a/one").st_nlink == 3


def test_a_name_of_a_file_whose_first_name_was_removed_is_made(past: Past) -> None:
    past.mkdir("a")
    past.mkdir("b")
    past.write("a/one", b"shared")
    past.link("b/two", "a/one")
    worktree = made(past)
    worktree.populate(b"")
    worktree.populate(b"a")
    os.unlink(past.layout.tree / "a/one")
    worktree.populate(b"b")
    worktree.fill(b"b/two")
    assert (past.layout.tree / "b/two").read_bytes() == b"shared"
    assert os.stat(past.layout.tree / "b/two").st_nlink == 1


def test_emptying_a_hollow_file_needs_no_content(past: Past) -> None:
    past.write("file", b"content")
    worktree = made(past)
    worktree.populate(b"")
    worktree.empty(b"file")
    assert (past.layout.tree / "file").read_bytes() == b""
    assert not worktree.is_hollow(b"file")
    worktree.fill(b"file")
    assert (past.layout.tree / "file").read_bytes() == b""


def test_a_file_whose_content_is_gone_stays_hollow(past: Past) -> None:
    past.change("write", "lost", size=10, digest=bytes(32), mode=0o100644)
    worktree = made(past)
    worktree.populate(b"")
    with pytest.raises(NotFoundError):
        worktree.fill(b"lost")
    assert worktree.is_hollow(b"lost")


def test_many_who_open_a_file_at_once_fill_it_once(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    past.write("file", os.urandom(100_000))
    worktree = made(past)
    worktree.populate(b"")
    fills = []
    real = past.pool.copy_to

    def counted(digest: bytes, fd: int) -> int:
        fills.append(digest)
        return real(digest, fd)

    monkeypatch.setattr(past.pool, "copy_to", counted)
    threads = [threading.Thread(target=worktree.fill, args=(b"file",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fills) == 1
    assert seen(past.layout.tree) == past.at()


def test_preparing_a_path_makes_what_it_lies_in(past: Past) -> None:
    past.mkdir("a")
    past.mkdir("a/b")
    past.write("a/b/file", b"content")
    past.mkdir("c")
    worktree = made(past)
    worktree.prepare(b"a/b/file")
    assert worktree.is_hollow(b"a/b/file")
    assert worktree.is_hollow(b"c")
    worktree.prepare(b"missing/on/the way")
    worktree.fill(b"a/b/file")
    assert (past.layout.tree / "a/b/file").read_bytes() == b"content"


def test_filling_never_follows_a_link(past: Past, tmp_path: Path) -> None:
    past.mkdir("d")
    past.write("d/file", b"content")
    worktree = made(past)
    worktree.populate(b"")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"")
    os.setxattr(outside / "file", HOLLOW_XATTR, b"f\0" + bytes(40))
    os.rmdir(past.layout.tree / "d")
    os.symlink(outside, past.layout.tree / "d")
    with pytest.raises(NotADirectoryError):
        worktree.fill(b"d/file")
    with pytest.raises(NotADirectoryError):
        worktree.populate(b"d")


def test_an_entry_deeper_than_a_path_may_be_long_is_made(past: Past) -> None:
    names = ["d" * 200] * 20
    for depth in range(1, len(names) + 1):
        past.mkdir("/".join(names[:depth]))
    path = "/".join(names).encode()
    past.write(path + b"/" + b"f" * 60, b"deep")
    worktree = made(past)
    worktree.prepare(path + b"/" + b"f" * 60)
    assert worktree.is_hollow(path + b"/" + b"f" * 60)
    worktree.fill(path + b"/" + b"f" * 60)
    assert not worktree.is_hollow(path + b"/" + b"f" * 60)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_everything_belongs_to_the_owner_of_the_fork(past: Past) -> None:
    varied(past)
    past.write("one", b"linked")
    past.link("other/two", "one")
    worktree = Worktree(past.layout, past.history, past.pool)
    worktree.make_hollow((4321, 8765))
    worktree.complete()
    owners = {
        (os.lstat(os.path.join(here, name)).st_uid, os.lstat(os.path.join(here, name)).st_gid)
        for here, directories, files in os.walk(past.layout.tree)
        for name in directories + files
    }
    assert owners == {(4321, 8765)}
    assert os.stat(past.layout.tree).st_uid == 4321
    assert seen(past.layout.tree) == past.at()


def test_without_extended_attributes_the_tree_is_made_whole_at_once(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied(past)
    past.write("one", b"linked")
    past.link("other/two", "one")
    real = os.setxattr

    def refusing(path: int | str, name: str | bytes, value: bytes, flags: int = 0) -> None:
        if name == HOLLOW_XATTR:
            raise OSError(95, "not supported")
        real(path, name, value, flags)

    monkeypatch.setattr(os, "setxattr", refusing)
    worktree = made(past)
    assert not worktree.hollow
    assert seen(past.layout.tree) == past.at()
