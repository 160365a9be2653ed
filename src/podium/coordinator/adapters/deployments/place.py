"""Where deployments lie on a host, and how one appears there: whole, by a rename, or not at all.

```
{root}/{agent_type}/{version}@{hash8}/bundle/      the unpacked bundle
                                      env/         its virtual environment, if it has dependencies
                                      ready.json   size of both in bytes; its time is that of the last use
{root}/.making/{random}/                           being made; left by a crash, removed at start
{root}/.locks/{agent_type}-{version}@{hash8}       locked (flock) while one is made, by whichever process
```
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from podium.wire.manifest import MANIFEST_NAME, Manifest, parse_manifest
from podium.wire.rest import Deployment

READY_NAME: Final = "ready.json"


class ReadyMark(msgspec.Struct, frozen=True):
    """Written last: what lies beside it is whole."""

    bytes: int
    has_environment: bool


class Place:
    """The directory of a host's deployments."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._making = root / ".making"
        self._locks = root / ".locks"
        for directory in (root, self._making, self._locks):
            directory.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Removes what a crash left half made. Only while no other process uses the directory."""
        for left in self._making.iterdir():
            shutil.rmtree(left, ignore_errors=True)

    def of(self, deployment: Deployment) -> Path:
        """Where the deployment lies, or would."""
        return self._root / deployment.agent_type / deployment.deployment_id.split(":", 1)[1]

    def ready(self, deployment: Deployment) -> ReadyMark | None:
        """Its mark, None when it is not here; counts as a use."""
        mark = self.of(deployment) / READY_NAME
        try:
            found = msgspec.json.decode(mark.read_bytes(), type=ReadyMark)
            os.utime(mark)
        except (OSError, msgspec.DecodeError):
            return None
        return found

    def manifest(self, deployment: Deployment) -> Manifest:
        """The manifest of a deployment that is here."""
        return parse_manifest((self.of(deployment) / "bundle" / MANIFEST_NAME).read_bytes())

    @contextmanager
    def locked(self, deployment: Deployment) -> Iterator[None]:
        """Holds the deployment's lock; blocking, so it is taken on a thread."""
        path = self._locks / deployment.deployment_id.replace(":", "-")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A fresh directory to make a deployment in; gone afterwards, unless it was published."""
        directory = self._making / uuid.uuid4().hex
        directory.mkdir(mode=0o755)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def publish(self, scratch: Path, deployment: Deployment, *, has_environment: bool) -> None:
        """Makes what lies in `scratch` the deployment: marked, synced, renamed."""
        mark = ReadyMark(size_of(scratch), has_environment)
        (scratch / READY_NAME).write_bytes(msgspec.json.encode(mark))
        _sync(scratch / READY_NAME)
        _sync(scratch)
        target = self.of(deployment)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)  # without a mark it is nothing
        scratch.rename(target)
        _sync(target.parent)

    def evict(self, limit_bytes: int, in_use: frozenset[str]) -> list[str]:
        """Removes the least recently used until the rest fits; what is in use (deployment ids) stays. Returns what went."""
        found: list[tuple[float, int, str, Path]] = []
        for mark in self._root.glob(f"*/*/{READY_NAME}"):
            size = msgspec.json.decode(mark.read_bytes(), type=ReadyMark).bytes
            name = f"{mark.parent.parent.name}:{mark.parent.name}"
            found.append((mark.stat().st_mtime, size, name, mark.parent))
        total, gone = sum(size for _, size, _, _ in found), []
        for _, size, name, directory in sorted(found):
            if total <= limit_bytes:
                break
            if name in in_use:
                continue
            (directory / READY_NAME).unlink()
            shutil.rmtree(directory, ignore_errors=True)
            total -= size
            gone.append(name)
        return gone


def size_of(directory: Path) -> int:
    """Bytes of all files below `directory`; links are not followed."""
    total = 0
    for parent, _, files in os.walk(directory):
        total += sum(os.lstat(os.path.join(parent, name)).st_size for name in files)
    return total


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
