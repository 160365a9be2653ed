"""`LocalDeployments`: the `Deployments` port over an object store and a directory of this host."""

import asyncio
import hashlib
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from podium.base.bundles import BundleRefusedError, unpack
from podium.base.objects import ObjectMissingError, ObjectStore, ObjectStoreUnavailableError
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.deployments.environment import make_environment, needs_environment
from podium.coordinator.adapters.deployments.place import Place
from podium.coordinator.domain.ports import PreparedDeployment
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Deployment

DOWNLOAD_TRIES: Final = 2
"""A damaged download is deleted and tried once more."""

MISSING: Final = "Deployment not found locally and S3 not configured"
"""What is said of a deployment that is nowhere to be had."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeploymentOptions:
    """`environment`: first part of the keys in the store. `cache_bytes`: unpacked deployments kept. `make_seconds`: for one environment."""

    environment: str
    cache_bytes: int
    make_seconds: float


class LocalDeployments:
    """A `Deployments`. `in_use` tells the deployment ids that must not be evicted."""

    def __init__(
        self,
        root: Path,
        objects: ObjectStore | None,
        options: DeploymentOptions,
        in_use: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._place = Place(root)
        self._place.clean()
        self._objects = objects
        self._options = options
        self._in_use = in_use
        self._tasks = TaskOwner("deployments")
        self._making: dict[str, asyncio.Task[PreparedDeployment]] = {}
        self._known: dict[str, PreparedDeployment] = {}

    async def ensure(self, deployment: Deployment, progress: Callable[[str], None] | None = None) -> PreparedDeployment:
        """See `Deployments`. A waiter that is cancelled does not end the work others wait for."""
        key = deployment.deployment_id
        known = self._known.get(key)
        if known is not None and known.directory.is_dir():
            return known
        task = self._making.get(key)
        if task is None:
            work = self._ensure(deployment, progress or _silent)
            task = self._making[key] = self._tasks.start(work, f"prepare {key}", awaited=True)
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """See `Deployments`."""
        await self._tasks.close()

    async def _ensure(self, deployment: Deployment, progress: Callable[[str], None]) -> PreparedDeployment:
        if self._place.ready(deployment) is None:
            await self._make(deployment, progress)
            in_use = self._in_use() | {deployment.deployment_id}
            for gone in await asyncio.to_thread(self._place.evict, self._options.cache_bytes, in_use):
                self._known.pop(gone, None)
                _log.info("deployment_evicted", extra={"deployment_id": gone})
        mark = self._place.ready(deployment)
        if mark is None:
            raise PodiumError(ErrorCode.INTERNAL, "the deployment was removed while it was prepared")
        directory = self._place.of(deployment)
        python = directory / "env" / "bin" / "python" if mark.has_environment else Path(sys.executable)
        prepared = PreparedDeployment(deployment, self._place.manifest(deployment), directory / "bundle", python)
        self._known[deployment.deployment_id] = prepared
        return prepared

    async def _make(self, deployment: Deployment, progress: Callable[[str], None]) -> None:
        lock = self._place.locked(deployment)
        await asyncio.to_thread(lock.__enter__)
        try:
            if self._place.ready(deployment) is not None:
                return  # another process made it while we waited
            with self._place.scratch() as scratch:
                progress("download")
                archive = scratch / "bundle.tar.gz"
                await self._download(deployment, archive)
                progress("unpack")
                bundle = scratch / "bundle"
                bundle.mkdir(mode=0o755)
                await asyncio.to_thread(_unpack, archive, bundle)
                archive.unlink()
                has_environment = deployment.runtime == "python" and needs_environment(bundle)
                if has_environment:
                    progress("environment")
                    await make_environment(bundle, scratch / "env", self._options.make_seconds)
                await asyncio.to_thread(self._publish, scratch, deployment, has_environment)
        finally:
            lock.__exit__(None, None, None)

    def _publish(self, scratch: Path, deployment: Deployment, has_environment: bool) -> None:
        self._place.publish(scratch, deployment, has_environment=has_environment)

    async def _download(self, deployment: Deployment, archive: Path) -> None:
        if self._objects is None:
            raise PodiumError(ErrorCode.DEPLOYMENT_NOT_FOUND, MISSING)
        kind, version = deployment.agent_type, deployment.version
        key = f"{self._options.environment}/deployments/{kind}/{version}/{kind}-{version}.tar.gz"
        for attempt in range(1, DOWNLOAD_TRIES + 1):
            try:
                with archive.open("wb") as file:
                    found = await self._stream(self._objects, key, file)
            except ObjectMissingError:
                raise PodiumError(ErrorCode.DEPLOYMENT_NOT_FOUND, MISSING) from None
            except ObjectStoreUnavailableError as error:
                detail = "the registry can't be read now"
                raise PodiumError(ErrorCode.REGISTRY_UNAVAILABLE, detail, retry_after=2.0) from error
            if found == deployment.checksum:
                return
            archive.unlink()
            _log.warning("download_damaged", extra={"deployment_id": deployment.deployment_id, "attempt": attempt})
        raise PodiumError(
            ErrorCode.CHECKSUM_MISMATCH, f"the registry's bytes are not those of {deployment.deployment_id}"
        )

    async def _stream(self, objects: ObjectStore, key: str, file: BinaryIO) -> str:
        digest = hashlib.sha256()
        async for chunk in objects.get(key):
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        return f"sha256:{digest.hexdigest()}"


def _unpack(archive: Path, bundle: Path) -> None:
    with archive.open("rb") as file:
        try:
            unpack(file, bundle)
        except OSError as error:
            raise BundleRefusedError(f"it can't be unpacked here: {error.strerror}") from error


def _silent(phase: str) -> None:
    """Nobody wants to hear of the progress."""
