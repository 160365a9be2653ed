"""The registry of deployments, in the object store: a bundle, written once, and beside it its description.

```
{environment}/deployments/{agent_type}/{version}/{agent_type}-{version}.tar.gz   metadata: sha256, tenant
{environment}/deployments/{agent_type}/{version}/{agent_type}-{version}.json     Deployment and tenant_id
```

The bundle is written first and decides who wins; a description that is missing after a crash is made by the next upload of
the same bytes. Removing goes the same way round: without its bundle a description promises nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import msgspec

from podium.base.objects import ObjectExistsError, ObjectMissingError, ObjectStore
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.refs import DeploymentRef, highest_release
from podium.wire.rest import Deployment

DESCRIPTION_MAX_BYTES: Final = 64 * 1024
"""A larger description is not ours."""

CACHE_MAX: Final = 4_096
"""Descriptions kept in memory; they are immutable as long as their object is there."""


class StoredDeployment(Deployment, frozen=True, kw_only=True):
    """A deployment and whose it is."""

    tenant_id: str

    def public(self) -> Deployment:
        """What REST shows of it."""
        return Deployment(**{name: getattr(self, name) for name in Deployment.__struct_fields__})


class Registry:
    """Deployments of one environment."""

    def __init__(self, store: ObjectStore, environment: str) -> None:
        self._store = store
        self._prefix = f"{environment}/deployments/"
        self._cache: dict[tuple[str, int], StoredDeployment] = {}

    def source(self, deployment: Deployment) -> str:
        """Key of the bundle in the store."""
        return self._key(deployment.agent_type, deployment.version, "tar.gz")

    async def add(self, deployment: StoredDeployment, data: AsyncIterable[bytes]) -> tuple[StoredDeployment, bool]:
        """Stores a checked bundle; returns the deployment as stored and whether it is new.

        Raises:
            PodiumError: `deployment_exists` when the version is there with other bytes, or is another tenant's.
        """
        metadata = {"sha256": deployment.checksum.removeprefix("sha256:"), "tenant": deployment.tenant_id}
        try:
            await self._store.put(self.source(deployment), data, metadata=metadata, create=True)
        except ObjectExistsError:
            await self._check_same(deployment, metadata)
        return await self._describe(deployment)

    async def find(self, ref: DeploymentRef, tenant_id: str | None) -> StoredDeployment:
        """What `ref` means to a tenant (None: to an admin who sees all).

        Raises:
            PodiumError: `deployment_not_found`, `checksum_mismatch`.
        """
        found = await self._find(ref, tenant_id)
        if found is None or tenant_id not in (None, found.tenant_id):
            raise PodiumError(ErrorCode.DEPLOYMENT_NOT_FOUND, f"there is no deployment {ref}")
        if ref.hash8 is not None and not found.deployment_id.endswith(f"@{ref.hash8}"):
            raise PodiumError(ErrorCode.CHECKSUM_MISMATCH, f"{ref} was asked for, {found.deployment_id} is there")
        return found

    async def list(
        self, tenant_id: str | None, agent_type: str | None, after: str | None, limit: int
    ) -> tuple[list[StoredDeployment], str | None]:
        """Deployments by type and version, and the cursor to go on from (None at the end)."""
        prefix = self._prefix + (f"{agent_type}/" if agent_type else "")
        found: list[StoredDeployment] = []
        last: str | None = None
        async with aclosing(self._descriptions(prefix, self._prefix + after if after else None)) as descriptions:
            async for key, modified_at in descriptions:
                if len(found) == limit:
                    return found, last
                deployment = await self._load(key, modified_at)
                if deployment is not None and tenant_id in (None, deployment.tenant_id):
                    found.append(deployment)
                    last = key.removeprefix(self._prefix)
        return found, None

    async def remove(self, deployment: Deployment) -> None:
        """Removes a deployment."""
        await self._store.delete(self.source(deployment))
        await self._store.delete(self._key(deployment.agent_type, deployment.version, "json"))

    async def check(self) -> None:
        """Raises `ObjectStoreUnavailableError` when the store can't be used now."""
        await self._store.check()

    async def _check_same(self, deployment: StoredDeployment, metadata: dict[str, str]) -> None:
        stored = await self._store.head(self.source(deployment))
        if any(stored.metadata.get(name) != value for name, value in metadata.items()):
            version = f"{deployment.agent_type}:{deployment.version}"
            raise PodiumError(ErrorCode.DEPLOYMENT_EXISTS, f"{version} exists with other content; raise the version")

    async def _describe(self, deployment: StoredDeployment) -> tuple[StoredDeployment, bool]:
        key = self._key(deployment.agent_type, deployment.version, "json")
        body = msgspec.json.encode(deployment)
        try:
            await self._store.put(key, _once(body), create=True)
        except ObjectExistsError:
            stored = await self._read(key)
            if stored is not None and stored.checksum == deployment.checksum:
                return stored, False
            # Its bundle was removed, or this upload could not have written one: the description is a leftover.
            await self._store.put(key, _once(body))
        return deployment, True

    async def _find(self, ref: DeploymentRef, tenant_id: str | None) -> StoredDeployment | None:
        if ref.version is not None:
            return await self._read(self._key(ref.agent_type, ref.version, "json"))
        found: dict[str, StoredDeployment] = {}
        async for key, modified_at in self._descriptions(f"{self._prefix}{ref.agent_type}/", None):
            deployment = await self._load(key, modified_at)
            if deployment is not None and tenant_id in (None, deployment.tenant_id):
                found[deployment.version] = deployment
        highest = highest_release(list(found))
        return found[highest] if highest is not None else None

    async def _descriptions(self, prefix: str, after: str | None) -> AsyncGenerator[tuple[str, int], None]:
        """Keys of descriptions and when each was written; close it when it is not read to its end."""
        infos = self._store.list(prefix, after)
        try:
            async for info in infos:
                if info.key.endswith(".json"):
                    yield info.key, info.modified_at
        finally:
            await _close(infos)

    async def _load(self, key: str, modified_at: int) -> StoredDeployment | None:
        known = self._cache.get((key, modified_at))
        if known is None:
            known = await self._read(key)
            if known is not None:
                if len(self._cache) >= CACHE_MAX:
                    self._cache.pop(next(iter(self._cache)))
                self._cache[key, modified_at] = known
        return known

    async def _read(self, key: str) -> StoredDeployment | None:
        body = b""
        chunks = self._store.get(key)
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) > DESCRIPTION_MAX_BYTES:
                    return None
            return msgspec.json.decode(body, type=StoredDeployment)
        except (ObjectMissingError, msgspec.DecodeError):
            return None
        finally:
            await _close(chunks)

    def _key(self, agent_type: str, version: str, ending: str) -> str:
        return f"{self._prefix}{agent_type}/{version}/{agent_type}-{version}.{ending}"


async def _close(iterator: AsyncIterator[Any]) -> None:
    """Ends an iterator of the store that may not have been read to its end."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
