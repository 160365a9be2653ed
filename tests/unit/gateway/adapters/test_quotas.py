"""How many instances a tenant may have alive."""

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import InstanceRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.objects.memory import MemoryObjects
from podium.gateway.adapters.quotas import COUNT_SECONDS, Quotas
from podium.gateway.adapters.registry import Registry
from podium.gateway.options import DefaultLimits
from podium.wire.errors import PodiumError
from podium.wire.rest import TenantLimits
from podium.wire.status import InstanceStatus


def _instance(number: int, status: InstanceStatus, tenant_id: str = "acme") -> InstanceRecord:
    return InstanceRecord(f"inst-{number}", f"a{number}", tenant_id, "echo", "d", "c", 1, status, number)


async def test_only_what_is_alive_counts_and_what_passes_here_at_once() -> None:
    clock = ManualClock()
    discovery = MemoryDiscovery(clock)
    quotas = Quotas(discovery, Registry(MemoryObjects(clock), "test"), clock, DefaultLimits(instances=3))
    await discovery.put_instances(
        [
            _instance(1, InstanceStatus.READY),
            _instance(2, InstanceStatus.TERMINATED),
            _instance(3, InstanceStatus.ASLEEP, "other"),
        ]
    )
    await quotas.take_instance("acme", TenantLimits())
    await quotas.take_instance("acme", TenantLimits())
    with pytest.raises(PodiumError) as error:
        await quotas.take_instance("acme", TenantLimits())
    assert (error.value.code, error.value.retry_after) == ("quota_exceeded", COUNT_SECONDS)
    await quotas.take_instance("other", TenantLimits())
    clock.advance(COUNT_SECONDS)
    await quotas.take_instance("acme", TenantLimits())
    await quotas.take_instance("acme", TenantLimits(instances=9))
