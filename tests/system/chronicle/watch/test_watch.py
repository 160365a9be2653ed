"""A plain directory that is watched has the same history as a mount, as far as the kernel tells."""

import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.model.errors import InvalidInputError
from chronicle.watch import WatchBackend
from tests.system.chronicle.watch.watched import Watched, held_up, watching
from tests.unit.chronicle.recording.place import layout_at, open_place


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path / "w") as watched:
        yield watched


@pytest.mark.proves("CHR-FALLBACK")
def test_what_programs_do_is_recorded(watched: Watched) -> None:
    script = """
    set -e
    mkdir -p a/b/c && echo one > a/b/c/f && ln -s f a/b/c/l && cp -r a copy
    mv a/b/c/f a/g && chmod 755 a/g && echo two >> a/g && rm -r copy/b && mkfifo pipe
    mv a z && echo three > z/h && touch empty && git init -q repo && echo x > repo/x
    git -C repo add x && git -C repo -c user.name=n -c user.email=e commit -qm m
    """
    subprocess.run(["sh", "-c", script], cwd=watched.tree, check=True, timeout=60)
    watched.backend.barrier(20)
    recorded = watched.contents()
    assert recorded.pop(b"pipe") is None
    os.unlink(watched.tree / "pipe")
    assert recorded == watched.really()
    assert watched.place.versions(b"z/g")[-1] == b"one\ntwo\n"
    assert watched.place.history.lookup(b"z/g").mode & 0o777 == 0o755  # type: ignore[union-attr]


def test_a_rename_is_a_rename(watched: Watched) -> None:
    (watched.tree / "a").write_bytes(b"1")
    watched.backend.barrier(10)
    os.rename(watched.tree / "a", watched.tree / "b")
    watched.backend.barrier(10)
    assert [each.kind for each in watched.place.history.history(b"b")] == ["rename", "create"]


def test_a_file_written_as_the_directory_it_is_in_is_renamed_is_found(watched: Watched) -> None:
    for n in range(20):
        (watched.tree / f"d{n}").mkdir()
        (watched.tree / f"d{n}" / "f").write_bytes(b"%d" % n)
        os.rename(watched.tree / f"d{n}", watched.tree / f"e{n}")
        (watched.tree / f"e{n}" / "g").write_bytes(b"g%d" % n)
    watched.backend.barrier(10)
    assert watched.contents() == watched.really()


def test_a_move_out_is_a_deletion_and_a_move_in_is_found_with_all_it_holds(watched: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (watched.tree / "d" / "e").mkdir(parents=True)
    (watched.tree / "d" / "e" / "f").write_bytes(b"1")
    watched.backend.barrier(10)
    os.rename(watched.tree / "d", outside)
    watched.backend.barrier(10)
    assert watched.contents() == {}
    os.rename(outside, watched.tree / "back")
    (watched.tree / "back" / "e" / "g").write_bytes(b"2")
    watched.backend.barrier(10)
    assert watched.contents() == watched.really()


@pytest.mark.proves("CHR-OPEN-FILES")
def test_a_file_that_stays_open_is_read(watched: Watched) -> None:
    with open(watched.tree / "log", "wb", buffering=0) as file:
        file.write(b"one")
        passed = threading.Event()
        for _ in range(500):
            if watched.place.recorder.barrier(10):
                break
            passed.wait(0.01)
        assert watched.place.versions(b"log") == [b"one"]


@pytest.mark.proves("CHR-EXCLUDED")
def test_excluded_paths_have_no_history_and_get_one_when_they_are_renamed(watched: Watched) -> None:
    (watched.tree / "node_modules" / "m").mkdir(parents=True)
    (watched.tree / "node_modules" / "m" / "x.js").write_bytes(b"1")
    (watched.tree / "a.tmp").write_bytes(b"2")
    watched.backend.barrier(10)
    assert watched.contents() == {}
    os.rename(watched.tree / "a.tmp", watched.tree / "a")
    os.rename(watched.tree / "node_modules", watched.tree / "mine")
    (watched.tree / "mine" / "m" / "y.js").write_bytes(b"3")
    watched.backend.barrier(10)
    assert watched.contents() == watched.really()
    os.rename(watched.tree / "mine", watched.tree / "node_modules")
    watched.backend.barrier(10)
    assert watched.contents() == {b"a": b"2"}


def test_lost_notifications_are_made_up_for(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    (watched.tree / "a").write_bytes(b"1")
    watched.backend.barrier(10)
    with held_up(watched.place):
        for n in range(limit // 2 + 200):
            path = watched.tree / f"n{n % 50}"
            path.touch()
            path.unlink()
        (watched.tree / "late").mkdir()
        (watched.tree / "late" / "f").write_bytes(b"2")
        os.rename(watched.tree / "a", watched.tree / "b")
    watched.backend.barrier(60)
    assert "notifications were lost" in caplog.text
    assert watched.contents() == watched.really()
    (watched.tree / "late" / "f").write_bytes(b"3")
    watched.backend.barrier(10)
    assert watched.place.versions(b"late/f") == [b"2", b"3"]


def test_what_changed_while_nobody_watched_is_found_at_the_start(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings) as place:
        (layout.tree / "d").mkdir()
        (layout.tree / "d" / "f").write_bytes(b"1")
        backend = WatchBackend(layout, settings, place.recorder, layout.tree)
        backend.start()
        backend.barrier(10)
        backend.stop()
        assert place.versions(b"d/f") == [b"1"]


def test_another_directory_than_the_tree_is_refused(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings) as place, pytest.raises(InvalidInputError):
        WatchBackend(layout, settings, place.recorder, tmp_path)


def test_what_is_renamed_over_a_file_with_its_size_and_its_time_is_read(watched: Watched, tmp_path: Path) -> None:
    """Written, given the old time and renamed before the notifications of it are read."""
    (watched.tree / "a").write_bytes(b"old")
    (watched.tree / "b").write_bytes(b"old")
    os.utime(watched.tree / "b", ns=(1, 1))
    watched.backend.barrier(10)
    with held_up(watched.place):
        (watched.tree / "b").write_bytes(b"new")
        os.utime(watched.tree / "b", ns=(1, 1))
        os.rename(watched.tree / "b", watched.tree / "a")
    watched.backend.barrier(10)
    assert watched.place.versions(b"a")[-1] == b"new"


def test_what_was_exchanged_while_nobody_watched_is_found_by_its_time_of_change(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings) as place:
        first = WatchBackend(layout, settings, place.recorder, layout.tree)
        first.start()
        (layout.tree / "a").write_bytes(b"old")
        os.utime(layout.tree / "a", ns=(1, 1))
        first.barrier(10)
        first.stop()
        (tmp_path / "b").write_bytes(b"new")
        os.utime(tmp_path / "b", ns=(1, 1))
        os.rename(tmp_path / "b", layout.tree / "a")
        second = WatchBackend(layout, settings, place.recorder, layout.tree)
        second.start()
        second.barrier(10)
        second.stop()
        assert place.versions(b"a")[-1] == b"new"


def test_a_directory_exchanged_for_a_link_shows_nothing_of_what_lies_outside(watched: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"secret")
    (outside / "f").chmod(0o711)
    (outside / "sub").mkdir()
    (watched.tree / "d").mkdir()
    watched.backend.barrier(10)
    with held_up(watched.place):
        (watched.tree / "d" / "f").write_bytes(b"mine")
        (watched.tree / "d" / "sub").mkdir()
        (watched.tree / "d" / "f").chmod(0o600)
        os.rename(watched.tree / "d", tmp_path / "away")
        (watched.tree / "d").symlink_to(outside)
    watched.backend.barrier(10)
    assert watched.contents() == {b"d": os.fsencode(outside), b"nudge": b""}
    told = watched.place.history.log(limit=100)
    assert {one.path for one in told if one.mode is not None} == {b"d", b"nudge"}, "nothing of what lies outside"
