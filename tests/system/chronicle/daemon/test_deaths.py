"""Processes that are killed: workers are replaced, supervisors leave nothing that the next start can't clean up."""

import errno
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from chronicle import ChronicleError, DaemonProcess, StorageError, Workspace
from chronicle.daemon.replacing import DEATHS
from chronicle.mount.device import is_dead, mounts
from tests.chronicle_mounts import MountMaker, needs_fuse
from tests.waiting import until


def worker_of(maker: MountMaker) -> int:
    return maker.process.daemon.mounts()[0].pid


def kill_worker(maker: MountMaker) -> int:
    """Kills the worker and waits for its replacement."""
    before = worker_of(maker)
    os.kill(before, signal.SIGKILL)
    until(lambda: (told := maker.process.daemon.mounts()[0]).pid != before and told.state == "ready")
    return worker_of(maker)


@pytest.mark.proves("CHR-TAKEOVER", "CHR-CRASH")
def test_a_worker_that_is_killed_is_replaced_and_open_files_go_on(maker: MountMaker) -> None:
    mounted = maker()
    directory = mounted.directory
    (directory / "src").mkdir()
    (directory / "before").write_text("kept")
    with open(directory / "open", "w") as held, open(directory / "src" / "other", "w") as other:
        held.write("one ")
        held.flush()
        head = mounted.workspace.barrier()
        kill_worker(maker)
        held.write("two")
        other.write("three")
    assert (directory / "open").read_text() == "one two"
    (directory / "src" / "new").write_text("made after")
    assert mounted.workspace.barrier() > head
    assert [mounted.workspace.read(name) for name in ("before", "open", "src/other", "src/new")] == [
        b"kept", b"one two", b"three", b"made after",
    ]  # fmt: skip


@pytest.mark.proves("CHR-TAKEOVER")
def test_users_that_are_at_work_while_a_worker_dies_notice_at_most_one_error_each(maker: MountMaker) -> None:
    mounted = maker()
    ended = threading.Event()
    errors: list[list[OSError]] = [[], []]

    def work(number: int) -> None:
        count = 0
        while not ended.is_set():
            count += 1
            path = mounted.directory / f"user{number}-{count}"
            try:
                path.write_text(str(count))
                assert path.read_text() == str(count)
                if count % 3 == 0:
                    path.rename(path.with_suffix(".moved"))
            except OSError as error:
                errors[number].append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            kill_worker(maker)
            files = len(os.listdir(mounted.directory))
            until(lambda files=files: len(os.listdir(mounted.directory)) > files + 20)  # type: ignore[misc]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert all(len(found) <= 2 for found in errors), errors
    mounted.workspace.barrier()
    there = {path.name: path.read_bytes() for path in mounted.directory.iterdir()}
    assert {entry.name.decode(): mounted.workspace.read(entry.path) for entry in mounted.workspace.entries()} == there


@pytest.mark.proves("CHR-CRASH")
def test_a_request_during_the_death_is_answered_by_the_replacement(maker: MountMaker) -> None:
    mounted = maker()
    (mounted.directory / "file").write_text("x")
    os.kill(worker_of(maker), signal.SIGKILL)
    mounted.workspace.barrier()
    assert mounted.workspace.read("file") == b"x"
    os.kill(worker_of(maker), signal.SIGKILL)
    assert mounted.workspace.put("more", b"y").kind == "create"


@pytest.mark.proves("CHR-DEAD-MOUNTS")
def test_a_mount_whose_workers_die_again_and_again_is_given_up_and_reported(maker: MountMaker) -> None:
    mounted = maker()
    (mounted.directory / "file").write_text("x")
    for _ in range(DEATHS - 1):
        kill_worker(maker)
    os.kill(worker_of(maker), signal.SIGKILL)
    until(lambda: maker.process.daemon.mounts() == [])
    assert mounted.directory not in {one.mountpoint for one in mounts()}
    assert os.listdir(mounted.directory) == []
    mounted.workspace.barrier()
    assert mounted.workspace.read("file") == b"x"
    maker.process.daemon.mount(mounted.root, mounted.directory)
    assert (mounted.directory / "file").read_text() == "x"


@pytest.mark.proves("CHR-TAKEOVER")
def test_the_watched_directory_goes_on_too(maker: MountMaker) -> None:
    mounted = maker(backend="watch")
    (mounted.directory / "file").write_text("one")
    mounted.workspace.barrier()
    kill_worker(maker)
    (mounted.directory / "file").write_text("two")
    mounted.workspace.barrier()
    assert mounted.workspace.read("file") == b"two"


def _reap(pid: int) -> None:
    """Orphans of what we kill become our children."""

    def gone() -> bool:
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return not Path(f"/proc/{pid}").exists()

    until(gone)


@pytest.mark.proves("CHR-DEAD-MOUNTS", "CHR-CRASH")
def test_workers_of_a_killed_supervisor_record_everything_and_unmount(tmp_path: Path) -> None:
    needs_fuse()
    process = DaemonProcess.start(tmp_path / "daemon")
    try:
        with Workspace.create(tmp_path / "ws") as workspace:
            (tmp_path / "point").mkdir()
            worker = process.daemon.mount(workspace.root, tmp_path / "point").pid
            (tmp_path / "point" / "file").write_text("x")
            os.kill(process.pid, signal.SIGKILL)
            _reap(worker)
            assert tmp_path / "point" not in {one.mountpoint for one in mounts()}
            assert workspace.status().state == "idle"
            assert workspace.read("file") == b"x"
            assert list(workspace.fsck()) == [] or [one.kind for one in workspace.fsck()] == ["mount-note"]
    finally:
        process.stop()


@pytest.mark.proves("CHR-DEAD-MOUNTS")
def test_a_dead_mount_is_cleaned_up_at_the_next_start(tmp_path: Path) -> None:
    needs_fuse()
    process = DaemonProcess.start(tmp_path / "daemon")
    with Workspace.create(tmp_path / "ws") as workspace:
        point = tmp_path / "point"
        point.mkdir()
        worker = process.daemon.mount(workspace.root, point).pid
        (point / "file").write_text("x")
        process.daemon.close()
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        process.stop()
        _reap(worker)
        assert is_dead(point)
        with pytest.raises(OSError) as refused:
            os.listdir(point)
        assert refused.value.errno == errno.ENOTCONN
        again = DaemonProcess.start(tmp_path / "daemon")
        try:
            assert os.listdir(point) == []
            again.daemon.mount(workspace.root, point)
            assert (point / "file").read_text() == "x"
            workspace.barrier()
            assert workspace.read("file") == b"x"
        finally:
            again.stop()


@pytest.mark.proves("CHR-DEAD-MOUNTS")
def test_a_dead_mount_of_somebody_who_left_no_note_is_cleaned_up_by_mounting_there(tmp_path: Path) -> None:
    needs_fuse()
    process = DaemonProcess.start(tmp_path / "daemon")
    with Workspace.create(tmp_path / "ws") as workspace:
        point = tmp_path / "point"
        point.mkdir()
        worker = process.daemon.mount(workspace.root, point).pid
        process.daemon.close()
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        process.stop()
        _reap(worker)
        assert is_dead(point)
        other = DaemonProcess.start(tmp_path / "other")
        try:
            assert other.daemon.mount(workspace.root, point).state == "ready"
            assert os.listdir(point) == []
        finally:
            other.stop()


def test_a_worker_that_can_not_begin_is_told_to_who_asked_and_leaves_no_mount(
    maker: MountMaker, tmp_path: Path
) -> None:
    with Workspace.create(tmp_path / "ws") as workspace:
        (tmp_path / "point").mkdir()
        journal = workspace.root / "journal"
        journal.unlink(missing_ok=True)
        journal.mkdir()
        with pytest.raises(ChronicleError):
            maker.process.daemon.mount(workspace.root, tmp_path / "point")
        assert maker.process.daemon.mounts() == []
        assert tmp_path / "point" not in {one.mountpoint for one in mounts()}
        journal.rmdir()
        maker.process.daemon.mount(workspace.root, tmp_path / "point")
        maker.process.daemon.unmount(workspace.root)


@pytest.mark.proves("CHR-DEAD-MOUNTS")
def test_the_next_supervisor_waits_for_workers_that_are_still_leaving(tmp_path: Path) -> None:
    needs_fuse()
    process = DaemonProcess.start(tmp_path / "daemon")
    with Workspace.create(tmp_path / "ws") as workspace:
        point = tmp_path / "point"
        point.mkdir()
        worker = process.daemon.mount(workspace.root, point).pid
        (point / "file").write_text("x")
        with open(point / "file") as held:
            process.daemon.close()
            os.kill(process.pid, signal.SIGKILL)
            process.stop()
            held.read()
            again = DaemonProcess.start(tmp_path / "daemon")
        try:
            assert point not in {one.mountpoint for one in mounts()}
            again.daemon.mount(workspace.root, point)
            assert (point / "file").read_text() == "x"
        finally:
            again.stop()
            _reap(worker)


@pytest.mark.proves("CHR-CRASH")
def test_a_supervisor_without_room_for_another_process_refuses_a_restore_and_keeps_all_mounts(
    maker: MountMaker,
) -> None:
    one, other = maker(), maker()
    (one.directory / "a").write_text("first")
    moment = one.workspace.barrier()
    (one.directory / "a").write_text("second")
    supervisor = maker.process.pid
    taken = {int(name) for name in os.listdir(f"/proc/{supervisor}/fd")}
    free = next(number for number in range(len(taken) + 1) if number not in taken)
    limits = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    # The line to the new process finds a number, the descriptor that tells of its end finds none.
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (free + 1, limits[1]))
    try:
        with pytest.raises(StorageError):
            one.workspace.restore(moment)
    finally:
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
    assert [told.state for told in maker.process.daemon.mounts()] == ["ready", "ready"]
    one.workspace.restore(moment)
    assert (one.directory / "a").read_text() == "first"
    (other.directory / "b").write_text("served")
    assert other.workspace.barrier() > 0
