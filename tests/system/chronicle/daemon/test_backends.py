"""Which backend it is, and that it is said."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import NotSupportedError, Workspace
from chronicle.daemon.client import Daemon
from chronicle.mount.device import may_mount, probe
from tests.waiting import until

pytestmark = pytest.mark.proves("CHR-FALLBACK", "CHR-AGENT-BACKEND")


@pytest.fixture
def without_fuse(tmp_path: Path) -> Iterator[Daemon]:
    """A supervisor on a host without /dev/fuse: in a mount namespace where that is something else."""
    if not may_mount() or shutil.which("unshare") is None:
        pytest.skip("hiding /dev/fuse takes root and unshare")
    command = 'mount --bind /dev/null /dev/fuse; exec "$@"'
    run = [sys.executable, "-m", "chronicle.daemon", "--directory", str(tmp_path / "daemon")]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", command, "sh", *run], stdout=log, stderr=log)
    daemon = Daemon(tmp_path / "daemon")
    try:
        until(lambda: daemon.running)
        yield daemon
    finally:
        daemon.close()
        process.terminate()
        process.wait(30)
        log.close()


def test_without_fuse_it_is_a_watched_directory_and_everybody_is_told(without_fuse: Daemon, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    with Workspace.create(tmp_path / "store") as workspace:
        told = without_fuse.mount(workspace.root, tmp_path / "shown")
        assert told.backend == "watch"
        assert told.why_watch
        assert workspace.status().backend == "watch"
        assert "watched instead" in (tmp_path / "log").read_text()
        (tmp_path / "shown" / "file").write_text("x")
        workspace.barrier()
        assert workspace.read("file") == b"x"
        without_fuse.unmount(workspace.root)
        assert list(workspace.fsck()) == []


def test_without_fuse_who_demands_it_is_refused_with_the_reason(without_fuse: Daemon, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    with Workspace.create(tmp_path / "store") as workspace:
        with pytest.raises(NotSupportedError, match="FUSE"):
            without_fuse.mount(workspace.root, tmp_path / "shown", backend="fuse")
        assert without_fuse.mounts() == []


WITHOUT_RESEND = """
import sys, msgspec
from chronicle.daemon import __main__, supervisor
from chronicle.mount import device
supervisor.probe = lambda: msgspec.structs.replace(device.probe(), resend=False)
sys.exit(__main__.main())
"""


@pytest.mark.proves("CHR-TAKEOVER")
def test_where_the_kernel_sends_nothing_again_the_mount_of_a_dead_worker_is_made_anew(tmp_path: Path) -> None:
    if not probe().fuse:
        pytest.skip("this host can't mount FUSE file systems")
    (tmp_path / "shown").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_RESEND, "--directory", str(tmp_path / "daemon")], stdout=log, stderr=log
        )
    daemon = Daemon(tmp_path / "daemon")
    try:
        until(lambda: daemon.running)
        with Workspace.create(tmp_path / "store") as workspace:
            worker = daemon.mount(workspace.root, tmp_path / "shown").pid
            (tmp_path / "shown" / "file").write_text("before")
            os.kill(worker, signal.SIGKILL)
            until(lambda: (told := daemon.mounts()[0]).pid != worker and told.state == "ready")
            assert (tmp_path / "shown" / "file").read_text() == "before"
            (tmp_path / "shown" / "file").write_text("after")
            workspace.barrier()
            assert [workspace.read("file", one.iteration) for one in workspace.history("file")] == [b"after", b"before"]
            assert daemon.unmount(workspace.root).lazy is None
            assert list(workspace.fsck()) == []
    finally:
        daemon.close()
        process.terminate()
        process.wait(30)
