"""Files without history: told apart without being read, and never overwritten by who has not seen them."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from chronicle import remove_tree
from chronicle.control.failures import ChangedMeanwhileError
from podium.coordinator.adapters.workspaces import plain
from podium.coordinator.adapters.workspaces.plain import PlainLibrary
from podium.coordinator.domain.tags import tag_of

TERABYTE = 2**40


@pytest.fixture
def library(tmp_path: Path) -> PlainLibrary:
    """A directory with a file that was left alone for long enough to have a strong tag."""
    (tmp_path / "file").write_bytes(b"first")
    return PlainLibrary(tmp_path)


def test_a_tag_costs_nothing_however_large_the_file_is(library: PlainLibrary, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(TERABYTE)  # a hole: nothing is stored, and yet reading it would take half an hour
    found = library.version("huge")
    assert found.size == TERABYTE
    assert tag_of(found).is_strong
    assert tag_of(found) == tag_of(library.version("huge"))
    with pytest.raises(ChangedMeanwhileError):
        library.remove("huge", if_hash=tag_of(library.version("file")).text)
    library.remove("huge", if_hash=tag_of(found).text)
    assert not (tmp_path / "huge").exists()


@pytest.mark.parametrize("how", ["in place", "with its time put back", "as another file"])
def test_who_has_not_seen_the_newest_content_does_not_overwrite_it(
    library: PlainLibrary, tmp_path: Path, how: str
) -> None:
    tag = tag_of(library.version("file"))
    file = tmp_path / "file"
    before = file.stat()
    if how == "as another file":
        (tmp_path / "new").write_bytes(b"other")
        os.rename(tmp_path / "new", file)
    else:
        with file.open("r+b") as opened:
            opened.write(b"other")
    if how == "with its time put back":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChangedMeanwhileError):
        library.put("file", b"mine", if_hash=tag.text)
    assert file.read_bytes() == b"other"
    newest = tag_of(library.version("file"))
    assert newest != tag
    library.put("file", b"mine", if_hash=newest.text)
    assert file.read_bytes() == b"mine"


def test_while_it_may_change_unseen_its_tag_is_weak_and_permits_nothing(
    library: PlainLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_FRESH_NS", 60 * 10**9)
    tag = tag_of(library.version("file"))
    assert not tag.is_strong
    assert tag.header.startswith('W/"weak-')
    for refused in (tag.text, "", "0" * 64):
        with pytest.raises(ChangedMeanwhileError):
            library.put("file", b"mine", if_hash=refused)
    assert (tmp_path / "file").read_bytes() == b"first"


def test_the_hash_of_the_content_is_a_condition_too(library: PlainLibrary, tmp_path: Path) -> None:
    written = library.put("file", b"second", if_hash=blake3(b"first").hexdigest())
    assert written.hash == blake3(b"second").hexdigest()
    assert written.size == 6
    library.put("file", b"third", if_hash=written.hash)
    with pytest.raises(ChangedMeanwhileError):
        library.put("file", b"fourth", if_hash=written.hash)
    with pytest.raises(ChangedMeanwhileError):
        library.put("nothing-there", b"x", if_hash=written.hash)
    (tmp_path / "directory").mkdir()
    with pytest.raises(ChangedMeanwhileError):
        library.remove("directory", if_hash="")
    library.put("new", b"x", if_hash="")


def test_a_tree_of_any_depth_is_walked_and_what_goes_meanwhile_is_left_out(
    library: PlainLibrary, tmp_path: Path
) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_300):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert max(entry.path.count(b"/") for entry in library.tree()) == 1_299
    walk = library.tree()
    assert next(walk).path == b"d"
    remove_tree(tmp_path / "d")
    assert b"file" in [entry.path for entry in walk]
