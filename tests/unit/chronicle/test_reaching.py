"""Walking name by name: no link is followed, nothing stays open, and deep walks cost few steps."""

import os
from pathlib import Path

import pytest

from chronicle import reaching, remove_tree
from tests.unit.chronicle.test_removing import deep


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "outside/d").mkdir(parents=True)
    (tmp_path / "outside/d/file").write_text("outside")
    made = tmp_path / "tree"
    (made / "a/b").mkdir(parents=True)
    (made / "a/b/file").write_text("inside")
    (made / "link").symlink_to(tmp_path / "outside")
    (made / "a/away").symlink_to(tmp_path / "outside/d/file")
    return made


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("root", ["path", "bytes", "descriptor"])
def test_what_lies_below_is_reached_from_any_kind_of_root(tree: Path, root: str) -> None:
    fd = os.open(tree, os.O_RDONLY)
    before = descriptors()
    kinds: dict[str, reaching.Root] = {"path": tree, "bytes": os.fsencode(tree), "descriptor": fd}
    where = kinds[root]
    opened = reaching.open_file(where, b"a/b/file")
    assert os.read(opened, 100) == b"inside"
    os.close(opened)
    assert reaching.look(where, b"a/b").st_ino == (tree / "a/b").stat().st_ino
    assert reaching.look(where, b"").st_ino == tree.stat().st_ino
    assert descriptors() == before
    os.close(fd)


@pytest.mark.parametrize("path", [b"link/d", b"link/d/file", b"a/away", b"link"])
def test_no_link_is_followed_on_the_way_or_at_the_end(tree: Path, path: bytes) -> None:
    before = descriptors()
    with pytest.raises(OSError):
        reaching.open_file(tree, path)
    with pytest.raises(NotADirectoryError):
        reaching.open_directory(tree, path)
    with reaching.Walking(tree) as walking, pytest.raises(NotADirectoryError):
        walking.directory(path)
    assert descriptors() == before


def test_a_mode_is_the_things_own_and_a_link_has_none(tree: Path, tmp_path: Path) -> None:
    reaching.chmod(os.fsencode(tree / "a/b/file"), 0o640)
    assert (tree / "a/b/file").stat().st_mode & 0o777 == 0o640
    before = (tmp_path / "outside/d/file").stat().st_mode
    with pytest.raises(OSError):
        reaching.chmod(os.fsencode(tree / "a/away"), 0o777)
    assert (tmp_path / "outside/d/file").stat().st_mode == before


def test_a_walk_goes_anywhere_and_is_always_where_it_says(tree: Path) -> None:
    paths = [b"", b"a", b"a/b", b"", b"a/b", b"a", b"a/b", b"a/b"]
    before = descriptors()
    with reaching.Walking(tree) as walking:
        for path in paths:
            assert os.fstat(walking.directory(path)).st_ino == os.stat(tree / os.fsdecode(path)).st_ino
        with pytest.raises(FileNotFoundError):
            walking.directory(b"a/missing/b")
        here, name = walking.place(b"a/b/file")
        assert os.stat(name, dir_fd=here).st_size == 6
        assert walking.place(b"")[1] == b"."
    assert descriptors() == before


def test_walking_down_and_up_a_deep_tree_opens_few_directories_and_holds_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = 3000
    top = tmp_path / "top"
    top.mkdir()
    deep(top, levels)
    paths = [b"/".join([b"d"] * depth) for depth in range(levels + 1)]
    steps = [0]
    plain = os.open

    def counted(*arguments: object, **options: object) -> int:
        steps[0] += 1
        return plain(*arguments, **options)  # type: ignore[arg-type]

    before = descriptors()
    monkeypatch.setattr(os, "open", counted)
    with reaching.Walking(top) as walking:
        for path in paths:
            walking.directory(path)
        assert steps[0] <= 3 * levels, "down: one step for each, and one to begin it"
        for path in reversed(paths):
            walking.directory(path)
        assert steps[0] <= 3 * levels + (reaching.STRIDE + 2) * levels
        assert descriptors() <= before + levels // reaching.STRIDE + 2
    monkeypatch.undo()
    assert descriptors() == before
    remove_tree(top)
