"""A plan makes one tree of another: carried out on a tree in memory."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from chronicle.model.differences import same_content
from chronicle.model.iterations import Difference, Version
from chronicle.model.plans import (
    Link,
    MakeDirectory,
    MakeSpecial,
    MakeSymlink,
    Remove,
    SetMode,
    SetTimes,
    SetXattrs,
    Step,
    WriteFile,
    restore_plan,
)

DIRECTORY, REGULAR, SYMLINK, FIFO = 0o040000, 0o100000, 0o120000, 0o010000


def version(
    node: int,
    mode: int,
    *,
    digest: bytes | None = None,
    target: bytes | None = None,
    xattrs: dict[bytes, bytes] | None = None,
    mtime_ns: int = 5,
) -> Version:
    return Version(node, node, mode, mtime_ns, 0, digest, target, xattrs)


@dataclass
class Inode:
    """What a kernel has behind a name."""

    mode: int
    digest: bytes | None = None
    target: bytes | None = None
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    mtime_ns: int = 0


class Disk:
    """A tree that refuses what a kernel refuses."""

    def __init__(self, tree: dict[bytes, Version]) -> None:
        inodes: dict[int, Inode] = {}
        self.names: dict[bytes, Inode] = {}
        for path, item in tree.items():
            inode = Inode(item.mode, item.digest, item.target, dict(item.xattrs or {}), item.mtime_ns)
            self.names[path] = inodes.setdefault(item.node, inode)

    def do(self, step: Step) -> None:
        match step:
            case Remove(path, is_directory):
                assert (self.names[path].mode & 0o170000 == DIRECTORY) is is_directory
                assert not any(name.startswith(path + b"/") for name in self.names), "the directory isn't empty"
                del self.names[path]
            case MakeDirectory(path):
                self.make(path, Inode(DIRECTORY | 0o700))
            case WriteFile(path, content):
                if path not in self.names:
                    self.make(path, Inode(REGULAR | 0o600))
                self.names[path].digest = content.digest
            case MakeSymlink(path, target):
                self.make(path, Inode(SYMLINK | 0o777, target=target))
            case MakeSpecial(path, mode):
                self.make(path, Inode(mode))
            case Link(path, source):
                self.make(path, self.names[source])
            case SetXattrs(path, xattrs):
                self.names[path].xattrs = xattrs
            case SetMode(path, mode):
                self.names[path].mode = self.names[path].mode & 0o170000 | mode & 0o7777
            case SetTimes(path, mtime_ns):
                self.names[path].mtime_ns = mtime_ns

    def make(self, path: bytes, inode: Inode) -> None:
        assert path not in self.names, "there is something"
        parent = path.rpartition(b"/")[0]
        assert not parent or self.names[parent].mode & 0o170000 == DIRECTORY
        self.names[path] = inode

    def state(self) -> dict[bytes, tuple[object, ...]]:
        groups: dict[int, list[bytes]] = {}
        for path, inode in self.names.items():
            groups.setdefault(id(inode), []).append(path)
        return {
            path: (inode.mode, inode.digest, inode.target, inode.xattrs, sorted(groups[id(inode)]))
            for path, inode in self.names.items()
        }


def names(tree: dict[bytes, Version]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for path in sorted(tree):
        found.setdefault(tree[path].node, []).append(path)
    return found


def differences(before: dict[bytes, Version], after: dict[bytes, Version]) -> list[Difference]:
    """As the history finds them."""
    old_names, new_names = names(before), names(after)
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        same_file = old and new and (old.node == new.node or old_names[old.node] == new_names[new.node])
        if old and new and same_content(old, new) and (same_file or old.type == "directory"):
            continue
        found.append(Difference(path, old, new))
    return found


def plan(before: dict[bytes, Version], after: dict[bytes, Version]) -> list[Step]:
    several = [{node: paths for node, paths in names(tree).items() if len(paths) > 1} for tree in (before, after)]
    return restore_plan(differences(before, after), before_links=several[0], after_links=several[1])


NAMES = (b"a", b"b", b"c")


@st.composite
def trees(draw: st.DrawFn, offset: int) -> dict[bytes, Version]:
    """A tree; nodes below 4 may be the same files in both trees, others are their own tree's."""
    tree: dict[bytes, Version] = {}
    files = {
        node: version(
            node if node < 4 else node + offset,
            REGULAR | draw(st.sampled_from([0o644, 0o600])),
            digest=draw(st.sampled_from([b"1", b"2", b"3"])),
            xattrs=draw(st.sampled_from([None, {b"user.a": b"1"}])),
        )
        for node in range(1, 7)
    }
    counter = 10 + offset

    def fill(directory: bytes, depth: int) -> None:
        nonlocal counter
        for name in NAMES:
            path = directory + b"/" + name if directory else name
            counter += 1
            match draw(st.sampled_from(["nothing", "file", "file", "directory", "symlink", "special"])):
                case "file":
                    tree[path] = files[draw(st.integers(1, 6))]
                case "directory" if depth < 3:
                    tree[path] = version(counter, DIRECTORY | draw(st.sampled_from([0o755, 0o555])))
                    fill(path, depth + 1)
                case "symlink":
                    tree[path] = version(counter, SYMLINK | 0o777, target=draw(st.sampled_from([b"x", b"y"])))
                case "special":
                    tree[path] = version(counter, FIFO | draw(st.sampled_from([0o644, 0o600])))

    fill(b"", 1)
    return tree


@settings(max_examples=200, deadline=None)
@given(before=trees(1000), after=trees(2000))
def test_a_plan_makes_the_one_tree_of_the_other_with_its_hard_links(
    before: dict[bytes, Version], after: dict[bytes, Version]
) -> None:
    disk = Disk(before)
    for step in plan(before, after):
        disk.do(step)
    assert disk.state() == Disk(after).state()


def test_what_is_the_same_is_not_touched() -> None:
    before = {b"d": version(2, DIRECTORY | 0o755), b"d/x": version(3, REGULAR | 0o644, digest=b"1")}
    after = {**before, b"d/y": version(4, REGULAR | 0o644, digest=b"2")}
    assert {step.path for step in plan(before, after)} == {b"d/y"}


def test_a_changed_file_is_written_where_it_is() -> None:
    before = {b"x": version(3, REGULAR | 0o644, digest=b"1")}
    new = version(3, REGULAR | 0o644, digest=b"2", mtime_ns=9)
    assert plan(before, {b"x": new}) == [WriteFile(b"x", new), SetTimes(b"x", 9)]


def test_a_mode_alone_needs_no_content() -> None:
    before = {b"x": version(3, REGULAR | 0o644, digest=b"1")}
    after = {b"x": version(3, REGULAR | 0o600, digest=b"1")}
    assert plan(before, after) == [SetMode(b"x", REGULAR | 0o600)]


def test_a_directory_goes_after_all_that_is_in_it_and_before_what_takes_its_place() -> None:
    before = {b"d": version(2, DIRECTORY | 0o755), b"d/x": version(3, REGULAR | 0o644, digest=b"1")}
    after = {b"d": version(4, REGULAR | 0o644, digest=b"2")}
    assert plan(before, after)[:3] == [Remove(b"d/x", False), Remove(b"d", True), WriteFile(b"d", after[b"d"])]


def test_a_new_name_of_an_untouched_file_is_a_link_to_it() -> None:
    file = version(3, REGULAR | 0o644, digest=b"1")
    assert plan({b"x": file}, {b"x": file, b"y": file}) == [Link(b"y", b"x")]


def test_a_file_with_two_names_is_written_once() -> None:
    old, new = (version(3, REGULAR | 0o644, digest=digest) for digest in (b"1", b"2"))
    steps = plan({b"x": old, b"y": old}, {b"x": new, b"y": new})
    assert [step for step in steps if isinstance(step, WriteFile)] == [WriteFile(b"x", new)]
    assert not any(isinstance(step, Remove) for step in steps)


def test_times_come_last_and_deepest_first() -> None:
    after = {b"d": version(2, DIRECTORY | 0o755), b"d/x": version(3, REGULAR | 0o644, digest=b"1")}
    assert plan({}, after)[-2:] == [SetTimes(b"d/x", 5), SetTimes(b"d", 5)]
