"""One agent, one owner: hosts that are cut off or frozen end what they run before others begin; discovery may be away, and nothing is."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.system.api import Caller
from tests.system.cluster.agents import at, moved, replicated, say, state, where, worker
from tests.system.cluster.cluster import Cluster, running
from tests.system.cluster.followers import check, following
from tests.waiting import wait_until

pytestmark = pytest.mark.leaves("processes", "descriptors", "threads")
"""Coordinators that a test starts again, and connections through the cut network, are the cluster's, which outlives it."""

AWAY_SECONDS = 20.0
"""Twice the life of a lease."""


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two hosts; what the first says to discovery goes through a network that can be cut. Agents may write anywhere."""
    made = running(tmp_path_factory.mktemp("apart"), apart=True, PODIUM_ISOLATION="none")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
async def asks(apart: Cluster) -> AsyncIterator[Caller]:
    """A caller with a tenant's key."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Caller(apart.gateway, session, await apart.gateway.key("apart"))


@pytest.mark.proves("FENCE-CUT-OFF")
async def test_a_host_that_is_cut_off_from_discovery_ends_its_agents_before_another_begins(
    apart: Cluster, asks: Caller, tmp_path: Path
) -> None:
    deployment = await worker(asks, tmp_path)
    instance_id = await at(asks, deployment, "coord-0")
    beats = tmp_path / "beats"
    await say(asks, instance_id, "one")
    await _beat(asks, instance_id, beats, 60)
    await replicated()
    apart.cut.cut()
    try:
        assert await moved(asks, instance_id, "coord-0") == "coord-1"
        await wait_until(lambda: len(set(_owners(beats))) == 2, 30, "the other host to begin")
        assert "fenced" in apart.hosts[0].said("coordinator")
    finally:
        apart.cut.mend()
    first, second = dict.fromkeys(_owners(beats))
    ended = max(time for time, who in _beats(beats) if who == first)
    began = min(time for time, who in _beats(beats) if who == second)
    print(f"the first had ended {began - ended:.1f} s before the second began")
    assert began > ended
    await apart.alive(asks, 2)
    await wait_until(lambda: "leases_lost" in apart.hosts[0].said("coordinator"), 20, "the first host to be told")
    assert len(set(_owners(beats))) == 2, "the first host did not begin again"
    assert (await asks("DELETE", f"/api/v1/instances/{instance_id}")).status == 204


@pytest.mark.proves("FENCE-FROZEN")
async def test_a_host_that_was_frozen_writes_nothing_more_of_an_agent_that_went_on_elsewhere(
    apart: Cluster, asks: Caller, tmp_path: Path
) -> None:
    deployment = await worker(asks, tmp_path)
    instance_id = await at(asks, deployment, "coord-0")
    await say(asks, instance_id, "one")
    sent = await asks("POST", f"/api/v1/instances/{instance_id}/messages", json={"text": "slow 12"})
    assert sent.status == 202
    await replicated()
    journal = apart.hosts[0].data / "agents" / _agent(await where(asks, instance_id)) / "messages"
    coordinator = apart.hosts[0].pid("coordinator")
    said = len(apart.hosts[0].said("coordinator"))
    await wait_until(lambda: _waits(coordinator), 20, "nothing to be half written")
    os.kill(coordinator, signal.SIGSTOP)
    try:
        assert await moved(asks, instance_id, "coord-0") == "coord-1"
        before = _written(journal)
        await asyncio.sleep(AWAY_SECONDS / 2)
    finally:
        os.kill(coordinator, signal.SIGCONT)
    await wait_until(lambda: "fenced" in apart.hosts[0].said("coordinator")[said:], 20, "the host to notice")
    await wait_until(lambda: "leases_lost" in apart.hosts[0].said("coordinator")[said:], 20, "the host to be told")
    assert _written(journal) == before, "it has written into its journal"

    async def is_done() -> bool:
        return bool((await state(asks, instance_id))["words"] == ["one", "slow 12"])

    await wait_until(is_done, 40, "the turn to be done, once")
    await apart.alive(asks, 2)
    assert (await asks("DELETE", f"/api/v1/instances/{instance_id}")).status == 204


@pytest.mark.proves("DISCOVERY-AWAY")
async def test_agents_and_connections_go_on_while_discovery_is_away_for_everyone(
    apart: Cluster, asks: Caller, tmp_path: Path
) -> None:
    deployment = await worker(asks, tmp_path)
    agents = [await at(asks, deployment, home) for home in ("coord-0", "coord-1")]
    marks = [len(host.said("coordinator")) for host in apart.hosts]
    async with following(asks, agents[0], 1) as first, following(asks, agents[1], 1) as second:
        both = [*first, *second]
        apart.valkey.kill()
        try:
            for follower in both:
                await follower.say(f"slow {int(AWAY_SECONDS) - 4}", "while-away")
            await asyncio.sleep(AWAY_SECONDS)
            made = await asks("POST", "/api/v1/instances", json={"deployment_id": deployment})
            assert made.status == 503, made.text
        finally:
            apart.valkey.start()
        await apart.gateway.ready()
        await wait_until(lambda: all(f.of_type("checkpoint") for f in both), 30, "the turns to end")
        check(both)
        assert [follower.connections for follower in both] == [1, 1]
    for host, mark in zip(apart.hosts, marks, strict=True):
        assert "fenced" not in host.said("coordinator")[mark:]
        assert "leases_lost" not in host.said("coordinator")[mark:]


@pytest.mark.proves("DISCOVERY-EMPTIED")
async def test_no_agent_is_lost_when_discovery_loses_everything(apart: Cluster, asks: Caller, tmp_path: Path) -> None:
    deployment = await worker(asks, tmp_path)
    awake = [await at(asks, deployment, home) for home in ("coord-0", "coord-1")]
    asleep = await at(asks, deployment, "coord-0", idle_timeout="1s")
    for instance_id in (*awake, asleep):
        await say(asks, instance_id, "one")

    async def is_asleep() -> bool:
        return bool((await where(asks, asleep))["status"] == "asleep")

    await wait_until(is_asleep, 20, "the agent to sleep")
    async with following(asks.admin, awake[0], 1) as followers:  # the key of a tenant is gone with discovery
        apart.valkey.say("FLUSHALL")
        again = asks.with_key(await _new_key(apart))

        async def all_there() -> bool:
            listed = await again("GET", "/api/v1/instances?limit=200")
            found = {each["instance_id"]: each for each in listed.body["items"]}
            return found.keys() >= {*awake, asleep}

        await wait_until(all_there, 20, "all agents to be known again")
        assert (await again("GET", f"/api/v1/agents/{_agent(await where(again, asleep))}")).status == 200
        for instance_id in (*awake, asleep):
            await say(again, instance_id, "two")
            assert (await state(again, instance_id))["words"] == ["one", "two"]
        check(followers)


async def _new_key(cluster: Cluster) -> str:
    """Keys can't be brought back by coordinators: discovery's own data are gone."""
    return await cluster.gateway.key("apart")


async def _beat(calls: Caller, instance_id: str, beats: Path, seconds: int) -> None:
    path = f"/api/v1/instances/{instance_id}/messages"
    assert (await calls("POST", path, json={"text": f"beat {seconds} {beats}"})).status == 202
    await wait_until(lambda: beats.exists() and _beats(beats), 10, "the agent to begin")


def _beats(path: Path) -> list[tuple[float, str]]:
    whole = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
    return [(float(time), who) for time, who in (line.split() for line in whole)]


def _owners(path: Path) -> list[str]:
    return [who for _, who in _beats(path)]


def _agent(listed: dict[str, str]) -> str:
    return listed["agent_id"]


def _waits(pid: int) -> bool:
    """Whether a process sleeps until something happens."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def _written(directory: Path) -> dict[str, list[str]]:
    """All rows of the databases in a directory, whether they lie in the file or in its write-ahead log still: whoever closes a database
    last moves them. What the replicating process notes for itself is left out."""
    found = {}
    for file in sorted(directory.glob("*.db")):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            found[file.name] = [line for line in database.iterdump() if "_litestream" not in line]
    assert found, "it has a journal"
    return found
