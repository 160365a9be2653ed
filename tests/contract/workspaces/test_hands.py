"""A hand, the process that changes a workspace through its mount, when the mount is not there."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import Workspace
from chronicle.control.failures import error_of
from chronicle.control.messages import HolderRequest, Put, Remove, Restore
from chronicle.daemon.hands import hand
from chronicle.daemon.lines import Done, Job, hear, pair, tell
from chronicle.model.errors import StorageError


@pytest.fixture
def umask() -> Iterator[None]:
    """A hand sets its own; here it is this process's."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    "request_",
    [Put(1, b"f", "source"), Remove(1, b"f"), Restore(1, 0, b"")],
    ids=["put", "remove", "restore"],
)
def test_a_hand_that_comes_after_the_unmount_touches_nothing(tmp_path: Path, request_: HolderRequest) -> None:
    with Workspace.create(tmp_path / "ws") as workspace:
        workspace.put("f", b"recorded")
        mountpoint = tmp_path / "mounted"
        mountpoint.mkdir()
        (mountpoint / "f").write_bytes(b"of somebody else")
        (tmp_path / "source").write_bytes(b"late")
        if isinstance(request_, Put):
            request_ = Put(1, b"f", str(tmp_path / "source"))
        ours, theirs = pair()
        with ours, theirs:
            working = threading.Thread(target=hand, args=(theirs, workspace.root, mountpoint))
            working.start()
            assert tell(ours, Job(request_, workspace.head))
            done, _ = hear(ours)
            ours.close()
            working.join(10)
        assert not working.is_alive()
        assert isinstance(done, Done)
        assert done.failure is not None
        assert isinstance(error_of(done.failure), StorageError)
        assert "not mounted any more" in str(error_of(done.failure))
        assert (mountpoint / "f").read_bytes() == b"of somebody else"
        assert os.listdir(mountpoint) == ["f"]
        assert workspace.read("f") == b"recorded"
