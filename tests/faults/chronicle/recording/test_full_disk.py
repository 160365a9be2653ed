"""The disk is really full: writers notice, nothing noted is lost, and recording goes on by itself."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.layout import Settings
from chronicle.model.errors import StorageError
from chronicle.recording import Limits
from chronicle.store.history.check import check as check_history
from chronicle.workspace.forking import make
from tests.unit.chronicle.recording.place import layout_at, open_place
from tests.waiting import until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=False)
    if mounted.returncode != 0:
        pytest.skip("a tmpfs can't be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.proves("CHR-FULL-DISK")
@pytest.mark.noisy("changes can't be recorded")
@pytest.mark.parametrize("size", [2_000, 90_000])
def test_what_was_noted_when_the_disk_was_full_is_recorded_when_it_is_not(small_disk: Path, size: int) -> None:
    layout, settings = layout_at(small_disk / "w")
    ballast = small_disk / "ballast"
    closed: dict[bytes, bytes] = {}
    with open_place(layout, settings, limits=Limits(retry_s=0.02, quiet_s=0.001)) as place:
        place.make(b"first", b"before")
        place.recorder.barrier(10)
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while file.write(os.urandom(4096)):
                pass
        os.truncate(ballast, ballast.stat().st_size - 200_000)
        for n in range(2_000_000 // size):
            name, content = b"f%d" % n, os.urandom(size)
            try:
                with open(place.path(name), "wb") as new:
                    new.write(content)
            except OSError:
                os.unlink(place.path(name))  # the writer was told; a mount reports no version of it
                break
            closed[name] = content
            place.closed(name)
        assert closed
        until(lambda: place.recorder.failure is not None, 20)
        place.make(b"first", b"a small one is settled in memory")
        place.unlink(b"f0")
        ballast.unlink()
        until(lambda: place.recorder.failure is None, 20)
        place.recorder.barrier(20)
        assert {name: place.versions(name) for name in closed} == {name: [content] for name, content in closed.items()}
        assert place.versions(b"first") == [b"before", b"a small one is settled in memory"]
        assert place.history.lookup(b"f0") is None
        assert list(check_history(place.history)) == []


@pytest.mark.proves("CHR-FULL-DISK")
def test_a_workspace_that_found_no_room_is_made_when_there_is_some(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    for room in (8_000, 40_000):  # for directories; for some of the history
        os.truncate(ballast, ballast.stat().st_size - room)
        with pytest.raises(StorageError):
            make(small_disk / "w", Settings(workspace_id="w"))
        assert not (small_disk / "w").exists()
    ballast.unlink()
    make(small_disk / "w", Settings(workspace_id="w"))
    assert (small_disk / "w").exists()
