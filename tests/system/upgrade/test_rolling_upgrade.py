"""A rolling upgrade: hosts of the previous release and of this one side by side, each with agents, which go over without losing anything."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.releases import PREVIOUS, code_of
from tests.system.api import Caller
from tests.system.cluster.agents import at, say, state, where, worker
from tests.system.cluster.cluster import Cluster
from tests.waiting import wait_until

pytestmark = pytest.mark.leaves("processes", "descriptors")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """`coord-0` and the gateway are of the previous release, `coord-1` is of this one."""
    code = code_of(PREVIOUS, tmp_path / "code")
    if code is None:
        pytest.skip(f"git does not have the previous release ({PREVIOUS}): a shallow clone")
    made = Cluster(tmp_path / "cluster", COORDINATOR_DRAIN="5s")
    for old in (made.hosts[0], made.gateway):
        old.environment["PYTHONPATH"] = str(code)
    try:
        await made.start()
        yield made
    finally:
        made.close()


@pytest.mark.proves("UPGRADE-ROLLING")
async def test_agents_go_over_from_the_previous_release_to_this_one(cluster: Cluster, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        calls = Caller(cluster.gateway, session, await cluster.gateway.key("acme"))
        await cluster.alive(calls, 2)
        deployment = await worker(calls, tmp_path)
        old, new = [await at(calls, deployment, f"coord-{number}") for number in (0, 1)]
        for instance in (old, new):
            assert (await say(calls, instance, "one"))["text"] == "1: one"

        cluster.gateway.stop("gateway")  # the gateway goes first
        del cluster.gateway.environment["PYTHONPATH"]
        cluster.gateway.start("gateway")
        await cluster.gateway.ready()
        for instance in (old, new):
            assert (await say(calls, instance, "two"))["text"] == "2: two"

        assert (await calls.admin("POST", "/api/v1/coordinators/coord-0/drain")).status == 202

        async def is_given_away() -> bool:
            return bool((await where(calls, old))["coordinator_id"] != "coord-0")

        await wait_until(is_given_away, 40, "the old host to give its agent away")
        assert (await say(calls, old, "three"))["text"] == "3: three"
        assert (await where(calls, old))["coordinator_id"] == "coord-1"
        assert (await state(calls, old))["words"] == ["one", "two", "three"]
        assert (await calls("GET", f"/api/v1/instances/{old}/files/file-1")).text == "one"

        host = cluster.hosts[0]
        host.stop("coordinator")
        del host.environment["PYTHONPATH"]
        host.start("coordinator")
        await cluster.alive(calls, 2)
        for instance in (old, new):
            await say(calls, instance, "after")
