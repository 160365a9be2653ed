"""Mounting, unmounting, what is left of dead processes, and what this host can do."""

import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chronicle.model.errors import NotSupportedError, StorageError
from chronicle.mount import MountOptions, is_dead, mounts, open_device, probe, unmount
from chronicle.mount import device as fuse_device
from tests.system.chronicle.mount.serving import Serving

Serve = Callable[..., Serving]


@pytest.mark.proves("CHR-DEAD-MOUNTS")
def test_a_dead_mount_is_seen_and_replaced(serve: Serve) -> None:
    first = serve()
    (first.mountpoint / "f").write_text("stays")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.communicate()
    assert is_dead(first.mountpoint)
    second = Serving(first.layout.root, first.mountpoint, {})
    try:
        assert not is_dead(first.mountpoint)
        assert (first.mountpoint / "f").read_text() == "stays"
        assert len([mounted for mounted in mounts() if mounted.mountpoint == first.mountpoint]) == 1
    finally:
        second.stop()
        first.process.returncode = 0
    assert not is_dead(first.mountpoint)


def test_mounts_are_listed_with_odd_names(serve: Serve, tmp_path: Path) -> None:
    odd = tmp_path / "with space\tand\\more"
    odd.mkdir()
    device = open_device(MountOptions(mountpoint=odd, source="a source"))
    try:
        assert [m.source for m in mounts() if m.mountpoint == odd] == ["a source"]
        assert odd not in [m.mountpoint for m in mounts("fuse.other")]
    finally:
        unmount(odd)
        os.close(device)
    assert odd not in [mounted.mountpoint for mounted in mounts(None)]


def test_a_mount_in_use_is_not_taken_away_unless_lazily(serve: Serve) -> None:
    serving = serve()
    with open(serving.mountpoint / "f", "w") as file:
        with pytest.raises(StorageError):
            unmount(serving.mountpoint)
        unmount(serving.mountpoint, lazy=True)
        assert not os.path.ismount(serving.mountpoint)
        file.write("still")
    assert serving.process.wait(timeout=5) == 0
    assert (serving.layout.tree / "f").read_text() == "still"


def test_unmounting_what_is_not_mounted_is_no_error(tmp_path: Path) -> None:
    unmount(tmp_path)
    unmount(tmp_path / "nothing")
    assert not is_dead(tmp_path / "nothing")


def test_a_file_is_no_mount_point(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(StorageError):
        open_device(MountOptions(mountpoint=tmp_path / "f"))


def test_the_probe_says_what_is_there_and_leaves_nothing() -> None:
    before = mounts()
    abilities = probe()
    assert abilities.fuse
    assert abilities.how
    assert mounts() == before


HELPER = """#!{python}
import ctypes, os, socket, sys
if "-u" in sys.argv:
    sys.exit(ctypes.CDLL(None).umount2(sys.argv[-1].encode(), 2))
if sys.argv[-1].endswith("forbidden"):
    sys.exit("not allowed here")
device = os.open("/dev/fuse", os.O_RDWR)
data = f"fd={{device}},rootmode=40000,user_id=0,group_id=0".encode()
assert ctypes.CDLL(None).mount(b"helped", sys.argv[-1].encode(), b"fuse.chronicle", 6, data) == 0
line = socket.socket(fileno=int(os.environ["_FUSE_COMMFD"]))
socket.send_fds(line, [b"x"], [device])
"""


@pytest.mark.proves("CHR-FALLBACK")
def test_an_ordinary_user_mounts_by_the_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper here speaks the same protocol as `fusermount3`, which not every host has."""
    helper = tmp_path / "bin/fusermount3"
    helper.parent.mkdir()
    helper.write_text(HELPER.format(python=sys.executable))
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(fuse_device, "may_mount", lambda: False)
    place = tmp_path / "mount"
    place.mkdir()
    device = open_device(MountOptions(mountpoint=place))
    try:
        assert stat.S_ISCHR(os.fstat(device).st_mode)
        assert not os.get_inheritable(device)
        assert place in [mounted.mountpoint for mounted in mounts()]
    finally:
        unmount(place, lazy=True)
        os.close(device)
    assert not os.path.ismount(place)
    (tmp_path / "forbidden").mkdir()
    with pytest.raises(NotSupportedError, match="not allowed here"):
        open_device(MountOptions(mountpoint=tmp_path / "forbidden"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSupportedError, match="fusermount3"):
        open_device(MountOptions(mountpoint=place))
