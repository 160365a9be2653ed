"""Brings a bundle from the object store to a file, and knows that it is the right one."""

import hashlib
import logging
from pathlib import Path
from typing import Final

from podium.base.objects import ObjectDamagedError, ObjectMissingError, ObjectStore, ObjectStoreUnavailableError
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Deployment

_log = logging.getLogger(__name__)

ATTEMPTS: Final = 2
"""How often a bundle whose bytes are wrong is fetched."""

NOT_FOUND: Final = "Deployment not found locally and S3 not configured"
"""What is said of a deployment that is neither here nor in the object store, which is a directory of this host."""

NOT_IN_BUCKET: Final = "Deployment not found locally and not in S3"
"""What is said where the object store is a bucket."""


class Registry:
    """The bundles of one environment, as a coordinator sees them."""

    def __init__(self, objects: ObjectStore, environment: str, *, has_bucket: bool) -> None:
        self._objects = objects
        self._environment = environment
        self._missing = NOT_IN_BUCKET if has_bucket else NOT_FOUND

    def key(self, deployment: Deployment) -> str:
        """Where the registry keeps the bundle."""
        name = f"{deployment.agent_type}-{deployment.version}.tar.gz"
        return f"{self._environment}/deployments/{deployment.agent_type}/{deployment.version}/{name}"

    async def fetch(self, deployment: Deployment, target: Path) -> None:
        """Writes the bundle to `target`, a chunk at a time; wrong bytes are removed.

        Raises:
            PodiumError: `deployment_not_found`, `registry_unavailable`, or `checksum_mismatch` after the second time.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                found = await self._download(deployment, target)
            except ObjectMissingError:
                raise PodiumError(ErrorCode.DEPLOYMENT_NOT_FOUND, self._missing) from None
            except ObjectDamagedError:
                found = "damaged"
            except ObjectStoreUnavailableError as error:
                raise PodiumError(
                    ErrorCode.REGISTRY_UNAVAILABLE, "the registry does not answer", retry_after=1.0
                ) from error
            if found == deployment.checksum:
                return
            target.unlink()
            _log.warning(
                "bundle_checksum_mismatch",
                extra={"deployment_id": deployment.deployment_id, "found": found, "attempt": attempt},
            )
        raise PodiumError(
            ErrorCode.CHECKSUM_MISMATCH,
            f"the stored bundle of {deployment.deployment_id} is not the one that was uploaded",
        )

    async def _download(self, deployment: Deployment, target: Path) -> str:
        """Writes the object; returns `sha256:…` of what was written, which is no more than just too much.

        A chunk has at most 1 MiB, so writing is done inline.
        """
        digest, written = hashlib.sha256(), 0
        chunks = self._objects.get(self.key(deployment))
        try:
            with target.open("wb") as file:
                async for chunk in chunks:
                    written += len(chunk)
                    digest.update(chunk)
                    file.write(chunk)
                    if written > deployment.size:
                        break
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        return f"sha256:{digest.hexdigest()}"
