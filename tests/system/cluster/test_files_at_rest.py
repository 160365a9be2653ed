"""Files that clients write: outside the host as anything else, whether the agent is awake or sleeps."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium.coordinator.supervisor.replication import OUTSIDE
from tests.system.api import Caller
from tests.system.cluster.agents import at, where, worker
from tests.system.cluster.cluster import Cluster, running
from tests.waiting import wait_until

pytestmark = pytest.mark.leaves("processes", "descriptors")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two hosts and a gateway; workspaces of agents that sleep are unmounted at once."""
    made = running(tmp_path_factory.mktemp("cluster"), CHRONICLE_LINGER="0.1s")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
async def calls(cluster: Cluster) -> AsyncIterator[Caller]:
    """A caller with a tenant's key."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Caller(cluster.gateway, session, await cluster.gateway.key("tenant"))


async def _asleep(cluster: Cluster, calls: Caller, made: dict[str, Any]) -> None:
    """Returns when the agent sleeps, and nobody serves its workspace."""
    base = f"/api/v1/instances/{made['instance_id']}"
    workspace = cluster.named(made["coordinator_id"]).data / "agents" / made["agent_id"] / "workspace"

    async def sleeps() -> bool:
        return (await calls("GET", base)).body["status"] == "asleep" and not workspace.is_mount()

    await wait_until(sleeps, 30, "the agent to sleep")


async def test_what_is_written_to_sleeping_agents_is_not_lost_with_their_host(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    made = {}
    for durability in ("default", "sync"):
        limits = {"limits": {"durability": durability}}
        instance_id = await at(calls, deployment, "coord-0", idle_timeout="100ms", **limits)
        made[durability] = await where(calls, instance_id)
    for each in made.values():
        await _asleep(cluster, calls, each)
    plain, sync = (f"/api/v1/instances/{made[name]['instance_id']}/files/given" for name in ("default", "sync"))
    assert (await calls("PUT", plain, data=b"kept")).status == 201
    mark = cluster.hosts[0].data / "agents" / made["default"]["agent_id"] / OUTSIDE
    await wait_until(mark.exists, 20, "the file to be outside")
    assert (await calls("PUT", sync, data=b"kept at once")).status == 201
    cluster.hosts[0].kill("coordinator")

    async def reads(path: str, text: str) -> bool:
        answer = await calls("GET", path)
        assert answer.status != 404, f"{path} is lost"
        return answer.status == 200 and answer.text == text

    await asyncio.gather(
        wait_until(lambda: reads(plain, "kept"), 40, "the file of the plain agent"),
        wait_until(lambda: reads(sync, "kept at once"), 40, "the file of the agent that is replicated before it tells"),
    )
    cluster.hosts[0].start("coordinator")  # it takes away what it left mounted
    await cluster.alive(calls, 2)
