"""What a node stands for is exchanged for a symbolic link in the tree below: nothing outside is listed, read, asked about or changed."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from chronicle.mount import protocol
from chronicle.mount.nodes import Node, NodeTable
from chronicle.mount.notes import Notes
from chronicle.mount.operations.attributes import Attributes
from chronicle.mount.operations.directories import Directories
from chronicle.mount.operations.files import Files
from chronicle.mount.operations.names import Names
from chronicle.mount.options import MountOptions
from chronicle.mount.protocol import Request
from chronicle.mount.quota import Quota
from chronicle.mount.served import Served


class Listening:
    """A recorder that is told of contents and reads them."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def wrote(self, path: bytes, fd: int, mode: int, seen: os.stat_result | None = None) -> Any:
        self.contents.append(os.pread(fd, 100, 0))
        os.close(fd)

    def changed(self, change: object) -> None:
        pass


class Place:
    """A tree that the thread is in, a directory and a file outside of it, and what a mount has to answer with."""

    def __init__(self, root: Path) -> None:
        self.tree = root / "tree"
        self.outside = root / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("not of the tree")
        (self.outside / "secret").chmod(0o640)
        self.recorder = Listening()
        self.root_fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        table = NodeTable(os.fstat(self.root_fd).st_ino, None)
        notes = Notes(cast(Any, self.recorder))
        self.served = Served(MountOptions(mountpoint=root / "m"), table, notes, Quota(None), None, self.root_fd)
        self.names = Names(self.served)

    def known(self, name: str, make: Callable[[Path], object]) -> Node:
        """Something in the tree that the kernel has been told of."""
        make(self.tree / name)
        return self.served.table.seen(self.served.table.root, name.encode(), os.lstat(name))

    def swap(self, name: str, target: Path) -> None:
        """A link now."""
        os.rename(name, name + ".away")
        os.symlink(target, name)


def asked(node: Node, opcode: int, body: bytes) -> Request:
    header = protocol.HEADER.pack(40 + len(body), opcode, 2, node.id, 0, 0, 0, 0)
    return Request(header + body, 40 + len(body))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    (tmp_path / "tree").mkdir()
    monkeypatch.chdir(tmp_path / "tree")
    made = Place(tmp_path)
    yield made
    os.close(made.root_fd)


def test_a_directory_that_became_a_link_is_not_listed(place: Place) -> None:
    node = place.known("d", Path.mkdir)
    place.swap("d", place.outside)
    read = asked(node, protocol.READDIR, protocol.READ_IN.pack(0, 0, 4096) + bytes(16))
    directories = Directories(place.served)
    for listing in (directories.read, directories.read_with_attributes):
        with pytest.raises(OSError) as refused:
            listing(read)
        assert refused.value.errno == errno.ENOTDIR


def test_a_directory_that_became_a_link_is_not_synced(place: Place) -> None:
    node = place.known("d", Path.mkdir)
    place.swap("d", place.outside)
    with pytest.raises(OSError) as refused:
        Directories(place.served).fsync(asked(node, protocol.FSYNCDIR, bytes(16)))
    assert refused.value.errno == errno.ENOTDIR


def test_a_file_that_becomes_a_link_between_looking_and_changing_lends_its_mode_to_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = place.known("f", Path.touch)
    look = os.lstat

    def swapped_after_looking(*arguments: Any, **options: Any) -> os.stat_result:
        seen = look(*arguments, **options)
        if stat.S_ISREG(seen.st_mode):
            place.swap("f", place.outside / "secret")
        return seen

    monkeypatch.setattr(os, "lstat", swapped_after_looking)
    body = protocol.SETATTR_IN.pack(protocol.FATTR_MODE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0o777, 0, 0, 0, 0)
    Attributes(place.served).set(asked(node, protocol.SETATTR, body))
    assert stat.S_IMODE((place.outside / "secret").stat().st_mode) == 0o640


def test_rights_are_those_of_the_link_not_of_what_it_names(place: Place) -> None:
    node = place.known("f", Path.touch)
    place.swap("f", place.outside / "nothing")
    answer = Attributes(place.served).access(asked(node, protocol.ACCESS, protocol.U32X2.pack(os.F_OK, 0)))
    assert answer == protocol.ok(2), "it is there, whatever the link names"


def test_a_file_just_made_is_not_read_through_a_link_that_took_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = place.served.owned

    def swapped_then(*arguments: Any) -> os.stat_result:
        st = owned(*arguments)
        place.swap("new", place.outside / "secret")
        return st

    monkeypatch.setattr(place.served, "owned", swapped_then)
    body = protocol.U32X2.pack(stat.S_IFREG | 0o644, 0) + bytes(8) + b"new\0"
    with pytest.raises(OSError) as refused:
        place.names.make_special(asked(place.served.table.root, protocol.MKNOD, body))
    assert refused.value.errno == errno.ELOOP
    assert place.recorder.contents == []


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC])
def test_a_file_that_became_a_link_is_not_opened(place: Place, flags: int) -> None:
    node = place.known("f", Path.touch)
    place.swap("f", place.outside / "secret")
    with pytest.raises(OSError) as refused:
        Files(place.served, place.names).open(asked(node, protocol.OPEN, protocol.U32X2.pack(flags, 0)))
    assert refused.value.errno == errno.ELOOP
    assert (place.outside / "secret").read_text() == "not of the tree"
