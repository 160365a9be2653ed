"""The same for a user who is not root: what its owner may not write is made and restored all the same."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronicle.worktree import Worktree, restore
from tests.unit.chronicle.worktree.past import Past, seen, without_times

USER = 4321


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the user reaches and owns."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        own = Path(directory) / "own"
        own.mkdir()
        if os.geteuid() == 0:
            os.chown(own, USER, USER)
        yield own


def as_user(work: Callable[[], None]) -> None:
    """Does the work in a process without privilege."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(USER)
                os.setuid(USER)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def closed(past: Past) -> None:
    past.mkdir("closed", 0o555)
    past.write("closed/file", b"read only", 0o444)
    past.mkdir("closed/deeper", 0o500)
    past.write("closed/deeper/file", b"deeper", 0o400)
    past.mkdir("open")
    past.write("open/nobody", b"nobody reads it", 0o000)
    past.write("open/file", b"open")
    past.link("open/other", "closed/file")


def test_a_hollow_tree_is_made(place: Path) -> None:
    def work() -> None:
        past = Past(place / "workspace")
        closed(past)
        worktree = Worktree(past.layout, past.history, past.pool)
        worktree.make_hollow(None)
        worktree.populate(b"")
        worktree.populate(b"open")
        assert worktree.is_hollow(b"open/file")
        os.chmod(past.layout.tree / "open/file", 0o000)
        worktree.fill(b"open/file")
        os.chmod(past.layout.tree / "open/file", 0o644)
        worktree.complete()
        # To be compared it has to be readable.
        past.change("attributes", "open/nobody", mode=0o400)
        os.chmod(past.layout.tree / "open/nobody", 0o400)
        assert seen(past.layout.tree) == past.at()

    as_user(work)


def test_a_tree_is_restored(place: Path) -> None:
    def work() -> None:
        past = Past(place / "workspace")
        closed(past)
        past.delete("open/nobody")
        then = past.history.head
        past.write("closed/deeper/file", b"changed", 0o400)
        past.delete("closed/file")
        past.write("closed/new", b"new", 0o400)
        worktree = Worktree(past.layout, past.history, past.pool)
        worktree.make_hollow(None)
        worktree.complete()
        restore(past.history, past.pool, past.layout.tree, then)
        assert without_times(seen(past.layout.tree)) == without_times(past.at(then))

    as_user(work)
