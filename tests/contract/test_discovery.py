"""What every discovery promises, run against each implementation.

`pair` is two views of one discovery: for the embedded one, two opened files, as two daemons have them; for Valkey, two
sets of connections to one real server, whose scripts are given the test's time instead of asking the server for its own
(with that, and its own expiry of keys, tests/faults/discovery deals).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import (
    AgentRecord,
    CoordinatorRecord,
    Discovery,
    DiscoveryUnavailableError,
    InstanceFilter,
    InstanceRecord,
    KeyRecord,
    Lease,
    Notice,
    Spending,
    Subscription,
)
from podium.base.discovery.embedded import EmbeddedDiscovery
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.discovery.port import (
    CHANNEL_CONFIG,
    CHANNEL_INSTANCES_MOVED,
    CHANNEL_KEYS_REVOKED,
    COORDINATOR_TTL_SECONDS,
    LEASE_TTL_SECONDS,
    PROPAGATION_SECONDS,
)
from podium.base.discovery.valkey import ValkeyDiscovery
from podium.wire.budgets import Allowance
from podium.wire.rest import Load, TenantLimits
from podium.wire.status import InstanceStatus
from tests.contract.servers import Server, redis_server

DAY = 24 * 60 * 60
ANY = InstanceFilter()


class Pair(NamedTuple):
    one: Discovery
    other: Discovery
    clock: ManualClock


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The oldest server that does: Redis 7.0, where the distribution has it."""
    program = redis_server()
    if program is None:
        pytest.skip("redis-server is not installed")
    server = Server(tmp_path_factory.mktemp("redis"), program=program).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For all tests of this file; started when the first of them needs it."""
    server = Server(tmp_path_factory.mktemp("valkey")).start()
    yield server
    server.kill()


@contextlib.asynccontextmanager
async def valkey_pair(server: Server) -> AsyncIterator[Pair]:
    server.say("FLUSHALL")
    clock = ManualClock()
    one, other = (ValkeyDiscovery(server.location, clock=clock) for _ in range(2))
    await one.check()
    await other.check()
    yield Pair(one, other, clock)
    await one.close()
    await other.close()


@pytest.fixture(params=["memory", "embedded", "valkey", "redis"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    if request.param in ("valkey", "redis"):
        async with valkey_pair(request.getfixturevalue(request.param)) as made:
            yield made
        return
    clock = ManualClock()
    if request.param == "memory":
        shared = MemoryDiscovery(clock)
        yield Pair(shared, shared, clock)
        await shared.close()
        return
    one = EmbeddedDiscovery.open(tmp_path / "discovery.db", clock)
    other = EmbeddedDiscovery.open(tmp_path / "discovery.db", clock)
    yield Pair(one, other, clock)
    await one.close()
    await other.close()


def coordinator(name: str, agents: int = 0) -> CoordinatorRecord:
    return CoordinatorRecord(name, f"http://{name}", "1.0", 5, "active", Load(agents, 10, 0.5, 1, 2))


def instance(number: int, **changes: object) -> InstanceRecord:
    fields = {
        "instance_id": f"inst-{number}",
        "agent_id": f"agt-{number}",
        "tenant_id": "acme",
        "agent_type": "echo",
        "deployment_id": "echo:1.0.0@00000000",
        "coordinator_id": "c1",
        "epoch": 1,
        "status": InstanceStatus.READY,
        "created_at": number,
    }
    return InstanceRecord(**fields | changes)  # type: ignore[arg-type]


def agent(name: str, epoch: int = 1, tenant: str = "acme") -> AgentRecord:
    return AgentRecord(name, tenant, "echo", "echo:1.0.0@00000000", epoch, 7)


async def heard(subscription: Subscription) -> Notice:
    async with asyncio.timeout(PROPAGATION_SECONDS):
        return await anext(subscription)


# ── coordinators ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_announced_coordinators_are_seen_by_all_in_order_until_their_time_is_over(pair: Pair) -> None:
    await pair.one.announce(coordinator("b"))
    await pair.one.announce(coordinator("a"))
    assert await pair.other.coordinators() == [coordinator("a"), coordinator("b")]
    pair.clock.advance(COORDINATOR_TTL_SECONDS - 1)
    await pair.one.announce(coordinator("b", agents=3))
    pair.clock.advance(1)
    assert await pair.other.coordinators() == [coordinator("b", agents=3)]
    pair.clock.advance(COORDINATOR_TTL_SECONDS)
    assert await pair.other.coordinators() == []


async def test_a_coordinator_is_told_when_discovery_did_not_know_it(pair: Pair) -> None:
    assert await pair.one.announce(coordinator("a"))
    assert not await pair.one.announce(coordinator("a", agents=1))
    pair.clock.advance(COORDINATOR_TTL_SECONDS)
    assert await pair.one.announce(coordinator("a"))
    await pair.one.withdraw("a")
    assert await pair.one.announce(coordinator("a"))


async def test_a_withdrawn_coordinator_is_gone_at_once(pair: Pair) -> None:
    await pair.one.announce(coordinator("a"))
    await pair.one.withdraw("a")
    await pair.one.withdraw("never there")
    assert await pair.other.coordinators() == []


# ── instances ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_instance_is_found_as_it_was_written_until_it_is_removed(pair: Pair) -> None:
    written = instance(1, status=InstanceStatus.FAILED, reason="gave up")
    await pair.one.put_instances([written])
    assert await pair.other.instance("inst-1") == written
    assert await pair.other.instance("inst-2") is None
    await pair.one.remove_instances(["inst-1", "inst-2"])
    assert await pair.other.instance("inst-1") is None


@pytest.mark.proves("FENCED-WRITES")
async def test_an_older_epoch_never_overwrites_an_instance(pair: Pair) -> None:
    await pair.one.put_instances([instance(1, epoch=3)])
    await pair.one.put_instances([
        instance(1, epoch=2, status=InstanceStatus.FAILED),
        instance(2, epoch=2),
    ])  # fmt: skip
    await pair.one.put_instances([instance(2, epoch=2, status=InstanceStatus.RUNNING)])
    assert await pair.other.instance("inst-1") == instance(1, epoch=3)
    assert await pair.other.instance("inst-2") == instance(2, epoch=2, status=InstanceStatus.RUNNING)


async def test_instances_are_listed_newest_first_page_by_page(pair: Pair) -> None:
    await pair.one.put_instances([instance(n, created_at=n // 2) for n in range(1, 8)])
    whole = await pair.other.instances(ANY, None, 100)
    assert [record.instance_id for record in whole] == [f"inst-{n}" for n in (7, 6, 5, 4, 3, 2, 1)]
    pages, after = [], None
    while page := await pair.other.instances(ANY, after, 3):
        pages.append(len(page))
        assert page == whole[: len(page)]
        whole, after = whole[len(page) :], page[-1].instance_id
    assert pages == [3, 3, 1]


async def test_a_list_goes_on_after_an_instance_that_does_not_match_any_more(pair: Pair) -> None:
    await pair.one.put_instances([instance(n, created_at=n // 3) for n in range(9)])
    ready = InstanceFilter(status=InstanceStatus.READY, tenant_id="acme")
    page = await pair.other.instances(ready, None, 3)
    assert [record.instance_id for record in page] == ["inst-8", "inst-7", "inst-6"]
    await pair.one.put_instances([instance(n, created_at=n // 3, status=InstanceStatus.ASLEEP) for n in (4, 6)])
    rest = await pair.other.instances(ready, "inst-6", 10)
    assert [record.instance_id for record in rest] == [f"inst-{n}" for n in (5, 3, 2, 1, 0)]
    asleep = await pair.other.instances(InstanceFilter(status=InstanceStatus.ASLEEP), "inst-5", 10)
    assert [record.instance_id for record in asleep] == ["inst-4"]


async def test_a_list_after_an_instance_nobody_knows_is_empty(pair: Pair) -> None:
    await pair.one.put_instances([instance(1)])
    assert await pair.one.instances(ANY, "inst-gone", 10) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (InstanceFilter(tenant_id="other"), {2}),
        (InstanceFilter(status=InstanceStatus.ASLEEP), {3}),
        (InstanceFilter(agent_type="counter"), {4}),
        (InstanceFilter(agent_id="agt-x"), {5}),
        (InstanceFilter(deployment_id="echo:2.0.0@11111111"), {6}),
        (InstanceFilter(coordinator_id="c2"), {7}),
        (InstanceFilter(tenant_id="acme", status=InstanceStatus.READY), {1, 4, 5, 6, 7}),
        (InstanceFilter(tenant_id="nobody"), set()),
        (ANY, {1, 2, 3, 4, 5, 6, 7}),
    ],
)
async def test_instances_are_filtered_by_every_field(pair: Pair, wanted: InstanceFilter, expected: set[int]) -> None:
    await pair.one.put_instances([
        instance(1),
        instance(2, tenant_id="other"),
        instance(3, status=InstanceStatus.ASLEEP),
        instance(4, agent_type="counter"),
        instance(5, agent_id="agt-x"),
        instance(6, deployment_id="echo:2.0.0@11111111"),
        instance(7, coordinator_id="c2"),
    ])  # fmt: skip
    found = await pair.other.instances(wanted, None, 100)
    assert {record.created_at for record in found} == expected


# ── agents and leases ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("FENCED-WRITES")
async def test_agents_are_kept_and_an_older_epoch_never_overwrites_one(pair: Pair) -> None:
    await pair.one.put_agent(agent("a", epoch=2))
    await pair.one.put_agent(agent("a", epoch=1, tenant="thief"))
    assert await pair.other.agent("a") == agent("a", epoch=2)
    await pair.one.put_agent(agent("a", epoch=2, tenant="same epoch"))
    assert await pair.other.agent("a") == agent("a", epoch=2, tenant="same epoch")
    assert await pair.other.agent("b") is None


async def test_agents_are_listed_by_id_of_one_tenant_or_all(pair: Pair) -> None:
    for name, tenant in (("c", "acme"), ("a", "acme"), ("b", "other"), ("d", "acme")):
        await pair.one.put_agent(agent(name, tenant=tenant))
    assert [each.agent_id for each in await pair.other.agents(None, None, 3)] == ["a", "b", "c"]
    assert [each.agent_id for each in await pair.other.agents(None, "b", 10)] == ["c", "d"]
    assert [each.agent_id for each in await pair.other.agents("acme", "a", 10)] == ["c", "d"]
    assert await pair.other.agents("nobody", None, 10) == []


async def test_a_lease_has_one_holder_and_the_holder_gets_it_again_unchanged(pair: Pair) -> None:
    assert await pair.one.acquire_lease("a", "c1") == Lease("a", "c1", 1)
    assert await pair.other.acquire_lease("a", "c2") is None
    assert await pair.one.acquire_lease("a", "c1") == Lease("a", "c1", 1)


@pytest.mark.proves("LEASE-TAKEN-WHEN-OLD")
async def test_a_lease_not_renewed_may_be_taken_with_the_next_epoch_and_is_then_lost(pair: Pair) -> None:
    await pair.one.acquire_lease("a", "c1")
    await pair.one.acquire_lease("b", "c1")
    pair.clock.advance(LEASE_TTL_SECONDS - 1)
    assert await pair.one.renew_leases("c1", {"a": 1}) == []
    pair.clock.advance(1)
    assert await pair.other.acquire_lease("a", "c2") is None
    assert await pair.other.acquire_lease("b", "c2") == Lease("b", "c2", 2)
    assert await pair.one.renew_leases("c1", {"a": 1, "b": 1}) == ["b"]
    assert await pair.other.renew_leases("c2", {"b": 2}) == []


async def test_a_late_holder_keeps_its_lease_as_long_as_nobody_took_it(pair: Pair) -> None:
    await pair.one.acquire_lease("a", "c1")
    pair.clock.advance(LEASE_TTL_SECONDS * 10)
    assert await pair.one.renew_leases("c1", {"a": 1}) == []
    assert await pair.other.acquire_lease("a", "c2") is None


async def test_who_holds_a_lease_is_told_as_long_as_it_is_held(pair: Pair) -> None:
    assert await pair.other.lease("a") is None
    await pair.one.acquire_lease("a", "c1")
    assert await pair.other.lease("a") == Lease("a", "c1", 1)
    pair.clock.advance(LEASE_TTL_SECONDS)
    assert await pair.other.lease("a") is None
    await pair.other.acquire_lease("a", "c2")
    assert await pair.one.lease("a") == Lease("a", "c2", 2)
    await pair.other.release_lease("a", "c2", 2)
    assert await pair.one.lease("a") is None


async def test_a_released_lease_is_free_and_only_its_holder_can_release_it(pair: Pair) -> None:
    await pair.one.acquire_lease("a", "c1")
    await pair.other.release_lease("a", "c2", 1)
    await pair.other.release_lease("a", "c1", 7)
    await pair.other.release_lease("never", "c1", 1)
    assert await pair.other.acquire_lease("a", "c2") is None
    await pair.one.release_lease("a", "c1", 1)
    assert await pair.one.renew_leases("c1", {"a": 1}) == ["a"]
    assert await pair.other.acquire_lease("a", "c2") == Lease("a", "c2", 2)


@pytest.mark.proves("EPOCH-ONLY-GROWS")
async def test_an_epoch_only_grows_also_when_the_agent_is_removed_or_knows_better(pair: Pair) -> None:
    await pair.one.put_agent(agent("a", epoch=9))
    assert await pair.one.acquire_lease("a", "c1") == Lease("a", "c1", 10)
    await pair.one.release_lease("a", "c1", 10)
    await pair.one.put_agent(agent("a", epoch=20))
    await pair.one.remove_agent("a")
    await pair.one.remove_agent("a")
    assert await pair.other.agent("a") is None
    assert await pair.other.acquire_lease("a", "c2") == Lease("a", "c2", 21)
    await pair.one.put_agent(agent("never leased", epoch=4))
    await pair.one.remove_agent("never leased")
    assert await pair.other.acquire_lease("never leased", "c2") == Lease("never leased", "c2", 5)


@pytest.mark.proves("EPOCH-ONLY-GROWS")
async def test_a_new_epoch_is_above_what_the_caller_knows_of(pair: Pair) -> None:
    assert await pair.one.acquire_lease("a", "c1", above=7) == Lease("a", "c1", 8)
    assert await pair.one.acquire_lease("a", "c1", above=7) == Lease("a", "c1", 8)
    await pair.one.release_lease("a", "c1", 8)
    assert await pair.other.acquire_lease("a", "c2", above=3) == Lease("a", "c2", 9)


@pytest.mark.proves("EPOCH-ONLY-GROWS", "LEASE-SURVIVES-LOST-DATA")
async def test_a_lease_discovery_knows_nothing_of_is_restored_by_its_holder_and_the_highest_epoch_wins(
    pair: Pair,
) -> None:
    assert await pair.one.renew_leases("c1", {"a": 5, "b": 2}) == []
    assert await pair.other.acquire_lease("a", "c2") is None
    assert await pair.other.renew_leases("c2", {"a": 5, "b": 3}) == ["a"]
    assert await pair.one.renew_leases("c1", {"a": 5, "b": 2}) == ["b"]
    pair.clock.advance(LEASE_TTL_SECONDS)
    assert await pair.other.acquire_lease("a", "c2") == Lease("a", "c2", 6)


@pytest.mark.proves("FENCED-WRITES")
async def test_a_lease_older_than_its_agents_record_is_not_restored(pair: Pair) -> None:
    await pair.one.put_agent(agent("a", epoch=5))
    await pair.one.put_agent(agent("gone", epoch=5))
    await pair.one.remove_agent("gone")
    assert await pair.one.renew_leases("c1", {"a": 4, "gone": 5}) == ["a", "gone"]
    assert await pair.one.renew_leases("c1", {"a": 5}) == []


@pytest.mark.proves("LEASE-ONE-HOLDER")
async def test_of_many_who_want_a_lease_exactly_one_gets_it(pair: Pair) -> None:
    asked = [(pair.one, pair.other)[n % 2].acquire_lease("a", f"c{n}") for n in range(20)]
    got = [lease for lease in await asyncio.gather(*asked) if lease is not None]
    assert [lease.epoch for lease in got] == [1]


# ── keys, secrets, configuration ─────────────────────────────────────────────────────────────────────────────


async def test_keys_are_found_listed_and_revoked_with_a_notice(pair: Pair) -> None:
    keys = [
        KeyRecord(
            f"k{n}",
            "hash",
            "acme",
            ["a", "b"],
            1,
            2 if n else None,
            "name" if n else None,
            TenantLimits(instances=n) if n else TenantLimits(),
        )
        for n in range(3)
    ]
    for key in keys:
        await pair.one.put_key(key)
    assert await pair.other.key("k1") == keys[1]
    assert await pair.other.keys(None, 2) == keys[:2]
    assert await pair.other.keys("k1", 10) == keys[2:]
    revocations = pair.other.subscribe(CHANNEL_KEYS_REVOKED)
    assert await pair.one.remove_key("k1")
    assert await pair.other.key("k1") is None
    assert await heard(revocations) == Notice(CHANNEL_KEYS_REVOKED, {"key_id": "k1"})
    assert not await pair.one.remove_key("k1")


async def test_secrets_are_added_replaced_and_removed_one_by_one(pair: Pair) -> None:
    assert await pair.one.secrets("acme", "echo") is None
    await pair.one.set_secrets("acme", "echo", {"B": "2", "A": "1"})
    await pair.one.set_secrets("acme", "echo", {"A": "3"})
    await pair.one.set_secrets("other", "echo", {"A": "x"})
    record = await pair.other.secrets("acme", "echo")
    assert record is not None
    assert record.sealed == {"A": "3", "B": "2"}
    assert await pair.one.remove_secret("acme", "echo", "A")
    assert not await pair.one.remove_secret("acme", "echo", "A")
    assert await pair.one.remove_secret("acme", "echo", "B")
    assert await pair.other.secrets("acme", "echo") is None


async def test_configuration_is_replaced_whole_numbered_and_told_with_what_changed(pair: Pair) -> None:
    assert (await pair.one.config()).version == 0
    told = pair.other.subscribe(CHANNEL_CONFIG)
    first = await pair.one.set_config({"model": "a", "deep": {"x": 1}, "gone": 1})
    assert (first.config, first.version) == ({"model": "a", "deep": {"x": 1}, "gone": 1}, 1)
    await pair.one.set_config({"model": "b", "deep": {"x": 1}, "none": None})
    record = await pair.other.config()
    assert (record.config, record.version) == ({"model": "b", "deep": {"x": 1}, "none": None}, 2)
    assert (await heard(told)).payload == {"version": 1, "changes": {"deep": {"x": 1}, "gone": 1, "model": "a"}}
    assert (await heard(told)).payload == {"version": 2, "changes": {"gone": None, "model": "b", "none": None}}


# ── idempotency and rates ────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_claim_is_mine_and_everyone_sees_its_plan_and_answer(pair: Pair) -> None:
    first = await pair.one.claim("acme", "k", "f", {"id": 1}, 60)
    assert (first.mine, first.plan, first.answer, first.fingerprint) == (True, {"id": 1}, None, "f")
    assert first.held_until == pair.clock.now_ms() + 60_000
    second = await pair.other.claim("acme", "k", "f", {"id": 2}, 60)
    assert (second.mine, second.plan, second.answer) == (False, {"id": 1}, None)
    assert (await pair.other.claim("other", "k", "f", {"id": 3}, 60)).mine
    await pair.one.settle_claim("acme", "k", {"done": True})
    await pair.other.settle_claim("acme", "k", {"done": "twice"})
    pair.clock.advance(DAY - 1)
    third = await pair.other.claim("acme", "k", "other", {"id": 2}, 60)
    assert (third.mine, third.answer, third.fingerprint) == (False, {"done": True}, "f")
    pair.clock.advance(1)
    assert (await pair.other.claim("acme", "k", "other", {"id": 4}, 60)).plan == {"id": 4}


@pytest.mark.proves("CLAIM-ONE-OWNER")
async def test_an_abandoned_claim_is_taken_over_with_its_plan_but_not_for_another_request(pair: Pair) -> None:
    await pair.one.claim("acme", "k", "f", {"id": 1}, 60)
    pair.clock.advance(60)
    other = await pair.other.claim("acme", "k", "another request", {"id": 2}, 60)
    assert (other.mine, other.fingerprint) == (False, "f")
    taken = await pair.other.claim("acme", "k", "f", {"id": 2}, 30)
    assert (taken.mine, taken.plan, taken.held_until) == (True, {"id": 1}, pair.clock.now_ms() + 30_000)
    assert not (await pair.one.claim("acme", "k", "f", {"id": 1}, 60)).mine


async def test_a_dropped_claim_may_be_made_again_and_a_settled_one_is_not_dropped(pair: Pair) -> None:
    await pair.one.claim("acme", "k", "f", {"id": 1}, 60)
    await pair.one.drop_claim("acme", "k")
    again = await pair.other.claim("acme", "k", "g", {"id": 2}, 60)
    assert (again.mine, again.plan) == (True, {"id": 2})
    await pair.other.settle_claim("acme", "k", {"done": True})
    await pair.other.drop_claim("acme", "k")
    await pair.other.drop_claim("acme", "never")
    assert (await pair.one.claim("acme", "k", "g", {"id": 3}, 60)).answer == {"done": True}


@pytest.mark.proves("CLAIM-ONE-OWNER")
async def test_of_many_who_claim_a_key_exactly_one_has_it(pair: Pair) -> None:
    claims = await asyncio.gather(
        *((pair.one, pair.other)[n % 2].claim("acme", "k", "f", {"id": n}, 60) for n in range(20))
    )
    assert sum(claim.mine for claim in claims) == 1
    assert len({claim.plan["id"] for claim in claims}) == 1


@pytest.mark.proves("RATE-TOKEN-BUCKET")
async def test_a_bucket_gives_its_burst_then_its_rate(pair: Pair) -> None:
    assert [await pair.one.take_token("b", 2.0, 3) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert await pair.other.take_token("b", 2.0, 3) == pytest.approx(0.5)
    assert await pair.other.take_token("other", 2.0, 3) == 0.0
    pair.clock.advance(0.5)
    assert await pair.other.take_token("b", 2.0, 3) == 0.0
    assert await pair.one.take_token("b", 2.0, 3) == pytest.approx(0.5)
    pair.clock.advance(100)
    assert [await pair.one.take_token("b", 2.0, 3) > 0 for _ in range(4)] == [False, False, False, True]


# ── spending ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("LIMIT-TENANT-BUDGET")
async def test_what_all_add_is_the_sum_of_the_day_and_of_its_month(pair: Pair) -> None:
    assert await pair.one.add_spending("acme", "2026-11-21", 0) == Spending(0, 0, Allowance())
    added = [
        (pair.one, pair.other)[n % 2].add_spending("acme", day, 10)
        for n, day in enumerate(["2026-11-20", *["2026-11-21"] * 20])
    ]
    await asyncio.gather(*added)
    assert await pair.other.add_spending("acme", "2026-11-21", 5) == Spending(205, 215, Allowance())
    assert await pair.one.add_spending("other", "2026-11-21", 0) == Spending(0, 0, Allowance())
    assert await pair.one.add_spending("acme", "2026-12-01", 2**50) == Spending(2**50, 2**50, Allowance())


async def test_an_allowance_is_what_was_set_last(pair: Pair) -> None:
    both = Allowance(per_day=5, per_month=7)
    assert await pair.one.add_spending("acme", "2026-11-21", 0, both) == Spending(0, 0, both)
    await pair.other.add_spending("acme", "2026-11-21", 0, Allowance(per_day=0))
    assert await pair.one.add_spending("acme", "2026-11-21", 1) == Spending(1, 1, Allowance(per_day=0))


# ── notices ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_subscriber_hears_its_channels_from_its_call_on_in_order(pair: Pair) -> None:
    before = pair.other.subscribe(CHANNEL_INSTANCES_MOVED)
    await pair.one.publish(Notice(CHANNEL_INSTANCES_MOVED, {"n": 0}))
    assert await heard(before) == Notice(CHANNEL_INSTANCES_MOVED, {"n": 0})
    early = pair.other.subscribe(CHANNEL_INSTANCES_MOVED)
    await pair.one.publish(Notice(CHANNEL_INSTANCES_MOVED, {"n": 1}))
    assert (await heard(early)).payload["n"] == 1
    late = pair.other.subscribe(CHANNEL_INSTANCES_MOVED, CHANNEL_CONFIG)
    await pair.one.publish(Notice(CHANNEL_CONFIG, {"n": 2}))
    await pair.other.publish(Notice(CHANNEL_INSTANCES_MOVED, {"n": 3}))
    assert (await heard(early)).payload["n"] == 3
    assert [(await heard(late)).payload["n"] for _ in range(2)] == [2, 3]


async def test_a_closed_subscription_ends_also_for_who_waits(pair: Pair) -> None:
    subscription = pair.one.subscribe(CHANNEL_CONFIG)
    waiting = asyncio.get_running_loop().create_task(_rest(subscription))
    await asyncio.sleep(0)
    await subscription.aclose()
    assert await waiting == []


async def test_closing_discovery_ends_subscriptions_and_refuses_calls(pair: Pair) -> None:
    subscription = pair.one.subscribe(CHANNEL_CONFIG)
    await pair.one.close()
    await pair.one.close()
    assert await _rest(subscription) == []
    with pytest.raises(DiscoveryUnavailableError):
        await pair.one.check()
    with pytest.raises(DiscoveryUnavailableError):
        await pair.one.agent("a")


async def test_check_changes_nothing_anyone_sees(pair: Pair) -> None:
    await pair.one.put_agent(agent("a"))
    await pair.one.check()
    assert await pair.other.agents(None, None, 10) == [agent("a")]


async def _rest(subscription: Subscription) -> list[Notice]:
    return [notice async for notice in subscription]
