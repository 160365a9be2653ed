"""The file systems a benchmark compares, each as a directory that is there for the length of a `with`."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.peers.install import PeerUnavailableError, python_peer

READY_SECONDS = 15.0
ENGINES = Path(__file__).parent / "engines"

FileSystem = Callable[[Path], AbstractContextManager[Path]]
"""Given an empty scratch directory: the directory to work in."""


def is_mounted(directory: Path) -> bool:
    """Whether something is mounted exactly there."""
    place = str(directory.resolve())
    return any(line.split()[4] == place for line in Path("/proc/self/mountinfo").read_text().splitlines())


def wait_for(condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Returns when the condition holds."""
    end = time.monotonic() + READY_SECONDS
    while not condition():
        if process is not None and process.poll() is not None:
            raise PeerUnavailableError(f"{what} ended with {process.returncode}")
        if time.monotonic() > end:
            raise PeerUnavailableError(f"{what} was not ready within {READY_SECONDS:.0f} s")
        time.sleep(0.005)


@contextmanager
def native(scratch: Path) -> Iterator[Path]:
    """The host's own file system."""
    place = scratch / "native"
    place.mkdir()
    yield place


def loopback(*command: str, environment: dict[str, str] | None = None) -> FileSystem:
    """A program that shows `BACKING` at `MOUNT` in the foreground."""

    @contextmanager
    def opened(scratch: Path) -> Iterator[Path]:
        backing, mount = scratch / "backing", scratch / "mount"
        backing.mkdir()
        mount.mkdir()
        filled = [part.replace("BACKING", str(backing)).replace("MOUNT", str(mount)) for part in command]
        process = subprocess.Popen(
            filled, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
        )
        try:
            wait_for(lambda: is_mounted(mount), Path(command[-3] if len(command) > 2 else command[0]).name, process)
            yield mount
        finally:
            _unmount(mount)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    return opened


def _unmount(mount: Path) -> None:
    for _ in range(50):
        if (
            not is_mounted(mount)
            or subprocess.run(["umount", str(mount)], capture_output=True, check=False).returncode == 0
        ):
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(mount)], capture_output=True, check=False)


@contextmanager
def overlay(scratch: Path) -> Iterator[Path]:
    """overlayfs, the kernel's own layered file system (no history, no FUSE)."""
    for name in ("lower", "upper", "work", "mount"):
        (scratch / name).mkdir()
    options = ",".join(
        f"{option}={scratch / place}"
        for option, place in (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work"))
    )
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, str(scratch / "mount")], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        raise PeerUnavailableError(f"overlayfs: {mounted.stderr.decode().strip()}")
    try:
        yield scratch / "mount"
    finally:
        _unmount(scratch / "mount")


def with_pyfuse3() -> FileSystem:
    """pyfuse3 (libfuse 3, trio)."""

    @contextmanager
    def opened(scratch: Path) -> Iterator[Path]:
        python = python_peer("pyfuse3", "pyfuse3") / "python"
        with loopback(str(python), str(ENGINES / "with_pyfuse3.py"), "BACKING", "MOUNT")(scratch) as place:
            yield place

    return opened


def with_mfusepy() -> FileSystem:
    """mfusepy (libfuse by ctypes; where the host has none, the one inside fuse-python's wheel)."""

    @contextmanager
    def opened(scratch: Path) -> Iterator[Path]:
        binaries = python_peer("mfusepy", "mfusepy", "fuse-python")
        bundled = sorted((binaries.parent).glob("lib/*/site-packages/fuse_python.libs/libfuse-*.so*"))
        environment = {"FUSE_LIBRARY_PATH": str(bundled[0])} if bundled else {}
        command = [str(binaries / "python"), str(ENGINES / "with_mfusepy.py"), "BACKING", "MOUNT"]
        with loopback(*command, environment=environment)(scratch) as place:
            yield place

    return opened


def bindfs() -> FileSystem:
    """bindfs (libfuse in C), where the distribution's package is installed."""
    program = shutil.which("bindfs")

    @contextmanager
    def opened(scratch: Path) -> Iterator[Path]:
        if program is None:
            raise PeerUnavailableError("bindfs is not installed (apt-get install bindfs)")
        with loopback(program, "-f", "BACKING", "MOUNT")(scratch) as place:
            yield place

    return opened


@contextmanager
def memory_disk(mebibytes: int = 8192) -> Iterator[Path]:
    """An ext4 file system in memory: no disk to wait for, so the hardest and the steadiest comparison. Needs root."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        image, mount = Path(place) / "image", Path(place) / "mount"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(mebibytes << 20)
        subprocess.run(
            ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)],
            check=True,
            capture_output=True,
        )
        subprocess.run(["mount", "-o", "loop,noatime", str(image), str(mount)], check=True, capture_output=True)
        try:
            yield mount
        finally:
            _unmount(mount)
