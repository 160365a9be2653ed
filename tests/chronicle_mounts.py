"""Mounted workspaces for tests: made by the real daemon, gone after the test whatever happens."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from chronicle import DaemonProcess, Workspace
from chronicle.layout import Durability, Retention
from chronicle.mount.device import probe
from chronicle.mount.uring import SWITCH


def needs_fuse() -> None:
    """Skips where this host can't mount."""
    if not probe().fuse:
        pytest.skip("this host can't mount FUSE file systems (/dev/fuse and the right to mount are needed)")


@contextlib.contextmanager
def io_uring_allowed() -> Iterator[None]:
    """The kernel lets servers ask for FUSE over io_uring meanwhile; skips where it can't be had."""
    if not SWITCH.exists() or not os.access(SWITCH, os.W_OK):
        pytest.skip("this kernel has no FUSE over io_uring, or it is not ours to switch on (root, Linux 6.14)")
    before = SWITCH.read_text().strip()
    SWITCH.write_text("Y")
    try:
        yield
    finally:
        SWITCH.write_text(before)


@dataclass
class Mounted:
    """A workspace, mounted at `directory`; `root` is its own directory, `workspace` the library's view of it."""

    directory: Path
    root: Path
    workspace: Workspace
    process: DaemonProcess
    mounted: bool = True

    def unmount(self) -> None:
        """Everything is recorded, and the mount is gone."""
        if self.mounted:
            self.process.daemon.unmount(self.root)
            self.mounted = False


@dataclass
class MountMaker:
    """Makes mounts below `place`, each of a fresh workspace, all by one daemon."""

    place: Path
    process: DaemonProcess
    made: list[Mounted] = field(default_factory=list)

    def __call__(
        self,
        *,
        passthrough: bool = True,
        io_uring: bool = False,
        backend: Literal["auto", "fuse", "watch"] = "fuse",
        exclude: tuple[str, ...] = (),
        durability: Durability = "queued",
        quota_bytes: int | None = None,
        retention: Retention | None = None,
    ) -> Mounted:
        """A mounted workspace."""
        number = len(self.made)
        root, directory = self.place / f"store{number}", self.place / f"mount{number}"
        workspace = Workspace.create(
            root, exclude=exclude, durability=durability, quota_bytes=quota_bytes, retention=retention or Retention()
        )
        directory.mkdir()
        self.process.daemon.mount(
            root,
            directory,
            backend=backend,
            passthrough=passthrough,
            io_uring="on" if io_uring else "off",
            allow_other=os.geteuid() == 0,
        )
        mounted = Mounted(directory, root, workspace, self.process)
        self.made.append(mounted)
        return mounted


@contextlib.contextmanager
def mount_maker(place: Path) -> Iterator[MountMaker]:
    """A daemon and what makes mounts with it; everything is unmounted and ended afterwards."""
    needs_fuse()
    with tempfile.TemporaryDirectory(prefix="chronicled-") as directory:
        process = DaemonProcess.start(Path(directory) / "daemon")
        maker = MountMaker(place, process)
        try:
            yield maker
        finally:
            for mounted in maker.made:
                mounted.workspace.close()
            process.stop()
