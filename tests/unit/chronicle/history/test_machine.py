"""Random changes, seals, forks, folds, failures and re-openings: every moment stays what it was."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chronicle.model.changes import DIRECTORY, REGULAR, SYMLINK, Change
from chronicle.model.iterations import Iteration
from chronicle.store.history import History
from chronicle.store.history.check import check
from chronicle.store.history.comparing import Comparison
from tests.unit.chronicle.history.trees import Look, Tree, digest, looked

NAMES = (b"a", b"b", b"\xff")
PATHS = st.sampled_from([b"a", b"b", b"\xff", b"a/a", b"a/b", b"b/a", b"b/b", b"a/a/a", b"a/b/a", b"b/a/a", b"a/a/b"])
MODES = st.sampled_from([0o644, 0o600])
XATTRS = st.sampled_from([None, {}, {b"user.a": b"1"}])

CHANGES = st.one_of(
    st.builds(
        lambda path, content, mode, xattrs: Change(
            "write", path, 7, mode=REGULAR | mode, size=len(content), digest=digest(content), xattrs=xattrs
        ),
        PATHS,
        st.sampled_from([b"one", b"two", b"three"]),
        MODES,
        XATTRS,
    ),
    st.builds(lambda path: Change("mkdir", path, 7, mode=DIRECTORY | 0o755), PATHS),
    st.builds(
        lambda path, target: Change("symlink", path, 7, mode=SYMLINK | 0o777, target=target),
        PATHS,
        st.sampled_from([b"x", b"y"]),
    ),
    st.builds(lambda path, mode: Change("special", path, 7, mode=0o010000 | mode), PATHS, MODES),
    st.builds(lambda kind, path: Change(kind, path, 7), st.just("delete"), PATHS),
    st.builds(
        lambda kind, path, source: Change(kind, path, 7, source=source),
        st.sampled_from(["rename", "rename", "exchange", "link"]),
        PATHS,
        PATHS,
    ),
    st.builds(lambda path, mode: Change("attributes", path, 7, mode=mode), PATHS, MODES),
    st.builds(lambda path, xattrs: Change("xattr", path, 7, xattrs=xattrs), PATHS, XATTRS),
)


class _Undone(Exception):
    pass


class HistoryMachine(RuleBasedStateMachine):
    """A history beside a dictionary."""

    @initialize(changes=st.lists(CHANGES, min_size=6, max_size=20))
    def begin(self, changes: list[Change]) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="chronicle-history-"))
        self.forks = 0
        self.directory = self.place / "0"
        History.create(self.directory).close()
        self.history = History.open(self.directory, writable=True, remembered=3, longest_chain=2)
        self.tree = Tree()
        self.moments: dict[int, dict[bytes, Look]] = {0: {}}
        self.trees: dict[int, Tree] = {0: Tree()}
        self.head = 0
        self.record(changes)

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=12))
    def record(self, changes: list[Change]) -> None:
        made: list[Iteration] = []
        with self.history.batch() as batch:
            for change in changes:
                before = self.tree.look()
                self.tree.apply(change)
                new = batch.apply(change)
                # Exchanging two that look alike is something that happened, too.
                assert bool(new) == (before != self.tree.look()) or change.kind == "exchange", change
                made += new
                self.head += len(new)
                assert batch.head == self.head
                self.moments[self.head] = self.tree.look()
                self.trees[self.head] = self.tree.copy()
            batch.consumed(self.head)
        assert [iteration.iteration for iteration in made] == list(range(self.head - len(made) + 1, self.head + 1))
        assert self.history.log(after=self.head - len(made), limit=10_000) == made

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=3))
    def fail(self, changes: list[Change]) -> None:
        try:
            with self.history.batch() as batch:
                for change in changes:
                    batch.apply(change)
                raise _Undone
        except _Undone:
            pass
        assert self.history.head == self.head

    @rule(what=st.sampled_from(["seal", "seal", "fold", "reopen"]))
    def rearrange(self, what: str) -> None:
        match what:
            case "seal":
                self.history.seal()
            case "fold":
                self.history.fold()
            case _:
                self.history.close()
                self.history = History.open(self.directory, writable=True, remembered=3, longest_chain=2)

    @rule(data=st.data(), delete=st.booleans())
    def fork(self, data: st.DataObject, delete: bool) -> None:
        at = data.draw(st.sampled_from(sorted(self.moments)))
        self.forks += 1
        into = self.place / str(self.forks)
        self.history.fork(into, at)
        assert looked(self.history) == self.moments[self.head]
        self.history.close()
        if delete:
            shutil.rmtree(self.directory)
        else:
            with History.open(self.directory) as left:
                assert left.head == self.head
                assert list(check(left)) == []
        self.directory = into
        self.history = History.open(into, writable=True, remembered=3, longest_chain=2)
        self.moments = {moment: look for moment, look in self.moments.items() if moment <= at}
        self.trees = {moment: tree for moment, tree in self.trees.items() if moment <= at}
        self.tree, self.head = self.trees[at].copy(), at

    @rule(data=st.data())
    def a_past_moment_is_what_it_was(self, data: st.DataObject) -> None:
        at = data.draw(st.sampled_from(sorted(self.moments)))
        assert looked(self.history, at) == self.moments[at]

    @rule(data=st.data())
    def differences_are_what_a_comparison_of_both_trees_finds(self, data: st.DataObject) -> None:
        before, after = (data.draw(st.sampled_from(sorted(self.moments))) for _ in range(2))
        found = {
            item.path
            for item in self.history.differences(before, after)
            if item.path and (item.before is None) == (item.path not in self.moments[before])
        }
        assert found == _differing(self.history, self.moments, before, after)
        within = data.draw(st.sampled_from(NAMES))
        inside = {path for path in found if (path + b"/").startswith(within + b"/")}
        assert {item.path for item in self.history.differences(before, after, within)} == inside

    @rule(data=st.data(), touched=st.sampled_from([0, 3, 1000]))
    def a_walk_finds_the_same_differences_and_goes_on_from_any_path(self, data: st.DataObject, touched: int) -> None:
        before, after = (data.draw(st.sampled_from(sorted(self.moments))) for _ in range(2))
        within = data.draw(st.sampled_from([b"", *NAMES, b"a/b"]))
        walked = Comparison(self.history._current(), before, after, within, touched)
        seen = list(walked.walk(None))
        found = [difference for _, difference in seen if difference is not None]
        assert sorted(found, key=lambda each: each.path) == self.history.differences(before, after, within)
        paths = [path for path, _ in seen]
        assert paths == sorted(set(paths), key=lambda path: path.split(b"/") if path else [])
        for number, path in enumerate(paths):
            assert list(walked.walk(path)) == seen[number + 1 :]

    @rule(path=PATHS)
    def a_history_has_all_that_happened_to_what_was_at_the_path(self, path: bytes) -> None:
        ends: dict[int, int] = {}
        nodes: dict[int, int] = {}
        chain = self.history._current()
        for moment in range(self.head + 1):
            version = self.history.lookup(path, moment)
            if version is not None:
                ends[version.node] = moment + 1
            if moment:
                row = chain.iteration(moment, "node")
                assert row is not None
                nodes[moment] = row[0]
        expected = [n for n in sorted(nodes, reverse=True) if n <= ends.get(nodes[n], -1)]
        assert [item.iteration for item in self.history.history(path, limit=10_000)] == expected
        paged: list[int] = []
        while page := self.history.history(path, before=paged[-1] if paged else None, limit=2):
            paged += [item.iteration for item in page]
        assert paged == expected

    @invariant()
    def the_newest_moment_is_right(self) -> None:
        assert self.history.head == self.head
        assert looked(self.history) == self.moments[self.head]

    def teardown(self) -> None:
        if not hasattr(self, "history"):
            return
        try:
            assert list(check(self.history)) == []
            for at, look in self.moments.items():
                assert looked(self.history, at) == look
        finally:
            self.history.close()
            shutil.rmtree(self.place)


def _differing(history: History, moments: dict[int, dict[bytes, Look]], before: int, after: int) -> set[bytes]:
    """What differs, by looking at everything. A file whose other names changed is the same unless it is another file."""
    old, new = moments[before], moments[after]
    found = {path for path in old.keys() ^ new.keys()}
    for path in old.keys() & new.keys():
        one, other = history.lookup(path, before), history.lookup(path, after)
        assert one is not None
        assert other is not None
        same_names = one.node == other.node or one.type == "directory" or old[path][4] == new[path][4]
        if old[path][:4] != new[path][:4] or not same_names:
            found.add(path)
    return found


TestHistoryMachine = HistoryMachine.TestCase
TestHistoryMachine.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
