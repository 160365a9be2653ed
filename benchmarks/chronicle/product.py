"""Chronicle itself as a side of a benchmark."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.chronicle.mounts import FileSystem
from benchmarks.peers.install import PeerUnavailableError
from chronicle import ChronicleError, DaemonProcess, Workspace

URING_SWITCH = Path("/sys/module/fuse/parameters/enable_uring")
"""`Y`: servers may ask for FUSE over io_uring. Off by default; root may change it."""


@contextmanager
def uring_allowed(wanted: bool) -> Iterator[None]:
    """FUSE over io_uring may be asked for meanwhile, when it is wanted."""
    if not wanted:
        yield
        return
    if not URING_SWITCH.exists() or not os.access(URING_SWITCH, os.W_OK):
        raise PeerUnavailableError("this kernel has no FUSE over io_uring, or we may not switch it on")
    before = URING_SWITCH.read_text().strip()
    URING_SWITCH.write_text("Y")
    try:
        yield
    finally:
        URING_SWITCH.write_text(before)


def mounted(
    *, history: bool = True, passthrough: bool = True, io_uring: bool = False, keep_awake: bool = True
) -> FileSystem:
    """A fresh workspace, mounted by the real daemon; without history everything is excluded."""

    @contextmanager
    def opened(scratch: Path) -> Iterator[Path]:
        directory = scratch / "mount"
        directory.mkdir()
        Workspace.create(scratch / "store", exclude=() if history else ("*",)).close()
        with uring_allowed(io_uring), (scratch / "log").open("wb") as log:
            process = DaemonProcess.start(scratch / "daemon", log=log.fileno())
            try:
                process.daemon.mount(
                    scratch / "store",
                    directory,
                    backend="fuse",
                    passthrough=passthrough,
                    io_uring="on" if io_uring else "off",
                    keep_awake="auto" if keep_awake else "off",
                )
                yield directory
            except ChronicleError as error:
                raise PeerUnavailableError(str(error)) from error
            finally:
                process.stop()

    return opened
