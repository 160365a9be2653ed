"""How deployments lie on disk.

```
deployments/{agent_type}/{version}@{hash8}/bundle/   what was uploaded, unpacked
                                           env/      its virtual environment, where it has dependencies (Python)
                                           node_modules/@podium/ts   link to the SDK (TypeScript, whose packages are
                                                     in bundle/node_modules)
                                           ready     JSON, see `Ready`; its mtime is the last use
deployments/.locks/{agent_type}-{version}@{hash8}    flock of whoever makes it
deployments/.making/{agent_type}-{version}@{hash8}/  being made; renamed when whole
deployments/.going/                                  being removed
deployments/.cache/, .packages/                      what uv and bun have downloaded
```
A directory that has its final name is whole: it was synced before it was renamed.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from podium.wire.refs import HASH_CHARS
from podium.wire.rest import Deployment

READY_NAME: Final = "ready"
"""File whose presence says that a deployment is whole."""


class Ready(msgspec.Struct, frozen=True):
    """What is noted of a whole deployment: the checksum of its bundle, its size on disk in bytes, and whether it has an
    environment of its own (packages, for TypeScript), made by a coordinator on the Python `python_version` (`3.11.2`)."""

    checksum: str
    disk_bytes: int
    has_environment: bool
    python_version: str


class Layout:
    """The places of deployments below one directory.

    One tenant's agents may not read another's code. `hidden`: nobody else enters the directory, and whoever runs a
    deployment gets it bound into a mount namespace of its own. Else it can't be listed, and names hold a hash.
    """

    def __init__(self, root: Path, *, hidden: bool = False) -> None:
        self.root = root
        self._mode = 0o700 if hidden else 0o711
        self._locks = root / ".locks"
        self._making = root / ".making"
        self._going = root / ".going"

    def prepare(self) -> None:
        """Makes the directories, and removes what was being removed or made when an earlier coordinator died."""
        modes = {self.root: self._mode, self._locks: 0o700, self._making: 0o711, self._going: 0o700}
        for directory, mode in modes.items():
            directory.mkdir(mode=mode, parents=True, exist_ok=True)
            directory.chmod(mode)  # it may be there from before, and there is the umask
        for leftover in self._going.iterdir():
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self._making.iterdir():
            lock = self._try_lock(leftover.name)
            if lock is not None:  # else another process makes it right now
                with lock:
                    shutil.rmtree(leftover, ignore_errors=True)

    def final(self, deployment: Deployment) -> Path:
        """Where the deployment lies when it is whole."""
        return self.root / deployment.agent_type / _versioned(deployment)

    def making(self, deployment: Deployment) -> Path:
        """An empty directory to make it in; call with the lock held."""
        directory = self._making / f"{deployment.agent_type}-{_versioned(deployment)}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o755)
        return directory

    def try_lock(self, deployment: Deployment) -> IO[bytes] | None:
        """The right to make a deployment, across processes, until the file is closed; None: somebody else has it."""
        return self._try_lock(f"{deployment.agent_type}-{_versioned(deployment)}")

    def _try_lock(self, name: str) -> IO[bytes] | None:
        file = (self._locks / name).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def read_ready(self, directory: Path) -> Ready | None:
        """What is noted of a deployment; None when it is not there or not readable."""
        try:
            return msgspec.json.decode((directory / READY_NAME).read_bytes(), type=Ready)
        except (OSError, msgspec.DecodeError):
            return None

    def publish(self, making: Path, final: Path, ready: Ready) -> None:
        """Makes a finished directory durable and gives it its name. Blocking."""
        (making / READY_NAME).write_bytes(msgspec.json.encode(ready))
        _sync_tree(making)
        final.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        final.parent.chmod(0o711)
        if final.exists():  # unusable, or it would have been taken
            self.remove(final)
        making.rename(final)
        _sync(final.parent)

    def remove(self, final: Path) -> None:
        """Removes a deployment; whoever looks sees it whole or not at all. Blocking."""
        gone = self.take_away(final)
        if gone is not None:
            shutil.rmtree(gone, ignore_errors=True)

    def take_away(self, final: Path) -> Path | None:
        """Takes a deployment out of sight in one step; returns where it lies to be removed, None when it was not there."""
        going = self._going / secrets.token_hex(8)
        try:
            final.rename(going)
        except FileNotFoundError:
            return None
        return going

    def all(self) -> Iterator[tuple[Path, Ready]]:
        """Every whole deployment: its directory and its note."""
        for agent_type in self.root.iterdir():
            if agent_type.name.startswith(".") or not agent_type.is_dir():
                continue
            for directory in agent_type.iterdir():
                ready = self.read_ready(directory)
                if ready is not None:
                    yield directory, ready


def disk_bytes(directory: Path) -> int:
    """Bytes allocated below `directory`. Blocking."""
    total = 0
    for parent, _, files in os.walk(directory):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def _versioned(deployment: Deployment) -> str:
    return f"{deployment.version}@{deployment.checksum.removeprefix('sha256:')[:HASH_CHARS]}"


def _sync_tree(directory: Path) -> None:
    for parent, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                _sync(Path(path))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
