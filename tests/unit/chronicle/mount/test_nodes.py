"""Nodes: paths through renames, names of hard links, what is forgotten when."""

import os
from pathlib import Path

import pytest

from chronicle.mount.nodes import Node, NodeTable


class World:
    """A real directory and the table of what was looked up in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.table = NodeTable(root.stat().st_ino, None)

    def look(self, path: str) -> Node:
        """Looks up each component, as the kernel does."""
        node = self.table.root
        here = self.root
        for name in path.split("/"):
            here = here / name
            node = self.table.seen(node, name.encode(), os.lstat(here))
        return node

    def rename(self, source: str, target: str) -> None:
        st = os.lstat(self.root / source)
        node = self.table.by_inode[st.st_ino]
        old, new = self._parent(source), self._parent(target)
        os.rename(self.root / source, self.root / target)
        names = (old, os.path.basename(source).encode(), new, os.path.basename(target).encode())
        self.table.renamed(node, names, directory=(self.root / target).is_dir())

    def unlink(self, path: str) -> None:
        st = os.lstat(self.root / path)
        node = self.table.by_inode[st.st_ino]
        os.unlink(self.root / path)
        self.table.removed(node, self._parent(path), os.path.basename(path).encode(), last=st.st_nlink == 1)

    def _parent(self, path: str) -> Node:
        directory = os.path.dirname(path)
        return self.look(directory) if directory else self.table.root


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/f").touch()
    (tmp_path / "z").mkdir()
    return World(tmp_path)


def test_a_renamed_directory_renames_all_below_without_touching_it(world: World) -> None:
    file = world.look("a/b/f")
    assert file.path() == b"a/b/f"
    world.rename("a", "z/moved")
    assert file.path() == b"z/moved/b/f"
    world.rename("z/moved/b", "b")
    assert file.path() == b"b/f"
    assert file.place() == b"b/f"


def test_one_inode_is_one_node_under_all_its_names(world: World) -> None:
    os.link(world.root / "a/b/f", world.root / "z/g")
    one, two = world.look("a/b/f"), world.look("z/g")
    assert one is two
    assert one.lookups == 2
    world.unlink("a/b/f")
    assert one.path() == b"z/g"
    world.rename("z/g", "z/h")
    assert one.path() == b"z/h"
    world.unlink("z/h")
    assert not one.named
    with pytest.raises(FileNotFoundError):
        one.place()


def test_a_renamed_second_name_is_followed(world: World) -> None:
    os.link(world.root / "a/b/f", world.root / "z/g")
    file = world.look("a/b/f")
    world.look("z/g")
    world.rename("z/g", "z/h")
    world.unlink("a/b/f")
    assert file.path() == b"z/h"


def test_nodes_are_dropped_when_the_kernel_forgets_them_children_first(world: World) -> None:
    file = world.look("a/b/f")
    a, b = world.look("a"), world.look("a/b")
    assert (a.lookups, b.lookups, file.lookups) == (3, 2, 1)
    world.table.forget(a.id, 3)
    assert a.id in world.table.by_id, "its children's paths need it"
    world.table.forget(b.id, 2)
    world.table.forget(file.id, 1)
    assert set(world.table.by_id) == {1}
    assert list(world.table.by_inode.values()) == [world.table.root]
    world.table.forget(file.id, 5)
    world.table.forget(1, 100)
    assert world.table.root.id in world.table.by_id


def test_an_open_file_keeps_its_node(world: World) -> None:
    file = world.look("a/b/f")
    fd = os.open(world.root / "a/b/f", os.O_RDWR)
    handle = world.table.opened(file, fd, writable=True, through=False)
    assert world.table.writing == {file}
    world.unlink("a/b/f")
    world.table.forget(file.id, 1)
    assert file.id in world.table.by_id
    assert file.place() == b"/proc/self/fd/%d" % fd
    assert world.table.closed(handle.number) is handle
    os.close(fd)
    world.table.released(file)
    assert file.id not in world.table.by_id
    assert world.table.writing == set()
    assert world.table.closed(handle.number) is None


def test_an_inode_number_used_again_is_another_node(world: World) -> None:
    file = world.look("a/b/f")
    world.unlink("a/b/f")
    assert file.inode not in world.table.by_inode
    (world.root / "a/b/f").touch()
    os.link(world.root / "a/b/f", world.root / "z/f")
    again = world.look("a/b/f")
    assert again is not file
    assert world.look("z/f") is again


def test_deep_directories_are_reached_by_a_descriptor(world: World) -> None:
    here = world.table.root
    place = os.open(world.root, os.O_PATH)
    before = os.open(".", os.O_PATH)
    name = b"d" * 250
    os.fchdir(place)
    try:
        for _ in range(20):
            target = here.place_of(name)
            os.mkdir(target)
            here = world.table.seen(here, name, os.lstat(target))
        assert len(here.path()) > 4096
        assert len(here.place_of(b"file")) < 4096
        with open(here.place_of(b"file"), "w"):
            pass
        assert os.listdir(here.place()) == [b"file"]
        assert os.path.isdir(here.place())
        os.unlink(here.place_of(b"file"))
        while here.parent is not None:
            above = here.parent
            os.rmdir(above.place_of(here.name))
            here.close()
            here = above
    finally:
        os.fchdir(before)
        os.close(before)
        os.close(place)


def test_unknown_nodes_are_stale(world: World) -> None:
    with pytest.raises(OSError) as stale:
        world.table.get(99)
    assert stale.value.errno == 116


def test_paths_are_known_at_any_depth_after_a_rename() -> None:
    table = NodeTable(1, None)
    node = table.root
    for inode in range(2, 3002):
        node = table.restore(inode, inode, node, b"d")
    assert node.path() == b"/".join([b"d"] * 3000)
    table.moves.count += 1
    assert node.path() == b"/".join([b"d"] * 3000)
