"""What a supervisor does on request, and what it answers when it can't."""

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chronicle import (
    DaemonProcess,
    InvalidInputError,
    NotFoundError,
    Workspace,
    WorkspaceBusyError,
    WorkspaceNotFoundError,
)
from chronicle.daemon.client import NobodyThereError, own_directory, user_directory
from chronicle.layout import Layout
from chronicle.model.errors import NotSupportedError
from chronicle.mount.device import mounts
from chronicle.workspace.marks import Lock
from tests.chronicle_mounts import MountMaker
from tests.waiting import until


def test_a_mount_is_listed_and_gone_after_its_unmount(maker: MountMaker) -> None:
    mounted = maker()
    daemon = maker.process.daemon
    [told] = daemon.mounts()
    assert (told.workspace, told.mountpoint, told.state) == (str(mounted.root), str(mounted.directory), "ready")
    assert mounted.workspace.status().state == "mounted"
    (mounted.directory / "file").write_text("x")
    answer = daemon.unmount(mounted.directory)
    assert answer.lazy is None
    assert daemon.mounts() == []
    assert os.listdir(mounted.directory) == []
    assert mounted.workspace.read("file") == b"x"
    assert mounted.workspace.status().state == "idle"


def test_mounting_again_what_is_mounted_is_no_error(maker: MountMaker) -> None:
    mounted = maker()
    again = maker.process.daemon.mount(mounted.root, mounted.directory)
    assert again.pid == maker.process.daemon.mounts()[0].pid


def test_what_was_written_is_there_at_the_next_mount(maker: MountMaker) -> None:
    mounted = maker()
    daemon = maker.process.daemon
    (mounted.directory / "src").mkdir()
    (mounted.directory / "src" / "file").write_text("x")
    daemon.unmount(mounted.root)
    head = mounted.workspace.head
    daemon.mount(mounted.root, mounted.directory)
    assert (mounted.directory / "src" / "file").read_text() == "x"
    assert mounted.workspace.barrier() == head


def test_a_workspace_can_be_mounted_at_one_place_only(maker: MountMaker, tmp_path: Path) -> None:
    mounted = maker()
    other = tmp_path / "elsewhere"
    other.mkdir()
    with pytest.raises(WorkspaceBusyError, match="unmount"):
        maker.process.daemon.mount(mounted.root, other)
    with Workspace.create(tmp_path / "second") as second:
        with pytest.raises(WorkspaceBusyError):
            maker.process.daemon.mount(second.root, mounted.directory)
    process = DaemonProcess.start(tmp_path / "other-daemon")
    try:
        with pytest.raises(WorkspaceBusyError, match="daemon"):
            process.daemon.mount(mounted.root, other)
    finally:
        process.stop()


def test_requests_that_make_no_sense_are_answered_with_what_to_do(maker: MountMaker, tmp_path: Path) -> None:
    daemon = maker.process.daemon
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with Workspace.create(tmp_path / "store") as workspace:
        with pytest.raises(InvalidInputError, match="adopt"):
            daemon.mount(workspace.root, tmp_path / "full")
        with pytest.raises(InvalidInputError):
            daemon.mount(workspace.root, tmp_path / "missing")
    with pytest.raises(WorkspaceNotFoundError):
        daemon.mount(tmp_path / "nothing", tmp_path / "full")
    with pytest.raises(NotFoundError):
        daemon.unmount(tmp_path)
    assert daemon.mounts() == []


def test_a_workspace_that_is_being_written_is_waited_for_and_then_busy(maker: MountMaker, tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "store") as workspace:
        (tmp_path / "point").mkdir()
        lock = Lock.take(Layout(workspace.root))
        try:
            with pytest.raises(WorkspaceBusyError):
                maker.process.daemon.mount(workspace.root, tmp_path / "point")
        finally:
            lock.release()
        maker.process.daemon.mount(workspace.root, tmp_path / "point")
        maker.process.daemon.unmount(workspace.root)


def test_sockets_are_for_their_owner_only(maker: MountMaker) -> None:
    mounted = maker()
    directory = maker.process.daemon.directory
    for socket in (directory / "chronicled.sock", mounted.root / "control.sock"):
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_not_listened_to(maker: MountMaker) -> None:
    directory = maker.process.daemon.directory
    program = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(5)\n"
        'try:\n    s.connect(sys.argv[1]); s.sendall(b\'{"id": 1, "do": "list"}\\n\'); print(s.recv(100))\n'
        "except OSError as error: print(error)\n"
    )
    for opened in (directory.parent, directory):
        opened.chmod(0o755)
    (directory / "chronicled.sock").chmod(0o666)
    said = subprocess.run(
        [sys.executable, "-c", program, str(directory / "chronicled.sock")], capture_output=True, text=True, check=True
    ).stdout
    assert "mountpoint" not in said
    assert "[]" not in said


def test_directories_deeper_than_a_socket_address_work(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    process = DaemonProcess.start(deep / "daemon")
    try:
        with Workspace.create(deep / "store") as workspace:
            (deep / "point").mkdir()
            process.daemon.mount(workspace.root, deep / "point")
            (deep / "point" / "file").write_text("x")
            workspace.barrier()
            assert workspace.read("file") == b"x"
    finally:
        process.stop()


def test_one_supervisor_has_a_directory(maker: MountMaker) -> None:
    with open(os.devnull, "wb") as nowhere, pytest.raises(NotSupportedError, match="another Chronicle daemon"):
        DaemonProcess.start(maker.process.daemon.directory, log=nowhere.fileno())
    assert maker.process.daemon.running


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NotSupportedError):
        own_directory(tmp_path / "open")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotSupportedError):
        own_directory(tmp_path / "link")
    assert user_directory({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "chronicle"
    assert stat.S_IMODE((tmp_path / "chronicle").stat().st_mode) == 0o700


def test_stopping_unmounts_everything(maker: MountMaker, tmp_path: Path) -> None:
    process = DaemonProcess.start(tmp_path / "daemon")
    points = []
    for number in range(3):
        with Workspace.create(tmp_path / f"ws{number}") as workspace:
            (tmp_path / f"point{number}").mkdir()
            process.daemon.mount(workspace.root, tmp_path / f"point{number}")
            (tmp_path / f"point{number}" / "file").write_text("x")
            points.append(tmp_path / f"point{number}")
    process.daemon.stop()
    until(lambda: not process.alive)
    process.stop()
    assert not {mounted.mountpoint for mounted in mounts()} & set(points)
    for number in range(3):
        with Workspace.open(tmp_path / f"ws{number}") as workspace:
            assert workspace.read("file") == b"x"
            assert workspace.status().state == "idle"
    with pytest.raises(NobodyThereError):
        process.daemon.mounts()
    process.daemon.close()


def test_a_supervisor_that_is_for_one_use_ends_with_its_last_mount(maker: MountMaker, tmp_path: Path) -> None:
    process = DaemonProcess.start(tmp_path / "daemon", until_idle=True)
    try:
        with Workspace.create(tmp_path / "ws") as workspace:
            (tmp_path / "point").mkdir()
            process.daemon.mount(workspace.root, tmp_path / "point")
            process.daemon.unmount(workspace.root)
        process.daemon.close()
        until(lambda: not process.alive)
    finally:
        process.stop()


def test_a_mount_in_use_is_taken_from_its_users_and_the_answer_says_so(maker: MountMaker) -> None:
    mounted = maker()
    (mounted.directory / "file").write_text("x")
    with contextlib.ExitStack() as held:
        user = held.enter_context(open(mounted.directory / "file", "a"))
        answer = maker.process.daemon.unmount(mounted.root)
        assert answer.lazy is not None
        assert os.listdir(mounted.directory) == []
        with contextlib.suppress(OSError):
            user.close()
    assert mounted.workspace.status().state == "unclean"
    mounted.workspace.barrier()
    assert mounted.workspace.read("file") == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make mount namespaces here")
def test_a_copy_of_the_mount_in_another_namespace_does_not_keep_it(maker: MountMaker) -> None:
    mounted = maker()
    holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "cat"], stdin=subprocess.PIPE)
    try:
        until(lambda: os.readlink(f"/proc/{holder.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"))
        (mounted.directory / "file").write_text("x")
        answer = maker.process.daemon.unmount(mounted.root)
        assert answer.lazy is not None
        assert "namespace" in answer.lazy
        assert mounted.workspace.read("file") == b"x"
        mounted.workspace.barrier()
    finally:
        holder.communicate()
