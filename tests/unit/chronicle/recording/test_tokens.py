"""Files of the tree are opened name by name."""

import os
from pathlib import Path

import pytest

from chronicle.recording.tokens import open_same
from chronicle.watch import WatchBackend


class Noting:
    """Keeps which paths were noted."""

    def __init__(self) -> None:
        self.paths: list[bytes] = []

    def wrote(self, path: bytes, fd: int, mode: int) -> None:
        os.close(fd)
        self.paths.append(path)


def foreign(tmp_path: Path) -> Path:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "shadow").write_text("not yours")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "d").symlink_to(tmp_path / "foreign")
    return tmp_path / "tree"


def test_a_file_behind_a_symbolic_link_is_not_opened_even_with_the_right_inode(tmp_path: Path) -> None:
    tree = foreign(tmp_path)
    inode = (tmp_path / "foreign" / "shadow").stat().st_ino
    with pytest.raises(NotADirectoryError):
        os.close(open_same(os.fsencode(tree), b"d/shadow", inode))


def test_the_watch_records_nothing_behind_a_symbolic_link(tmp_path: Path) -> None:
    tree = foreign(tmp_path)
    backend = WatchBackend.__new__(WatchBackend)
    noting = Noting()
    vars(backend).update(_tree=os.fsencode(tree), _dirty=set(), _recorder=noting)
    backend._wrote(b"d/shadow")
    assert noting.paths == []
