"""A successor finds the files that the kernel knows by number, in trees of any depth."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import reaching, remove_tree
from chronicle.mount import restoring
from chronicle.mount.nodes import NodeTable
from chronicle.mount.takeover import TakeoverMemory
from tests.unit.chronicle.test_removing import deep


@pytest.fixture
def memory() -> Iterator[TakeoverMemory]:
    first = TakeoverMemory.new()
    yield first
    first.close_descriptor()


@pytest.mark.parametrize("levels", [3, 1200, 3000])
def test_a_file_far_down_is_found_although_the_kernel_forgot_the_directories_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: TakeoverMemory, levels: int
) -> None:
    top = tmp_path / "top"
    top.mkdir()
    deep(top, levels)
    path = b"d/" * levels + b"leaf"
    inode = reaching.look(top, path).st_ino
    number = memory.allocate()
    memory.put(number, inode, 1, 0, 0)
    monkeypatch.chdir(top)
    table = NodeTable(top.stat().st_ino, memory)
    restoring.restore(table, memory)
    node = table.get(number)
    assert node.path() == path
    assert len(table.by_id) == levels + 2, "each directory above it has a node"
    assert os.lstat(node.place()).st_ino == inode
    held = [one for one in table.by_id.values() if one.deep >= 0]
    assert len(held) <= 1, "only the directory it lies in needs a descriptor"
    for one in held:
        one.close()
    remove_tree(top)
