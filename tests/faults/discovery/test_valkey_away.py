"""A server that dies, hangs, comes back, loses what it knew, or is not what it should be: every call ends, and says so."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from podium.base.discovery import (
    AgentRecord,
    CoordinatorRecord,
    DiscoveryUnavailableError,
    InstanceFilter,
    InstanceRecord,
    Lease,
    Notice,
)
from podium.base.discovery.port import CHANNEL_CONFIG, CHANNEL_INSTANCES_MOVED
from podium.base.discovery.valkey import ValkeyDiscovery
from podium.base.discovery.valkey_link import BACKOFF_MAX_SECONDS, CONNECTIONS
from podium.base.discovery.valkey_listener import SILENCE_SECONDS
from podium.base.discovery.valkey_location import ValkeyLocation
from podium.wire.rest import Load
from podium.wire.status import InstanceStatus
from tests.contract.servers import Server
from tests.faults.discovery.between import Wire
from tests.waiting import free_port, wait_until

LIMIT = 0.5
SLACK = 2.0
"""What a busy machine may add to a limit."""

AT_ONCE = 0.4
"""Below the limit: nothing was waited for."""

KEPT = ("appendonly yes", "appendfsync always")

COORDINATOR = CoordinatorRecord("c1", "http://c1", "1.0", 5, "active", Load(0, 10, 0.5, 1, 2))
AGENT = AgentRecord("a", "t", "echo", "d", 1, 1, "inst-1", "c1")
INSTANCE = InstanceRecord("inst-1", "a", "t", "echo", "d", "c1", 1, InstanceStatus.READY, 1)

pytestmark = pytest.mark.noisy("valkey_away")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server", *KEPT).start()
    yield server
    server.kill()


@pytest.fixture
async def discovery(server: Server) -> AsyncIterator[ValkeyDiscovery]:
    discovery = ValkeyDiscovery(server.location, call_seconds=LIMIT)
    await discovery.check()
    yield discovery
    await discovery.close()


@pytest.fixture
async def patient(server: Server) -> AsyncIterator[ValkeyDiscovery]:
    """With time for every answer, for what is not about limits."""
    discovery = ValkeyDiscovery(server.location, call_seconds=20.0)
    await discovery.check()
    yield discovery
    await discovery.close()


async def usable(discovery: ValkeyDiscovery) -> bool:
    try:
        await discovery.check()
    except DiscoveryUnavailableError:
        return False
    return True


async def answers(discovery: ValkeyDiscovery) -> bool:
    try:
        return await discovery.agent("a") == AGENT
    except DiscoveryUnavailableError:
        return False


async def refusal(discovery: ValkeyDiscovery) -> tuple[float, str]:
    """How long a call took to fail, and what it said."""
    began = time.monotonic()
    with pytest.raises(DiscoveryUnavailableError) as caught:
        await discovery.agent("a")
    return time.monotonic() - began, str(caught.value)


async def test_calls_fail_while_the_server_is_dead_and_what_it_kept_is_there_again(
    server: Server, discovery: ValkeyDiscovery
) -> None:
    await discovery.announce(COORDINATOR)
    await discovery.put_agent(AGENT)
    await discovery.put_instances([INSTANCE])
    assert await discovery.acquire_lease("a", "c1") == Lease("a", "c1", 2)
    server.kill()
    for _ in range(20):
        took, said = await refusal(discovery)
        assert took < LIMIT + SLACK
        assert f"127.0.0.1:{server.port}" in said
    server.start()
    await wait_until(lambda: usable(discovery), what="the server is reached again")
    assert await discovery.agent("a") == AGENT
    assert await discovery.instances(InstanceFilter(tenant_id="t"), None, 10) == [INSTANCE]
    assert await discovery.renew_leases("c1", {"a": 2}) == []
    assert await discovery.acquire_lease("a", "c2") is None
    assert await discovery.announce(COORDINATOR), "what came back may be older than what was written"
    assert not await discovery.announce(COORDINATOR)


@pytest.mark.proves("LEASE-SURVIVES-LOST-DATA")
async def test_a_server_that_comes_back_empty_is_told_everything_again(
    server: Server, discovery: ValkeyDiscovery
) -> None:
    await discovery.announce(COORDINATOR)
    assert await discovery.acquire_lease("a", "c1", above=6) == Lease("a", "c1", 7)
    server.kill()
    server.forget()
    server.start()
    await wait_until(lambda: usable(discovery))
    assert await discovery.coordinators() == []
    assert await discovery.announce(COORDINATOR)
    assert await discovery.renew_leases("c1", {"a": 7}) == []
    await discovery.put_agent(AGENT)
    assert await discovery.acquire_lease("a", "c2") is None
    await discovery.release_lease("a", "c1", 7)
    assert await discovery.acquire_lease("a", "c2") == Lease("a", "c2", 8)


async def test_nothing_hangs_on_a_server_that_is_stopped_and_all_goes_on_when_it_is(
    server: Server, discovery: ValkeyDiscovery
) -> None:
    await discovery.put_agent(AGENT)
    heard = discovery.subscribe(CHANNEL_CONFIG)
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    answers = await asyncio.gather(*(discovery.agent("a") for _ in range(100)), return_exceptions=True)
    assert time.monotonic() - began < LIMIT + SLACK
    assert all(isinstance(answer, DiscoveryUnavailableError) for answer in answers)
    assert (await refusal(discovery))[0] < AT_ONCE, "it is known to be away"
    lengths = [(await refusal(discovery))[0] for _ in range(50)]
    assert max(lengths) < LIMIT + SLACK
    assert sorted(lengths)[len(lengths) // 2] < AT_ONCE
    # Silence alone shows that notices are not heard.
    await wait_until(lambda: not discovery._listener.up.is_set(), 10, "the silence is noticed")
    server.signal(signal.SIGCONT)
    await wait_until(lambda: usable(discovery), BACKOFF_MAX_SECONDS + LIMIT + 5)
    assert await discovery.agent("a") == AGENT
    async with asyncio.timeout(5):
        assert await anext(heard) == Notice(CHANNEL_CONFIG, {}, missed=True)


async def test_a_daemon_starts_before_its_server(server: Server) -> None:
    server.kill()
    discovery = ValkeyDiscovery(server.location, call_seconds=LIMIT)
    heard = discovery.subscribe(CHANNEL_CONFIG)
    assert (await refusal(discovery))[0] < LIMIT + SLACK
    server.start()
    await wait_until(lambda: usable(discovery))
    assert await discovery.announce(COORDINATOR)
    async with asyncio.timeout(5):
        assert (await anext(heard)).missed, "what was told before it could hear"
    await discovery.close()


@pytest.mark.proves("NOTICES-HEARD")
async def test_a_subscription_outlives_its_connection_and_tells_that_notices_may_be_missing(
    server: Server, discovery: ValkeyDiscovery
) -> None:
    moved, other = discovery.subscribe(CHANNEL_INSTANCES_MOVED), discovery.subscribe(CHANNEL_CONFIG)
    for number in range(3):
        await discovery.publish(Notice(CHANNEL_INSTANCES_MOVED, {"n": number}))
        async with asyncio.timeout(5):
            assert await anext(moved) == Notice(CHANNEL_INSTANCES_MOVED, {"n": number})
        times_up = discovery._listener.times_up
        if number == 1:
            server.kill()
            server.start()
        else:
            server.say("CLIENT", "KILL", "TYPE", "pubsub")
        async with asyncio.timeout(5):
            assert await anext(moved) == Notice(CHANNEL_INSTANCES_MOVED, {}, missed=True)
            assert await anext(other) == Notice(CHANNEL_CONFIG, {}, missed=True)
        assert discovery._listener.times_up == times_up + 1
        await wait_until(lambda: usable(discovery))


async def test_idle_connections_the_server_closed_are_made_again_without_an_error(
    server: Server, patient: ValkeyDiscovery
) -> None:
    await asyncio.gather(*(patient.put_agent(AGENT) for _ in range(30)))
    server.say("CLIENT", "KILL", "TYPE", "normal")
    idle = patient._link._idle
    await wait_until(lambda: all(one._reader is None or one._reader.at_eof() for one in idle))
    assert await asyncio.gather(*(patient.agent("a") for _ in range(30))) == [AGENT] * 30


async def test_a_wire_that_is_cut_without_a_word_costs_one_limit_however_many_connections_there_were(
    server: Server,
) -> None:
    wire = await Wire(server.port).open()
    discovery = ValkeyDiscovery(ValkeyLocation("127.0.0.1", wire.port), call_seconds=LIMIT)
    await discovery.check()
    heard = discovery.subscribe(CHANNEL_CONFIG)
    await asyncio.gather(*(discovery.put_agent(AGENT) for _ in range(100)))
    assert wire.cut() > 2 * CONNECTIONS, "both directions of all connections, and of the one that listens"
    assert LIMIT - 0.05 < (await refusal(discovery))[0] < LIMIT + SLACK
    await wait_until(lambda: answers(discovery), BACKOFF_MAX_SECONDS)
    assert await asyncio.gather(*(discovery.agent("a") for _ in range(100))) == [AGENT] * 100
    async with asyncio.timeout(SILENCE_SECONDS + LIMIT + BACKOFF_MAX_SECONDS + SLACK):
        assert (await anext(heard)).missed
    await discovery.set_config({"a": 1})
    async with asyncio.timeout(SLACK):
        assert (await anext(heard)).payload["version"] == 1
    await discovery.close()
    await wire.close()


async def test_scripts_the_server_forgot_are_told_again(server: Server, patient: ValkeyDiscovery) -> None:
    held = {f"a{n}": 1 for n in range(1_200)}
    assert await patient.renew_leases("c1", held) == []
    server.say("SCRIPT", "FLUSH", "SYNC")
    assert await patient.renew_leases("c1", held) == []
    assert await patient.take_token("b", 1.0, 2) == 0.0
    server.say("SCRIPT", "FLUSH", "SYNC")
    assert await patient.take_token("b", 1.0, 2) == 0.0
    assert await patient.take_token("b", 1.0, 2) > 0.5, "no token was taken twice"


async def test_a_caller_that_is_cancelled_leaves_nobody_its_answer(server: Server, patient: ValkeyDiscovery) -> None:
    agents = [AgentRecord(f"a{n}", "t", "echo", "d", 1, n) for n in range(50)]
    for agent in agents:
        await patient.put_agent(agent)
    loop = asyncio.get_running_loop()
    for pause in range(40):
        tasks = [loop.create_task(patient.agent(agent.agent_id)) for agent in agents]
        for _ in range(pause % 8):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for agent, answer in zip(agents, answers, strict=True):
            assert answer == agent or isinstance(answer, asyncio.CancelledError)
        assert answers[1::2] == agents[1::2]


async def test_a_full_server_refuses_writes_and_answers_reads(server: Server, discovery: ValkeyDiscovery) -> None:
    await discovery.put_agent(AGENT)
    server.say("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(DiscoveryUnavailableError, match="maxmemory"):
        await discovery.put_agent(AGENT)
    with pytest.raises(DiscoveryUnavailableError, match="maxmemory"):
        await discovery.check()
    assert await discovery.agent("a") == AGENT
    server.say("CONFIG", "SET", "maxmemory", "0")
    await discovery.check()


async def test_a_primary_that_became_a_replica_is_not_used_until_it_is_one_again(
    server: Server, discovery: ValkeyDiscovery
) -> None:
    await discovery.put_agent(AGENT)
    server.say("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(DiscoveryUnavailableError, match="read only"):
        await discovery.put_agent(AGENT)
    with pytest.raises(DiscoveryUnavailableError, match="must lead to the primary"):
        await discovery.put_agent(AGENT)
    server.say("REPLICAOF", "NO", "ONE")
    await wait_until(lambda: usable(discovery))
    await discovery.put_agent(AGENT)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("cluster-enabled yes",), "is a Valkey Cluster"),
        (("replicaof 127.0.0.1 1",), "must lead to the primary"),
        (("requirepass hush",), "Authentication required"),
    ],
)
async def test_a_server_that_does_not_do_is_refused_with_the_reason(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    # Unless it is named, the port of the cluster's bus is 10,000 above the other, where there may be no port.
    server = Server(tmp_path / "other", f"cluster-port {free_port()}", *options).start()
    discovery = ValkeyDiscovery(server.location, call_seconds=LIMIT)
    try:
        for _ in range(3):
            assert said in (await refusal(discovery))[1]
    finally:
        await discovery.close()
        server.kill()


@pytest.mark.noisy("valkey_may_evict")
async def test_a_server_that_may_evict_is_used_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(tmp_path / "other", "maxmemory-policy allkeys-lru").start()
    discovery = ValkeyDiscovery(server.location)
    await discovery.check()
    await discovery.close()
    server.kill()
    assert [record.message for record in caplog.records].count("valkey_may_evict") == 1


async def test_closing_at_any_moment_ends_the_listener(server: Server) -> None:
    for moment in range(60):
        discovery = ValkeyDiscovery(server.location, call_seconds=LIMIT)
        for _ in range(moment):
            await asyncio.sleep(0)
        began = time.monotonic()
        await discovery.close()
        assert time.monotonic() - began < SLACK


async def test_closing_waits_for_nothing_while_the_server_is_stopped(server: Server) -> None:
    discovery = ValkeyDiscovery(server.location, call_seconds=LIMIT)
    await discovery.check()
    server.signal(signal.SIGSTOP)
    call = asyncio.get_running_loop().create_task(refusal(discovery))
    await asyncio.sleep(0)
    began = time.monotonic()
    await discovery.close()
    assert time.monotonic() - began < SLACK
    took, _ = await call
    assert took < LIMIT + SLACK
