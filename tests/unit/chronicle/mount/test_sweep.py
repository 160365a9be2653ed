"""Closed files are looked at again, 0.5, 1.5 and 5 s later: a mapping outlives the close. The clock is the test's."""

import errno
import logging
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from chronicle.layout import Layout, Settings
from chronicle.mount import session, sweep
from chronicle.mount.nodes import Node, NodeTable
from chronicle.mount.notes import Notes
from chronicle.mount.options import MountOptions
from chronicle.mount.session import Session
from chronicle.mount.sweep import AFTER_CLOSE_SECONDS, Sweep


class Listening:
    """A recorder that reads what it is told of; one file's can't be noted."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.refuses = b""

    def wrote(self, path: bytes, fd: int, mode: int, seen: os.stat_result | None = None) -> Any:
        found = os.pread(fd, 100, 0)
        os.close(fd)
        if path == self.refuses:
            raise OSError(errno.EIO, "can't be read")
        self.contents.append(found)

    def due(self, inode: int) -> bool:
        return True


class Clock:
    """`time` as the sweep knows it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(sweep, "time", made)
    return made


class Place:
    """A tree, its nodes, and a sweep that looks when it is told to."""

    def __init__(self, root: Path) -> None:
        self.tree = root / "tree"
        self.tree.mkdir()
        self.root_fd = os.open(self.tree, os.O_RDONLY | os.O_DIRECTORY)
        self.recorder = Listening()
        self.table = NodeTable(os.fstat(self.root_fd).st_ino, None)
        self.notes = Notes(cast(Any, self.recorder))
        options = MountOptions(mountpoint=root / "m", sweep_seconds=3600)
        self.sweep = Sweep(threading.Lock(), self.table, self.notes, options, self.root_fd)
        self.told: list[Node] = []
        self.sweep.changed_unseen = self.told.append

    def closed(self, name: str, content: bytes) -> Node:
        """A file that was written, noted, and closed now."""
        (self.tree / name).write_bytes(content)
        st = os.lstat(self.tree / name)
        node = self.table.seen(self.table.root, name.encode(), st)
        self.notes.take_baseline(node, st)
        self.sweep.closed(node)
        return node

    def at(self, clock: Clock, seconds: float) -> list[bytes]:
        """What a look so long after the close notes."""
        before = len(self.recorder.contents)
        clock.now = 1000.0 + seconds
        self.sweep.sweep()
        return self.recorder.contents[before:]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.sweep.stop()
    os.close(made.root_fd)


def test_each_store_through_a_mapping_is_found_by_the_next_look_after_the_close(place: Place, clock: Clock) -> None:
    node = place.closed("f", b"closed.")
    fd = os.open(place.tree / "f", os.O_RDWR)
    with mmap.mmap(fd, 7) as mapping:
        os.close(fd)

        def store(content: bytes) -> None:
            mapping[:] = content
            mapping.flush()

        assert AFTER_CLOSE_SECONDS == (0.5, 1.5, 5.0)
        store(b"mapped1")
        assert place.at(clock, 0.4) == []
        assert place.at(clock, 0.5) == [b"mapped1"]
        assert place.at(clock, 0.6) == [], "once"
        store(b"mapped2")
        assert place.at(clock, 1.4) == []
        assert place.at(clock, 1.5) == [b"mapped2"]
        store(b"mapped3")
        assert place.at(clock, 4.9) == []
        assert place.at(clock, 5.0) == [b"mapped3"]
        assert place.told == [node, node, node], "the kernel's attributes are old each time"
        store(b"mapped4")
        assert place.at(clock, 100) == [], "noticed at the next opening for writing"


def test_a_late_look_does_what_was_due_meanwhile_and_no_more(place: Place, clock: Clock) -> None:
    place.closed("f", b"1")
    (place.tree / "f").write_bytes(b"22")
    assert place.at(clock, 3) == [b"22"]
    (place.tree / "f").write_bytes(b"333")
    assert place.at(clock, 4.9) == [b"333"] or place.at(clock, 5.0) == [b"333"]
    assert place.at(clock, 60) == []


def test_what_was_not_stored_to_is_not_noted_and_nobody_is_told(place: Place, clock: Clock) -> None:
    place.closed("f", b"same")
    for seconds in (0.5, 1.5, 5.0):
        assert place.at(clock, seconds) == []
    assert place.told == []


def test_a_file_that_went_or_is_another_now_is_left_alone(place: Place, clock: Clock) -> None:
    place.closed("gone", b"1")
    place.closed("other", b"1")
    os.unlink(place.tree / "gone")
    (place.tree / "new").write_bytes(b"not it")
    os.rename(place.tree / "new", place.tree / "other")
    assert place.at(clock, 0.5) == []


def test_a_file_below_paths_longer_than_the_kernel_takes_is_looked_at(place: Place, clock: Clock) -> None:
    here, node, name = os.dup(place.root_fd), place.table.root, b"d" * 250
    for _ in range(20):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        node = place.table.seen(node, name, os.fstat(here))
    for content in (b"before", b"after!!"):
        fd = os.open("f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=here)
        os.write(fd, content)
        st = os.fstat(fd)
        os.close(fd)
        if content == b"before":
            file = place.table.seen(node, b"f", st)
            place.notes.take_baseline(file, st)
            place.sweep.closed(file)
    os.close(here)
    assert place.at(clock, 0.5) == [b"after!!"]


def _open_for_writing(place: Place | Session, root: Path, name: str) -> Node:
    (root / name).write_bytes(b"was")
    st = os.lstat(root / name)
    node = place.table.seen(place.table.root, name.encode(), st)
    place.notes.take_baseline(node, st)
    (root / name).write_bytes(b"written by " + name.encode())
    place.table.opened(node, os.open(root / name, os.O_RDWR), writable=True, through=False)
    return node


def test_an_open_file_that_can_not_be_noted_keeps_no_other_from_being_looked_at(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["a", "bad", "c"]
    for name in names:
        _open_for_writing(place, place.tree, name)
        os.utime(place.tree / name, (1, 1))
    place.recorder.refuses = b"bad"
    with caplog.at_level(logging.CRITICAL, sweep.__name__):
        place.sweep.sweep()
    assert sorted(place.recorder.contents) == [b"written by a", b"written by c"]
    for number in list(place.table.handles):
        os.close(cast(Any, place.table.closed(number)).fd)


class Gone:
    """A channel of a mount that was taken away."""

    def receive(self) -> None:
        return None

    def reply(self, reply: object) -> None:
        pass


def test_a_session_notes_all_other_open_files_and_gives_everything_back_when_one_can_not_be_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "w")
    layout.make(Settings("w"))
    before = len(os.listdir("/proc/self/fd"))
    device = os.open("/dev/null", os.O_RDWR)
    recorder = Listening()
    options = MountOptions(mountpoint=tmp_path / "m", keep_awake="off")
    serving = Session(layout, Settings("w"), cast(Any, recorder), None, options, device=device)
    monkeypatch.setattr(serving, "_channel", Gone())
    for name in ("a", "bad", "c"):
        _open_for_writing(serving, layout.tree, name)
    recorder.refuses = b"bad"
    with pytest.raises(OSError):
        serving.flush()
    assert sorted(recorder.contents) == [b"written by a", b"written by c"]
    with caplog.at_level(logging.CRITICAL, session.__name__):
        serving.run()
    os.close(device)
    assert len(os.listdir("/proc/self/fd")) == before
