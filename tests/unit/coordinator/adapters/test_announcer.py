"""The coordinator tells discovery of itself, its leases and its instances; seldom, and again when it was away."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import AgentRecord, CoordinatorRecord, DiscoveryUnavailableError, InstanceRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.coordinator.adapters.announcer import Announcer, Everything, Fencing
from podium.coordinator.domain.fencing import Verdict
from podium.wire.rest import Load
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import until
from tests.waiting import wait_until

RECORD = CoordinatorRecord("coord-1", "http://127.0.0.1:1", "0", 0, "active", Load(0, 0, 0.0, 0, 0))


def instance(name: str, status: InstanceStatus = InstanceStatus.READY) -> InstanceRecord:
    return InstanceRecord(name, "agent", "default", "echo", "echo:1.0.0@00000000", "coord-1", 1, status, 0)


class Counting(MemoryDiscovery):
    """Counts writes of instances."""

    writes = 0
    announced = 0

    async def announce(self, record: CoordinatorRecord) -> bool:
        self.announced += 1
        return await super().announce(record)

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


class _Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Fencing:
    """What a fence does, noted."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.done: list[str] = []

    async def ask(self) -> Verdict:
        self.done.append("ask")
        return self.verdict

    def has_done(self, what: str, more_than: int = 0) -> bool:
        return self.done.count(what) > more_than

    @property
    def parts(self) -> Fencing:
        return Fencing(self.ask, lambda: self.done.append("fence"), lambda ids: self.done.append(f"back {ids}"))


@pytest.mark.noisy("fenced")
async def test_a_host_that_was_frozen_is_fenced_before_it_writes_and_back_when_its_leases_are_still_held(
    discovery: Counting, lost: list[str]
) -> None:
    moment, fencing = _Time(), _Fencing(Verdict.UNKNOWN)
    announcer = Announcer(discovery, lambda: RECORD, lost.extend, fencing=fencing.parts, monotonic=moment)
    await announcer.acquire("agent")
    assert announcer.may_write()
    moment.now = 20.0
    assert not announcer.may_write()
    assert not announcer.may_write()
    assert fencing.done == ["fence"], "once"
    await announcer._renew_once()
    assert fencing.done == ["fence", "back ['agent']"]
    assert announcer.may_write()
    await announcer.close()


@pytest.mark.noisy("fenced", "leases_lost", "leases_not_renewed", "discovery_unreachable", "discovery_reachable")
async def test_a_host_that_is_cut_off_is_fenced_in_time_and_one_whose_discovery_is_away_for_all_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GUARD_SECONDS", "ASK_SECONDS", "RETRY_SECONDS", "LEASE_RENEW_SECONDS"):
        monkeypatch.setattr(f"podium.coordinator.adapters.announcer.{name}", 0.005)
    for verdict in (Verdict.THERE, Verdict.AWAY):
        discovery, moment, fencing = Counting(ManualClock()), _Time(), _Fencing(verdict)
        announcer = Announcer(discovery, lambda: RECORD, lambda _: None, fencing=fencing.parts, monotonic=moment)
        await announcer.acquire("agent")
        discovery.available = False
        announcer.start()
        moment.now = 4.5
        await until(partial(fencing.has_done, "ask"), "the others to be asked")
        moment.now = 7.5
        asked = fencing.done.count("ask")
        if verdict is Verdict.THERE:
            await until(partial(fencing.has_done, "fence"), "the fence")
        else:
            await until(partial(fencing.has_done, "ask", asked), "the others to be asked again")
            assert "fence" not in fencing.done
        discovery.available = True
        await announcer.close()


async def test_what_is_forgotten_is_not_brought_back_by_what_was_still_to_be_written(
    announcer: Announcer, discovery: Counting
) -> None:
    announcer.changed("inst-a", lambda: instance("inst-a"))
    writing = asyncio.ensure_future(announcer.flush())
    await asyncio.sleep(0)
    announcer.changed("inst-a", lambda: instance("inst-a", InstanceStatus.FAILED))
    await announcer.forget("inst-a")
    await writing
    await announcer.flush()
    assert await discovery.instance("inst-a") is None


async def test_everything_is_told_again_when_discovery_forgot(discovery: Counting, lost: list[str]) -> None:
    agent = AgentRecord("agent", "default", "echo", "echo:1.0.0@00000000", 1, 0, "inst-a", "coord-1")
    told = Everything([agent], [instance("inst-a")])
    announcer = Announcer(discovery, lambda: RECORD, lost.extend, everything=lambda: told)
    await announcer.acquire("agent")
    announcer.start()
    await until(lambda: discovery.writes > 0, "the instances")
    assert await discovery.agent("agent") == agent
    assert await discovery.instance("inst-a") is not None
    await announcer.close()


async def test_an_agent_made_while_discovery_was_away_is_told_when_it_is_back(
    discovery: Counting, lost: list[str]
) -> None:
    agent = AgentRecord("agent", "default", "echo", "echo:1.0.0@00000000", 1, 0, "inst-a", "coord-1")
    await discovery.announce(RECORD)  # it knows this coordinator, and will not ask to be told
    announcer = Announcer(discovery, lambda: RECORD, lost.extend, everything=lambda: Everything([agent], []))
    discovery.available = False
    await announcer.tell([agent])
    discovery.available = True
    assert await discovery.agent("agent") is None
    announcer.start()

    async def told() -> bool:
        return await discovery.agent("agent") == agent

    await wait_until(told)
    await announcer.close()
