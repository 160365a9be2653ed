"""Attributes: what is changed is the node, never what a link at its place names."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from chronicle.mount import protocol
from chronicle.mount.nodes import NodeTable
from chronicle.mount.notes import Notes
from chronicle.mount.operations.attributes import Attributes
from chronicle.mount.options import MountOptions
from chronicle.mount.protocol import Request
from chronicle.mount.quota import Quota
from chronicle.mount.served import Served

NOBODY = cast(Any, None)
"""No recorder: what is refused is not recorded."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.write_text("not of the tree")
    path.chmod(0o4755)
    return path


@pytest.fixture
def served(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    monkeypatch.chdir(tree)
    root = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    table = NodeTable(os.fstat(root).st_ino, None)
    yield Served(MountOptions(mountpoint=tmp_path / "m"), table, Notes(NOBODY), Quota(None), None, root)
    os.close(root)


def _set(served: Served, valid: int, *, size: int = 0, mode: int = 0) -> None:
    node = served.table.seen(served.table.root, b"link", os.lstat("link"))
    body = protocol.SETATTR_IN.pack(valid, 0, 0, size, 0, 0, 0, 0, 0, 0, 0, mode, 0, 0, 0, 0)
    header = protocol.HEADER.pack(40 + len(body), protocol.SETATTR, 2, node.id, 0, 0, 0, 0)
    Attributes(served).set(Request(header + body, 40 + len(body)))


def test_the_mode_of_a_link_is_not_set_nor_that_of_what_it_names(served: Served, outside: Path) -> None:
    with pytest.raises(OSError) as refused:
        _set(served, protocol.FATTR_MODE, mode=0o777)
    assert refused.value.errno == errno.EOPNOTSUPP
    assert stat.S_IMODE(outside.stat().st_mode) == 0o4755


def test_what_a_link_names_keeps_its_privileges(served: Served, outside: Path) -> None:
    _set(served, 0)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o4755


def test_what_a_link_names_is_not_cut(served: Served, outside: Path) -> None:
    with pytest.raises(OSError) as refused:
        _set(served, protocol.FATTR_SIZE, size=3)
    assert refused.value.errno == errno.ELOOP
    assert outside.read_text() == "not of the tree"
