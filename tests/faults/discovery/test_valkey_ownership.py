"""Who owns an agent, over a real server: its own clock, takeovers, races, lost data."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import AgentRecord, CoordinatorRecord, InstanceFilter, InstanceRecord, Lease
from podium.base.discovery.port import COORDINATOR_TTL_SECONDS, LEASE_TTL_SECONDS
from podium.base.discovery.valkey import ValkeyDiscovery
from podium.wire.rest import Load
from podium.wire.status import InstanceStatus
from tests.contract.servers import Server
from tests.waiting import wait_until

ROUNDS = 200
AGENTS = 1_000
RENEWAL_SECONDS_MAX = 5.0
"""Far above the few milliseconds it takes, and half the life of a lease; that it is one round trip is counted."""

RACER = """
import asyncio, json, sys
from podium.base.discovery.valkey import ValkeyDiscovery
from podium.base.discovery.valkey_location import ValkeyLocation

async def main():
    discovery = ValkeyDiscovery(ValkeyLocation.parse(sys.argv[1]))
    await discovery.check()
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for number in range(100):
        claim = await discovery.claim("t", f"k{number}", "f", {"by": sys.argv[2]}, 60)
        lease = await discovery.acquire_lease(f"a{number}", sys.argv[2])
        won.append((claim.mine, claim.plan["by"], lease is not None))
    await discovery.close()
    print(json.dumps(won), flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("valkey")).start()
    yield server
    server.kill()


@pytest.fixture
async def discovery(server: Server) -> AsyncIterator[ValkeyDiscovery]:
    server.say("FLUSHALL")
    discovery = ValkeyDiscovery(server.location)
    await discovery.check()
    yield discovery
    await discovery.close()


@pytest.fixture
async def timed(server: Server) -> AsyncIterator[tuple[ValkeyDiscovery, ManualClock]]:
    """With a clock that the test moves."""
    server.say("FLUSHALL")
    clock = ManualClock()
    discovery = ValkeyDiscovery(server.location, clock=clock)
    await discovery.check()
    yield discovery, clock
    await discovery.close()


def coordinator(name: str) -> CoordinatorRecord:
    return CoordinatorRecord(name, f"http://{name}", "1.0", 5, "active", Load(0, 10, 0.5, 1, 2))


def instance(number: int, epoch: int = 1, coordinator_id: str = "c1") -> InstanceRecord:
    name = f"inst-{number}"
    return InstanceRecord(name, f"a{number}", "t", "echo", "d", coordinator_id, epoch, InstanceStatus.READY, number)


@pytest.mark.slow
@pytest.mark.proves("LEASE-TAKEN-WHEN-OLD")
async def test_a_dead_coordinator_is_gone_and_its_lease_taken_when_the_servers_clock_says_so(
    discovery: ValkeyDiscovery, server: Server
) -> None:
    began = time.monotonic()
    await discovery.announce(coordinator("dead"))
    assert await discovery.acquire_lease("a", "dead") == Lease("a", "dead", 1)

    async def others() -> list[str]:
        await discovery.announce(coordinator("alive"))
        return [record.coordinator_id for record in await discovery.coordinators()]

    async def taken() -> Lease | None:
        await others()
        return await discovery.acquire_lease("a", "alive")

    async def alone() -> bool:
        return await others() == ["alive"]

    assert await others() == ["alive", "dead"]
    await wait_until(alone, COORDINATOR_TTL_SECONDS + 5)
    assert time.monotonic() - began > COORDINATOR_TTL_SECONDS - 0.1
    assert server.say("EXISTS", "podium:coordinators:dead") == b":0\r\n"
    await wait_until(taken, LEASE_TTL_SECONDS + 5)
    assert time.monotonic() - began > LEASE_TTL_SECONDS - 0.1
    assert await discovery.renew_leases("dead", {"a": 1}) == ["a"]
    assert await discovery.renew_leases("alive", {"a": 2}) == []


@pytest.mark.proves("LEASE-ONE-HOLDER")
async def test_of_two_who_take_over_exactly_one_wins_in_every_round(
    timed: tuple[ValkeyDiscovery, ManualClock], server: Server
) -> None:
    one, clock = timed
    other = ValkeyDiscovery(server.location, clock=clock)
    await other.check()
    epoch, won = 1, {"c1": 0, "c2": 0}
    assert await one.acquire_lease("a", "c0") == Lease("a", "c0", epoch)
    for number in range(ROUNDS):
        clock.advance(LEASE_TTL_SECONDS)
        claims = [one.acquire_lease("a", f"c1-{number}"), other.acquire_lease("a", f"c2-{number}")]
        got = [lease for lease in await asyncio.gather(*claims) if lease is not None]
        assert len(got) == 1
        epoch += 1
        assert got[0].epoch == epoch
        won[got[0].coordinator_id[:2]] += 1
    await other.close()
    assert sum(won.values()) == ROUNDS


@pytest.mark.proves("LEASE-ONE-HOLDER", "CLAIM-ONE-OWNER")
async def test_processes_that_race_never_both_win(discovery: ValkeyDiscovery, server: Server) -> None:
    pipe = asyncio.subprocess.PIPE
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", RACER, str(server.location), name, stdin=pipe, stdout=pipe
        )
        for name in ("one", "two")
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert await racer.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    for mine, theirs in zip(*(json.loads(said) for said, _ in answers), strict=True):
        assert mine[0] != theirs[0], "a claim has one owner"
        assert mine[1] == theirs[1], "both see the owner's plan"
        assert mine[2] != theirs[2], "a lease has one holder"


@pytest.mark.proves("FENCED-WRITES")
async def test_whoever_lost_an_agent_overwrites_nothing(timed: tuple[ValkeyDiscovery, ManualClock]) -> None:
    discovery, clock = timed
    assert await discovery.acquire_lease("a1", "old") == Lease("a1", "old", 1)
    await discovery.put_instances([instance(1, 1, "old")])
    clock.advance(LEASE_TTL_SECONDS)
    assert await discovery.acquire_lease("a1", "new") == Lease("a1", "new", 2)
    await discovery.put_instances([instance(1, 2, "new")])
    await discovery.put_agent(AgentRecord("a1", "t", "echo", "d", 2, 1, "inst-1", "new"))
    await discovery.put_instances([instance(1, 1, "old"), instance(2, 1, "old")])
    await discovery.put_agent(AgentRecord("a1", "t", "echo", "d", 1, 1, "inst-1", "old"))
    await discovery.release_lease("a1", "old", 1)
    assert await discovery.renew_leases("old", {"a1": 1}) == ["a1"]
    assert await discovery.instance("inst-1") == instance(1, 2, "new")
    assert [one.instance_id for one in await discovery.instances(InstanceFilter(coordinator_id="old"), None, 9)] == [
        "inst-2"
    ]
    stored = await discovery.agent("a1")
    assert stored is not None
    assert (stored.epoch, stored.coordinator_id) == (2, "new")
    assert await discovery.acquire_lease("a1", "third") is None


@pytest.mark.proves("LEASE-SURVIVES-AWAY")
async def test_nobody_takes_what_ran_out_while_the_server_was_away_before_its_holder_could_come_back(
    timed: tuple[ValkeyDiscovery, ManualClock],
) -> None:
    discovery, clock = timed
    for name in ("c1", "c2"):
        await discovery.announce(coordinator(name))
    for agent_id in ("a", "b"):
        await discovery.acquire_lease(agent_id, "c1")
    clock.advance(60)  # nobody reaches the server; then c2 is the first to be back
    assert await discovery.acquire_lease("a", "c2") is None
    assert await discovery.announce(coordinator("c2"))
    assert await discovery.acquire_lease("a", "c2") is None
    assert await discovery.renew_leases("c1", {"a": 1}) == []
    for _ in range(5):  # c1 never renews b
        assert await discovery.acquire_lease("b", "c2") is None
        clock.advance(LEASE_TTL_SECONDS / 5)
        await discovery.announce(coordinator("c2"))
        await discovery.renew_leases("c1", {"a": 1})
    assert await discovery.acquire_lease("b", "c2") == Lease("b", "c2", 2)
    assert await discovery.acquire_lease("a", "c2") is None


@pytest.mark.proves("EPOCH-ONLY-GROWS", "LEASE-SURVIVES-LOST-DATA")
async def test_after_the_server_was_emptied_coordinators_bring_everything_back(
    discovery: ValkeyDiscovery, server: Server
) -> None:
    agents = [AgentRecord(f"a{n}", "t", "echo", "d", 4, 1, f"inst-{n}", "c1") for n in range(3)]
    instances = [instance(n, 4) for n in range(3)]
    held = {}
    for agent in agents:
        lease = await discovery.acquire_lease(agent.agent_id, "c1", above=agent.epoch - 1)
        assert lease is not None
        held[agent.agent_id] = lease.epoch
    await discovery.announce(coordinator("c1"))
    assert not await discovery.announce(coordinator("c1"))
    server.say("FLUSHALL")
    assert await discovery.announce(coordinator("c1")), "the coordinator is told to write everything again"
    await discovery.put_instances(instances)
    for agent in agents:
        await discovery.put_agent(agent)
    assert await discovery.acquire_lease("a2", "c2") == Lease("a2", "c2", 5), "above the epoch of the agent's record"
    assert await discovery.renew_leases("c1", held) == ["a2"]
    assert await discovery.acquire_lease("a0", "c2") is None
    assert await discovery.agents("t", None, 10) == agents
    assert await discovery.instances(InstanceFilter(coordinator_id="c1"), None, 10) == instances[::-1]
    await discovery.release_lease("a0", "c1", 4)
    assert await discovery.acquire_lease("a0", "c2") == Lease("a0", "c2", 5)


async def test_leases_of_a_thousand_agents_are_renewed_in_one_round_trip(
    discovery: ValkeyDiscovery, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {f"agt-{number:022d}": 3 for number in range(AGENTS)}
    assert await discovery.renew_leases("c1", held) == []
    server.say("CONFIG", "RESETSTAT")
    began = time.perf_counter()
    assert await discovery.renew_leases("c1", held) == []
    took = time.perf_counter() - began
    with capsys.disabled():
        print(f"\nrenewing {AGENTS} leases took {took * 1000:.1f} ms")
    assert took < RENEWAL_SECONDS_MAX
    said = server.say("INFO", "stats").decode()
    reads = next(int(line.split(":")[1]) for line in said.splitlines() if line.startswith("total_reads_processed"))
    assert reads < 20, "one write of ours is some reads of the server's buffer, not one for each agent"
    assert (await discovery.renew_leases("c2", held)) == sorted(held)


async def test_lists_walk_indexes_and_never_all_keys(discovery: ValkeyDiscovery, server: Server) -> None:
    for start in range(0, 2_000, 500):
        await discovery.put_instances([instance(n, coordinator_id=f"c{n % 7}") for n in range(start, start + 500)])
    server.say("CONFIG", "RESETSTAT")
    found, after = [], None
    wanted = InstanceFilter(coordinator_id="c3", tenant_id="t", status=InstanceStatus.READY)
    while page := await discovery.instances(wanted, after, 100):
        found += page
        after = page[-1].instance_id
    assert [record.created_at for record in found] == [n for n in range(1_999, -1, -1) if n % 7 == 3]
    commands = server.say("INFO", "commandstats").decode()
    assert "cmdstat_zrevrange" in commands
    assert not [name for name in ("keys", "scan", "sscan", "smembers") if f"cmdstat_{name}:" in commands]
    calls = {line.split(":")[0]: line for line in commands.splitlines()}
    records_read = int(calls["cmdstat_get"].split("calls=")[1].split(",")[0])
    assert records_read < 600, "the smallest index is walked, not that of the tenant"
    await discovery.remove_instances([f"inst-{n}" for n in range(2_000)])
    assert server.say("DBSIZE") == b":1\r\n", "no index outlives what it lists (the one key is that of `check`)"
