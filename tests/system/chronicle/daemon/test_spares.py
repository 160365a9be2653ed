"""A worker that is kept ahead: who mounts next gets it, and nothing is left of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from chronicle import DaemonProcess, Workspace
from tests.chronicle_mounts import Mounted, MountMaker, needs_fuse
from tests.system.daemons import descendants
from tests.waiting import until


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[MountMaker]:
    """Makes mounts by a daemon that keeps a spare; their workspaces are whole afterwards."""
    needs_fuse()
    made = MountMaker(tmp_path, DaemonProcess.start(tmp_path / "daemon", spare=True))
    try:
        yield made
    finally:
        for mounted in made.made:
            mounted.workspace.close()
        made.process.stop()
    for mounted in made.made:
        with Workspace.open(mounted.root) as workspace:
            assert list(workspace.fsck()) == []


def spares(maker: MountMaker) -> set[int]:
    """Processes that wait for a mount, or get ready to."""
    return {pid for pid in descendants(maker.process.pid) if _name(pid) == "chronicle-spare"}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def mounted_by_a_spare(maker: MountMaker, backend: Literal["fuse", "watch"] = "fuse") -> Mounted:
    """A mount that a spare serves: the next one, or one of those that follow when it was not ready yet."""
    maker(backend=backend)

    def is_by_a_spare() -> bool:
        until(lambda: bool(spares(maker)))
        waiting = spares(maker)
        mounted = maker(backend=backend)
        found = next(one for one in maker.process.daemon.mounts() if one.workspace == str(mounted.root))
        return found.pid in waiting and _name(found.pid) == "chronicle-mount"

    until(is_by_a_spare)
    return maker.made[-1]


@pytest.mark.parametrize("backend", ["fuse", "watch"])
def test_a_spare_serves_the_next_mount_as_any_worker_does(maker: MountMaker, backend: Literal["fuse", "watch"]) -> None:
    mounted = mounted_by_a_spare(maker, backend)
    (mounted.directory / "file").write_text("one")
    mounted.workspace.barrier()
    assert mounted.workspace.read("file") == b"one"
    assert [each.path for each in mounted.workspace.log()] == [b"file"]
    until(lambda: bool(spares(maker)))  # another is there for the mount after it


def test_a_spare_that_dies_is_missed_by_nobody(maker: MountMaker) -> None:
    maker()
    until(lambda: bool(spares(maker)))
    for pid in spares(maker):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not spares(maker))
    mounted = mounted_by_a_spare(maker)
    (mounted.directory / "file").write_text("one")
    mounted.workspace.barrier()
    assert mounted.workspace.read("file") == b"one"


def test_a_worker_that_was_a_spare_is_replaced_when_it_dies(maker: MountMaker) -> None:
    mounted = mounted_by_a_spare(maker)
    with open(mounted.directory / "open", "w") as held:
        held.write("one ")
        held.flush()
        before = _worker(maker, mounted)
        os.kill(before, signal.SIGKILL)
        until(lambda: _worker(maker, mounted) not in (before, 0))
        held.write("two")
    mounted.workspace.barrier()
    assert mounted.workspace.read("open") == b"one two"


def _worker(maker: MountMaker, mounted: Mounted) -> int:
    """Who serves it; 0 while nobody does."""
    told = next(one for one in maker.process.daemon.mounts() if one.workspace == str(mounted.root))
    return told.pid if told.state == "ready" else 0
