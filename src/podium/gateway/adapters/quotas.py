"""How many instances a tenant has alive: counted in discovery, and between two counts from what passes here."""

from typing import Final

from podium.base.clock import Clock
from podium.base.discovery import Discovery, InstanceFilter
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PAGE_MAX
from podium.wire.status import ALIVE

COUNT_SECONDS: Final = 5.0
"""How long a count is believed."""


class Quotas:
    """Checks create calls. Several gateways together may pass a quota by what they make within `COUNT_SECONDS`."""

    def __init__(self, discovery: Discovery, clock: Clock, instances_per_tenant: int) -> None:
        self._discovery = discovery
        self._clock = clock
        self._limit = instances_per_tenant
        self._counted: dict[str, tuple[int, float]] = {}

    async def take_instance(self, tenant_id: str) -> None:
        """Counts one more instance of a tenant.

        Raises:
            PodiumError: `quota_exceeded`.
        """
        count, until = self._counted.get(tenant_id, (0, -1.0))
        if self._clock.monotonic() >= until:
            count, until = await self._count(tenant_id), self._clock.monotonic() + COUNT_SECONDS
        if count >= self._limit:
            detail = f"this tenant has {count} instances alive; stop some"
            raise PodiumError(ErrorCode.QUOTA_EXCEEDED, detail, retry_after=COUNT_SECONDS)
        self._counted[tenant_id] = (count + 1, until)

    async def _count(self, tenant_id: str) -> int:
        count = 0
        for status in ALIVE:
            wanted = InstanceFilter(tenant_id=tenant_id, status=status)
            after: str | None = None
            while count < self._limit:
                found = await self._discovery.instances(wanted, after, PAGE_MAX)
                count += len(found)
                if len(found) < PAGE_MAX:
                    break
                after = found[-1].instance_id
        return count
