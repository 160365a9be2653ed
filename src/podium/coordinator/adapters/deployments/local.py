"""`Deployments` on this host: a memory in front of a disk in front of the registry."""

import asyncio
import compileall
import logging
import os
import platform
import py_compile
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, Protocol

from podium.base.bun import link_sdk
from podium.base.bundles import BundleRefusedError, check_manifest, unpack
from podium.base.objects import ObjectStore
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.deployments.cache import DeploymentCache
from podium.coordinator.adapters.deployments.environments import make_environment
from podium.coordinator.adapters.deployments.fetching import Registry
from podium.coordinator.adapters.deployments.layout import READY_NAME, Layout, Ready, disk_bytes
from podium.coordinator.adapters.deployments.packages import bun_path, install_packages
from podium.coordinator.adapters.processes import HostSettings
from podium.coordinator.adapters.processes.orphans import MARK_VARIABLE
from podium.coordinator.domain.ports import PreparedDeployment
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.manifest import MANIFEST_NAME, Manifest, ManifestError, parse_manifest
from podium.wire.rest import Deployment

_log = logging.getLogger(__name__)

LOCK_SECONDS: Final = 900.0
"""How long another process of this host may take to make a deployment before waiting for it is given up."""

LOCK_POLL_SECONDS: Final = 0.05
"""How often is looked whether it has."""

RECENT_SECONDS: Final = 600.0
"""A deployment asked for less than this ago is not removed, whoever uses it."""

Progress = Callable[[str], None]


class DeploymentSettings(Protocol):
    """What of a coordinator's settings is needed here: the data directory, the environment whose registry is read, how
    many bytes unpacked deployments may take, how long making a virtual environment may take, and the bucket, if any."""

    @property
    def data(self) -> Path: ...  # noqa: D102
    @property
    def environment(self) -> str: ...  # noqa: D102
    @property
    def deployments_cache(self) -> int: ...  # noqa: D102
    @property
    def environment_seconds(self) -> float: ...  # noqa: D102
    @property
    def s3_bucket(self) -> str | None: ...  # noqa: D102


class LocalDeployments:
    """A `Deployments`.

    To make room, the least recently used go first; never one whose id `in_use` names (by default all that were asked for
    since the coordinator started), nor one used in the last `recent_seconds`, from which something may just be starting.
    `hidden`: see `Layout`. `bun`: what runs TypeScript; None: what `find_bun` finds when it is needed.
    """

    def __init__(
        self,
        settings: DeploymentSettings,
        objects: ObjectStore,
        in_use: Callable[[], Collection[str]] | None = None,
        *,
        recent_seconds: float = RECENT_SECONDS,
        hidden: bool = False,
        bun: Path | None = None,
    ) -> None:
        self._bun = bun
        self._settings = settings
        self._registry = Registry(objects, settings.environment, has_bucket=settings.s3_bucket is not None)
        self._layout = Layout(settings.data / "deployments", hidden=hidden)
        self._layout.prepare()
        self._prepared: dict[str, PreparedDeployment] = {}
        self._in_use = in_use or self._prepared.keys
        self._cache = DeploymentCache(self._layout, settings.deployments_cache, recent_seconds)
        self._tasks = TaskOwner("deployments")
        self._making: dict[str, asyncio.Task[PreparedDeployment | PodiumError]] = {}

    async def ensure(self, deployment: Deployment, progress: Progress | None = None) -> PreparedDeployment:
        """The deployment, ready to start; a caller that goes away leaves the work to the others.

        Raises:
            PodiumError: see the port.
        """
        known = self._known(deployment)
        if known is not None:
            return _checked(known, deployment)
        task = self._making.get(deployment.deployment_id)
        if task is None:
            work = self._settle(deployment, progress or _silent)
            task = self._tasks.start(work, f"ensure {deployment.deployment_id}")
            self._making[deployment.deployment_id] = task
            task.add_done_callback(lambda _: self._making.pop(deployment.deployment_id, None))
        made = await asyncio.shield(task)
        if isinstance(made, PodiumError):
            raise made
        return _checked(made, deployment)

    async def close(self) -> None:
        """Stops what is under way; nothing half made stays."""
        await self._tasks.close()

    # ── one deployment ──────────────────────────────────────────────────────────────────────────────────────

    async def _settle(self, deployment: Deployment, progress: Progress) -> PreparedDeployment | PodiumError:
        """Its failure is a result: everyone who waits gets it, and nobody may be left."""
        try:
            prepared = self._look(deployment) or await self._make_alone(deployment, progress)
        except PodiumError as error:
            return error
        except OSError as error:
            _log.error("deployment_not_made", extra={"deployment_id": deployment.deployment_id}, exc_info=error)
            return PodiumError(ErrorCode.INTERNAL, f"the host can't store the deployment: {error.strerror}")
        self._prepared[deployment.deployment_id] = prepared
        self._touch(prepared)
        return prepared

    def _look(self, deployment: Deployment) -> PreparedDeployment | None:
        """The deployment as it lies on disk; None when it must be made."""
        final = self._layout.final(deployment)
        ready = self._layout.read_ready(final)
        if ready is None or ready.checksum != deployment.checksum:
            return None
        try:
            manifest = parse_manifest((final / "bundle" / MANIFEST_NAME).read_bytes())
        except (OSError, ManifestError):
            return None
        if manifest.runtime == "typescript":
            link_sdk(final)  # Podium may lie elsewhere than when it was made
            return PreparedDeployment(deployment, manifest, final / "bundle", bun_path(self._bun))
        if ready.has_environment and ready.python_version != platform.python_version():
            return None
        python = final / "env" / "bin" / "python" if ready.has_environment else Path(sys.executable)
        return PreparedDeployment(deployment, manifest, final / "bundle", python) if python.exists() else None

    async def _make_alone(self, deployment: Deployment, progress: Progress) -> PreparedDeployment:
        """Makes it, unless another process of this host does so first."""
        async with asyncio.timeout(LOCK_SECONDS):
            while (lock := self._layout.try_lock(deployment)) is None:
                await asyncio.sleep(LOCK_POLL_SECONDS)
        with lock:
            made = self._look(deployment)
            if made is None:
                await self._make(deployment, progress)
                made = self._look(deployment)
            if made is None:
                raise PodiumError(ErrorCode.INTERNAL, "the deployment can't be read back")
        newest = self._layout.final(deployment)
        await self._cache.make_room(lambda: {newest, *self._kept()}, self._forget)
        return made

    async def _make(self, deployment: Deployment, progress: Progress) -> None:
        making = self._layout.making(deployment)
        try:
            progress("download")
            archive = making / "bundle.tar.gz"
            await self._registry.fetch(deployment, archive)
            progress("unpack")
            manifest = await asyncio.to_thread(_unpack, archive, making / "bundle", deployment)
            progress("environment")
            mark = {MARK_VARIABLE: HostSettings(self._settings.data).mark}
            seconds = self._settings.environment_seconds
            bundle = making / "bundle"
            if manifest.runtime == "typescript":
                has_environment = await install_packages(bundle, making, bun_path(self._bun), seconds, mark)
            else:
                has_environment = await make_environment(bundle, making, seconds, mark)
            size = await asyncio.to_thread(disk_bytes, making)
            ready = Ready(deployment.checksum, size, has_environment, platform.python_version())
            await asyncio.to_thread(self._layout.publish, making, self._layout.final(deployment), ready)
            progress("ready")
        except BaseException:  # whatever it was, cancellation too: nothing half made stays
            self._layout.remove(making)
            raise

    # ── room ────────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self, deployment: Deployment) -> PreparedDeployment | None:
        """What is remembered of it, if it is still there; its use is noted."""
        known = self._prepared.get(deployment.deployment_id)
        try:
            if known is not None and known.interpreter.exists():
                self._touch(known)
                return known
        except FileNotFoundError:  # somebody removed it
            self._prepared.pop(deployment.deployment_id, None)
        return None

    def _kept(self) -> set[Path]:
        """Directories of deployments that are in use."""
        used = set(self._in_use())
        return {self._layout.final(p.deployment) for name, p in self._prepared.items() if name in used}

    def _forget(self, directory: Path) -> None:
        for name, prepared in list(self._prepared.items()):
            if prepared.directory.parent == directory:
                self._prepared.pop(name, None)

    def _touch(self, prepared: PreparedDeployment) -> None:
        """Notes the use."""
        os.utime(prepared.directory.parent / READY_NAME)


def _unpack(archive: Path, directory: Path, deployment: Deployment) -> Manifest:
    """Unpacks and checks that it is what it is named; compiles its modules, since agents may not write there. Blocking."""
    directory.mkdir(mode=0o755)
    with archive.open("rb") as file:
        unpack(file, directory)
    archive.unlink()
    try:
        manifest = parse_manifest((directory / MANIFEST_NAME).read_bytes())
    except (OSError, ManifestError) as error:
        raise BundleRefusedError(str(error), MANIFEST_NAME) from error
    check_manifest(manifest, deployment.agent_type, deployment.version)
    if manifest.runtime == "python":
        _compile(directory)
    return manifest


def _compile(directory: Path) -> None:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(directory, quiet=2, invalidation_mode=mode)


def _checked(made: PreparedDeployment, wanted: Deployment) -> PreparedDeployment:
    """Refuses another bundle of the same id. An id holds 32 bits of a hash: with patience a second one can be made for it,
    whose code would run in another tenant's agents."""
    if made.deployment.checksum != wanted.checksum:
        raise PodiumError(ErrorCode.CHECKSUM_MISMATCH, "this host holds another bundle with the same deployment id")
    return made


def _silent(_step: str) -> None:
    return
