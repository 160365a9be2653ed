"""What a recorder does when it is idle, overrun, or reads what moves."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronicle.layout import Settings
from chronicle.model.changes import Change
from chronicle.model.errors import StorageError
from chronicle.recording import Limits
from chronicle.recording.contents import store_file
from chronicle.store.pool import Pool, PoolBatch, Stored
from tests.unit.chronicle.recording.place import AT, layout_at, open_place
from tests.waiting import until

QUICK = Limits(retry_s=0.02, quiet_s=0.001)


class Stubborn(Pool):
    """A pool that refuses while it is told to."""

    refuses = False
    asked = 0

    @contextmanager
    def batch(self, *, durable: bool = False) -> Iterator[PoolBatch]:
        self.asked += 1
        if self.refuses:
            raise StorageError("no space left")
        with super().batch(durable=durable) as batch:
            yield batch


def stubborn(pool: Pool) -> Pool:
    pool.__class__ = Stubborn
    return pool


@pytest.mark.noisy("changes can't be recorded")
@pytest.mark.proves("CHR-FULL-DISK")
def test_while_the_pool_refuses_everything_waits_and_then_is_recorded_in_order(tmp_path: Path) -> None:
    with open_place(*layout_at(tmp_path / "w"), limits=QUICK, pool=stubborn) as place:
        assert isinstance(place.pool, Stubborn)
        place.pool.refuses = True
        contents = [b"%d" % n * 100_000 for n in range(3)]
        for content in contents:
            place.make(b"a", content)
        place.make(b"b", b"kept")
        place.unlink(b"b")
        until(lambda: place.recorder.failure is not None)
        with pytest.raises(TimeoutError, match="no space"):
            place.recorder.barrier(0.05)
        assert place.history.head == 0
        place.pool.refuses = False
        place.recorder.barrier(10)
        assert place.recorder.failure is None
        assert place.versions(b"a") == contents
        assert place.versions(b"b") == [b"kept"]


@pytest.mark.noisy("changes can't be recorded")
def test_what_could_not_be_recorded_before_a_stop_is_recorded_after_the_next_start(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings, limits=QUICK, pool=stubborn) as place:
        assert isinstance(place.pool, Stubborn)
        place.pool.refuses = True
        place.make(b"a", b"1")
        place.make(b"a", b"2")
        place.make(b"b", b"3")
        place.unlink(b"b")
        place.recorder.checkpoint(label="here", turn_id=None, done=lambda _: None)
        until(lambda: place.recorder.failure is not None)
    with open_place(layout, settings) as place:
        assert (place.versions(b"a"), place.versions(b"b")) == ([b"1", b"2"], [b"3"])
        assert place.history.checkpoint("here").iteration == 4
        assert os.listdir(layout.pending) == []


@pytest.mark.noisy("changes can't be recorded")
def test_notes_beyond_the_bound_are_found_again_by_comparing(tmp_path: Path) -> None:
    limits = Limits(retry_s=0.02, quiet_s=0.001, queue_bytes=20_000, pressure_s=0.05)
    with open_place(*layout_at(tmp_path / "w"), limits=limits, pool=stubborn) as place:
        assert isinstance(place.pool, Stubborn)
        place.pool.refuses = True
        for n in range(100):
            place.make(b"f%d" % n, b"%d" % n)
        place.unlink(b"f99")
        assert len(place.recorder._queue.items) < 60
        place.pool.refuses = False
        until(lambda: place.recorder.failure is None and place.recorder.barrier(10) >= 99)
        place.recorder.barrier(10)
        found = {entry.path: place.pool.read(entry.version.digest or b"") for entry in place.history.walk()}
        assert found == {b"f%d" % n: b"%d" % n for n in range(99)}


def test_above_the_bound_of_descriptors_contents_are_settled(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    before = len(os.listdir("/proc/self/fd"))
    with open_place(layout, settings, limits=Limits(held=10), start=False) as place:
        for n in range(50):
            place.make(b"f%d" % n, b"%d" % n)
        assert len(os.listdir("/proc/self/fd")) < before + 30
        assert os.stat(place.path(b"f49")).st_nlink == 1
        place.make(b"f49", b"new")
        place.unlink(b"f48")
        place.recorder.start()
        place.recorder.barrier(10)
        assert place.versions(b"f49") == [b"49", b"new"]
        assert place.versions(b"f48") == [b"48"]
        assert os.listdir(layout.pending) == []


def test_an_idle_recorder_does_not_wake_up(tmp_path: Path) -> None:
    with open_place(*layout_at(tmp_path / "w")) as place:
        place.make(b"a", b"1")
        place.recorder.barrier(10)
        thread = place.recorder._thread
        assert thread is not None
        status = Path(f"/proc/self/task/{thread.native_id}/status")

        def switches() -> str:
            return next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))

        until(lambda: place.recorder._queue._ring_at == 1)
        until(lambda: "sleeping" in status.read_text())
        before = switches()
        threading.Event().wait(0.3)
        assert switches() == before


def test_a_burst_is_recorded_in_few_batches(tmp_path: Path) -> None:
    with open_place(*layout_at(tmp_path / "w"), pool=stubborn) as place:
        assert isinstance(place.pool, Stubborn)
        for n in range(100):
            place.make(b"f%d" % n, b"%d" % n)
        place.recorder.barrier(10)
        assert place.pool.asked < 20


class Meddling:
    """A pool's batch during which somebody goes on writing the file."""

    def __init__(self, path: Path, times: int) -> None:
        self.path = path
        self.times = times
        self.added: list[bytes] = []

    def add(self, data: bytes | memoryview) -> Stored:
        self.added.append(bytes(data))
        if self.times:
            self.times -= 1
            with open(self.path, "ab") as file:
                file.write(b"+")
        return Stored(bytes(data), len(data))

    def add_file(self, fd: int, size: int) -> Stored:
        return self.add(os.pread(fd, size, 0))


@pytest.mark.parametrize(("times", "reads"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_a_content_that_moves_while_it_is_read_is_read_again_a_few_times(
    tmp_path: Path, times: int, reads: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    batch = Meddling(path, times)
    with open(path, "rb") as file:
        captured = store_file(file.fileno(), batch)
    assert len(batch.added) == reads
    assert captured.digest == batch.added[-1]


def test_a_large_file_that_stays_open_is_not_read_again_at_once(tmp_path: Path) -> None:
    with open_place(*layout_at(tmp_path / "w")) as place:
        token = place.make(b"small", b"1")
        place.make(b"large", bytes(5 << 20))
        inode = os.stat(place.path(b"large")).st_ino
        assert not place.recorder.due(inode)
        place.recorder.barrier(10)
        assert not place.recorder.due(inode)
        assert place.recorder.due(os.stat(place.path(b"small")).st_ino)
        assert token.done
        until(lambda: place.recorder.due(inode), 60)


@pytest.mark.proves("CHR-EVERY-VERSION")
def test_an_open_file_noted_twice_is_settled_as_a_whole(tmp_path: Path) -> None:
    with open_place(*layout_at(tmp_path / "w"), start=False) as place:
        place.make(b"a", b"one")
        place.closed(b"a")
        place.make(b"a", b"two")
        place.recorder.start()
        place.recorder.barrier(10)
        assert place.versions(b"a") == [b"one", b"two"]


@pytest.mark.proves("CHR-CRASH")
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_file_noted_twice_and_removed_is_found_after_a_crash(tmp_path: Path, size: int) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings, start=False) as place:
        place.make(b"a", b"x" * size)
        place.closed(b"a")
        place.unlink(b"a")
    with open_place(layout, settings) as place:
        assert place.versions(b"a") == [b"x" * size]
        assert place.kinds() == [("create", b"a"), ("delete", b"a")]
        assert os.listdir(layout.pending) == []


@pytest.mark.proves("CHR-CRASH")
def test_a_file_that_was_moved_without_a_note_is_found_after_a_crash(tmp_path: Path) -> None:
    layout, settings = layout_at(tmp_path / "w")
    with open_place(layout, settings, start=False) as place:
        place.mkdir(b"d")
        place.make(b"d/a", b"one")
        os.rename(place.path(b"d"), place.path(b"e"))
    with open_place(layout, settings) as place:
        assert place.versions(b"d/a") == [b"one"]


@pytest.mark.proves("CHR-SYNC")
def test_with_sync_the_record_is_on_disk_when_who_waits_is_told(tmp_path: Path) -> None:
    layout, _ = layout_at(tmp_path / "w")
    seen: list[bool] = []

    class Watching(Pool):
        @contextmanager
        def batch(self, *, durable: bool = False) -> Iterator[PoolBatch]:
            seen.append(durable)
            with super().batch(durable=durable) as batch:
                yield batch

    def watching(pool: Pool) -> Pool:
        pool.__class__ = Watching
        return pool

    with open_place(layout, Settings(workspace_id="w", durability="sync"), pool=watching) as place:
        place.make(b"a", b"1")
        place.recorder.barrier(10)
    assert seen == [True]


@pytest.mark.noisy("who was told")
def test_who_is_told_may_fail_and_recording_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_place(*layout_at(tmp_path / "w")) as place:
        place.recorder.when_recorded(lambda head: [][head])
        place.recorder.changed(Change(kind="mkdir", path=b"d", at=AT))
        assert place.recorder.barrier(10) == 1
        assert "who was told" in caplog.text
