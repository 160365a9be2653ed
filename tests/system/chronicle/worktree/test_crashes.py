"""Whoever dies while making or restoring a tree: repeating it leads to the same tree."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronicle.layout import Layout
from chronicle.model.paths import is_beside
from chronicle.store.faults import FAULT
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.worktree import Worktree, restore
from tests.unit.chronicle.worktree.past import Past, seen, without_times

Work = Callable[[Layout, History, Pool], None]


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    workspace = Past(tmp_path / "workspace")
    workspace.mkdir("a", 0o555)
    workspace.write("a/one", b"shared", xattrs={b"user.colour": b"blue"})
    workspace.mkdir("b")
    workspace.link("b/two", "a/one")
    workspace.link("b/three", "a/one")
    workspace.symlink("b/symbolic", "../a/one")
    workspace.change("special", "b/queue", mode=stat.S_IFIFO | 0o600)
    workspace.mkdir("b/below")
    for number in range(5):
        workspace.write(f"b/below/{number}", b"%d" % number * 1000, 0o444 if number % 2 else 0o644)
    workspace.write("large", bytes(range(256)) * 20_000)
    yield workspace
    workspace.close()


def killed_at(point: str, layout: Layout, work: Work) -> bool:
    """Does the work in another process that dies at a point; whether it came there."""
    pid = os.fork()
    if pid == 0:
        try:
            os.environ[FAULT] = point
            work(layout, History.open(layout.history), Pool.open(layout.root / "pool"))
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def make(layout: Layout, history: History, pool: Pool) -> None:
    Worktree(layout, history, pool).make_hollow((os.geteuid(), os.getegid()))


def complete(layout: Layout, history: History, pool: Pool) -> None:
    Worktree(layout, history, pool).complete()


@pytest.mark.parametrize(
    "point",
    [
        "hollow.signed",
        "hollow.marked",
        "populate.begun",
        "populate.file",
        "populate.some",
        "populate.made",
        "populate.timed",
        "populate.unmarked",
        "links.some",
        "links.made",
        "fill.begun",
        "fill.written",
        "fill.timed",
        "fill.unmarked",
    ],
)
def test_a_tree_whose_making_is_interrupted_is_made_by_repeating_it(past: Past, point: str) -> None:
    def both(layout: Layout, history: History, pool: Pool) -> None:
        make(layout, history, pool)
        complete(layout, history, pool)

    assert killed_at(point, past.layout, both)
    worktree = Worktree(past.layout, past.history, past.pool)
    if point.startswith("hollow"):
        worktree.make_hollow((os.geteuid(), os.getegid()))
    # The same again, one step later: the repetition dies too.
    killed_at("populate.made", past.layout, complete)
    worktree.complete()
    assert seen(past.layout.tree) == past.at()
    assert not list(past.layout.root.glob("hollow*"))


@pytest.mark.parametrize("point", ["restore.some", "restore.beside"])
def test_an_interrupted_restore_is_completed_by_repeating_it(past: Past, point: str) -> None:
    moment = past.history.head
    for number in range(5):
        past.write(f"b/below/{number}", b"now", 0o600)
    past.delete("b/three")
    past.delete("b/symbolic")
    past.write("a/one", b"shared now")
    worktree = Worktree(past.layout, past.history, past.pool)
    worktree.make_hollow(None)
    worktree.complete()

    def restoring(layout: Layout, history: History, pool: Pool) -> None:
        restore(history, pool, layout.tree, moment)

    # What an interrupted restore did is not recorded here, so that the repetition finds all of it done already.
    for _ in range(3):
        assert killed_at(point, past.layout, restoring)
    restoring(past.layout, past.history, past.pool)
    # What it was writing beside when it died stays there, without a history.
    there = {path: what for path, what in seen(past.layout.tree).items() if not is_beside(path)}
    assert without_times(there) == without_times(past.at(moment))
