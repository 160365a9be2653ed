"""What this host can do for workspaces: found out by doing it once."""

import shutil
from pathlib import Path
from typing import Literal, NamedTuple

from chronicle.daemon.client import Daemon
from chronicle.workspace.library import Workspace

Wanted = Literal["auto", "fuse", "watch"]


class Found(NamedTuple):
    """The backend that works; `why`: why it is not FUSE."""

    backend: Literal["fuse", "watch"]
    why: str | None = None


def tried(daemon: Daemon, directory: Path, wanted: Wanted, *, for_others: bool) -> Found:
    """Mounts a workspace in `directory`, writes, and takes it away again. Blocking, some tens of milliseconds.

    Raises:
        ChronicleError: `wanted` can't be had; the message says why.
        OSError: what is mounted can't be written to, or not be read back.
    """
    shutil.rmtree(directory, ignore_errors=True)
    mountpoint = directory / "mounted"
    mountpoint.mkdir(mode=0o700, parents=True)
    workspace = Workspace.create(directory / "workspace")
    try:
        mounted = daemon.mount(workspace.root, mountpoint, backend=wanted, allow_other=for_others)
        try:
            (mountpoint / "trial").write_bytes(b"it works")
            if (mountpoint / "trial").read_bytes() != b"it works":
                raise OSError("what is written to a mount is not what is read from it")
        finally:
            daemon.unmount(workspace.root)
    finally:
        workspace.close()
        shutil.rmtree(directory, ignore_errors=True)
    return Found(mounted.backend, mounted.why_watch)
