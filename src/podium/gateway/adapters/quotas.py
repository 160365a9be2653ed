"""What one tenant may have and do: instances, deployments, messages, connections. A key may set other limits than those configured."""

from typing import Final

from podium.base.clock import Clock
from podium.base.discovery import Discovery, InstanceFilter
from podium.base.http import Identity
from podium.gateway.adapters.registry import Registry
from podium.gateway.options import DefaultLimits
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PAGE_MAX
from podium.wire.rest import TenantLimits
from podium.wire.status import ALIVE

COUNT_SECONDS: Final = 5.0
"""How long a count is believed."""

BURST_PART: Final = 10
"""This part of what a tenant may send in a minute it may send at once."""


class Quotas:
    """Checks calls. Several gateways together may pass a quota by what they make within `COUNT_SECONDS`."""

    def __init__(self, discovery: Discovery, registry: Registry, clock: Clock, limits: DefaultLimits) -> None:
        self._discovery = discovery
        self._registry = registry
        self._clock = clock
        self._limits = limits
        self._counted: dict[str, tuple[int, float]] = {}

    async def take_instance(self, tenant_id: str, limits: TenantLimits) -> None:
        """Counts one more instance of a tenant.

        Raises:
            PodiumError: `quota_exceeded`.
        """
        limit = limits.instances or self._limits.instances
        count, until = self._counted.get(tenant_id, (0, -1.0))
        if self._clock.monotonic() >= until:
            count, until = await self._count(tenant_id, limit), self._clock.monotonic() + COUNT_SECONDS
        if count >= limit:
            detail = f"this tenant has {count} instances alive; stop some"
            raise PodiumError(ErrorCode.QUOTA_EXCEEDED, detail, retry_after=COUNT_SECONDS)
        self._counted[tenant_id] = (count + 1, until)

    async def check_deployment(self, identity: Identity, deployment_id: str) -> None:
        """Whether the caller's tenant may have this deployment; one it has already counts once.

        Raises:
            PodiumError: `quota_exceeded`.
        """
        limit = identity.limits.deployments or self._limits.deployments
        others = 0
        cursor: str | None = None
        while True:
            found, cursor = await self._registry.list(identity.owner, None, cursor, PAGE_MAX)
            others += sum(each.deployment_id != deployment_id for each in found)
            if others >= limit:
                raise PodiumError(ErrorCode.QUOTA_EXCEEDED, f"this tenant has {others} deployments; remove some")
            if cursor is None:
                return

    async def take_message(self, identity: Identity) -> None:
        """Counts one more message of the caller's tenant.

        Raises:
            PodiumError: `rate_limited`.
        """
        a_minute = identity.limits.messages_per_minute or self._limits.messages_per_minute
        wait = await self._discovery.take_token(
            f"messages:{identity.owner}", a_minute / 60, max(1, a_minute // BURST_PART)
        )
        if wait > 0:
            raise PodiumError(ErrorCode.RATE_LIMITED, "this tenant sends messages too fast", retry_after=wait)

    def check_connections(self, identity: Identity, count: int) -> None:
        """Whether the caller's tenant may have `count` connections here.

        Raises:
            PodiumError: `quota_exceeded`.
        """
        limit = identity.limits.connections or self._limits.connections
        if count > limit:
            raise PodiumError(
                ErrorCode.QUOTA_EXCEEDED,
                f"this tenant has {limit} connections here; close some",
                retry_after=COUNT_SECONDS,
            )

    async def _count(self, tenant_id: str, limit: int) -> int:
        count = 0
        for status in ALIVE:
            wanted = InstanceFilter(tenant_id=tenant_id, status=status)
            after: str | None = None
            while count < limit:
                found = await self._discovery.instances(wanted, after, PAGE_MAX)
                count += len(found)
                if len(found) < PAGE_MAX:
                    break
                after = found[-1].instance_id
        return count
