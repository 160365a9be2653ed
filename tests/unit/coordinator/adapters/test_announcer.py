"""The coordinator tells discovery of itself, its leases and its instances; seldom, and again when it was away."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import CoordinatorRecord, DiscoveryUnavailableError, InstanceRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.coordinator.adapters.announcer import Announcer
from podium.wire.rest import Load
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import until

RECORD = CoordinatorRecord("coord-1", "http://127.0.0.1:1", "0", 0, "active", Load(0, 0, 0.0, 0, 0))


def instance(name: str, status: InstanceStatus = InstanceStatus.READY) -> InstanceRecord:
    return InstanceRecord(name, "agent", "default", "echo", "echo:1.0.0@00000000", "coord-1", 1, status, 0)


class Counting(MemoryDiscovery):
    """Counts writes of instances."""

    writes = 0
    announced = 0

    async def announce(self, record: CoordinatorRecord) -> None:
        await super().announce(record)
        self.announced += 1

    async def put_instances(self, records: object) -> None:
        self.writes += 1
        await super().put_instances(records)  # type: ignore[arg-type]


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def discovery() -> Counting:
    return Counting(ManualClock())


@pytest.fixture
async def announcer(discovery: Counting, lost: list[str]) -> AsyncIterator[Announcer]:
    announcer = Announcer(discovery, lambda: RECORD, lost.extend)
    yield announcer
    discovery.available = True
    await announcer.close()


async def test_it_announces_itself_and_is_withdrawn_at_the_end(announcer: Announcer, discovery: Counting) -> None:
    announcer.start()
    await until(lambda: discovery.announced > 0, "the announcement")
    await announcer.close()
    assert await discovery.coordinators() == []


async def test_many_changes_are_one_write_with_the_newest(announcer: Announcer, discovery: Counting) -> None:
    announcer.start()
    for status in (InstanceStatus.RUNNING, InstanceStatus.READY, InstanceStatus.WAITING) * 100:
        announcer.changed("inst-a", partial(instance, "inst-a", status))
    await until(lambda: discovery.writes > 0)
    stored = await discovery.instance("inst-a")
    assert stored is not None
    assert stored.status is InstanceStatus.WAITING
    assert discovery.writes == 1


@pytest.mark.noisy("discovery_unreachable", "discovery_reachable")
async def test_what_discovery_did_not_take_is_kept_for_later(announcer: Announcer, discovery: Counting) -> None:
    announcer.changed("inst-a", lambda: instance("inst-a"))
    discovery.available = False
    with pytest.raises(DiscoveryUnavailableError):
        await announcer.flush()
    discovery.available = True
    await announcer.flush()
    assert await discovery.instance("inst-a") is not None


async def test_an_agent_held_elsewhere_is_not_had(announcer: Announcer, discovery: Counting) -> None:
    await discovery.acquire_lease("agent", "coord-2")
    assert await announcer.acquire("agent") is None
    assert await announcer.acquire("mine") == 1
    await announcer.release("mine")
    assert await discovery.acquire_lease("mine", "coord-2") is not None


@pytest.mark.noisy("leases_lost")
async def test_a_lease_that_was_taken_is_told_as_lost(
    discovery: Counting, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.coordinator.adapters.announcer.LEASE_RENEW_SECONDS", 0.01)
    clock = ManualClock()
    discovery = Counting(clock)
    announcer = Announcer(discovery, lambda: RECORD, lost.extend)
    await announcer.acquire("agent")
    clock.advance(100)
    assert await discovery.acquire_lease("agent", "coord-2") is not None
    announcer.start()
    async with asyncio.timeout(5):
        await until(lambda: lost == ["agent"])
    await announcer.close()
