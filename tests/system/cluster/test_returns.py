"""Data on several hosts: the newest count, whoever comes back; what a crash left is cleaned up; nothing outlives a coordinator."""

import os
from pathlib import Path

import pytest

from tests.system.api import Caller
from tests.system.cluster.agents import at, moved, replicated, say, state, where, worker
from tests.system.cluster.cluster import Cluster
from tests.system.daemons import Daemons
from tests.waiting import wait_until

pytestmark = pytest.mark.leaves("processes", "descriptors")
"""Coordinators that a test starts again are the cluster's, which outlives it."""


@pytest.mark.proves("NEWEST-DATA")
async def test_a_host_that_comes_back_runs_what_others_did_meanwhile_and_never_its_own_old_data(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    instance_id = await at(calls, deployment, "coord-0", idle_timeout="2s")
    await say(calls, instance_id, "one")
    await replicated()
    cluster.hosts[0].kill("coordinator")
    await wait_until(lambda: _says(calls, instance_id, "two"), 40, "the other host to go on")

    async def is_asleep() -> bool:
        return bool((await where(calls, instance_id))["status"] == "asleep")

    await wait_until(is_asleep, 20, "the agent to sleep there")
    agent_id = (await where(calls, instance_id))["agent_id"]
    mark = cluster.hosts[1].data / "agents" / agent_id / "outside"
    await wait_until(mark.exists, 20, "all of it to be outside")
    cluster.hosts[1].kill("coordinator")
    left_over = [cluster.hosts[0].data / "agents" / f".adopting-{agent_id}"]
    left_over[0].mkdir()
    cluster.hosts[0].start("coordinator")
    await wait_until(lambda: _says(calls, instance_id, "three"), 60, "the first host to go on")
    assert (await where(calls, instance_id))["coordinator_id"] == "coord-0"
    assert (await state(calls, instance_id))["words"] == ["one", "two", "three"]
    listed = (await calls("GET", f"/api/v1/instances/{instance_id}/files")).body["entries"]
    assert [each["name"] for each in listed] == ["file-1", "file-2", "file-3"]
    assert not left_over[0].exists()
    assert not (cluster.hosts[0].data / "agents" / agent_id / "past").exists()
    cluster.hosts[1].start("coordinator")
    await cluster.alive(calls, 2)
    assert (await where(calls, instance_id))["coordinator_id"] == "coord-0"


@pytest.mark.proves("DATA-OUTLIVE-HOST")
async def test_a_stopped_agent_of_a_lost_host_can_be_read_and_goes_on_elsewhere(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    kept: dict[str, str] = {}
    for name in ("read", "continued"):
        instance_id = await at(calls, deployment, "coord-1")
        kept[name] = (await where(calls, instance_id))["agent_id"]
        await say(calls, instance_id, name)
        assert (await calls("DELETE", f"/api/v1/instances/{instance_id}")).status == 204
        mark = cluster.hosts[1].data / "agents" / kept[name] / "outside"
        await wait_until(mark.exists, 20, "all of it to be outside")
    cluster.hosts[1].kill("coordinator")

    async def reads() -> bool:
        answer = await calls("GET", f"/api/v1/agents/{kept['read']}/files/file-1")
        return answer.status == 200 and answer.text == "read"

    await wait_until(reads, 40, "the files to be readable")
    made = await calls("POST", "/api/v1/instances", json={"deployment_id": deployment, "agent_id": kept["continued"]})
    assert made.status == 201, made.text
    assert made.body["coordinator_id"] == "coord-0"
    await say(calls, made.body["instance_id"], "again")
    assert (await state(calls, made.body["instance_id"]))["words"] == ["continued", "again"]
    cluster.hosts[1].start("coordinator")
    await cluster.alive(calls, 2)


@pytest.mark.proves("REPLICATION-ENDS")
async def test_no_process_of_a_killed_coordinator_is_left(cluster: Cluster, calls: Caller, tmp_path: Path) -> None:
    deployment = await worker(calls, tmp_path)
    instance_id = await at(calls, deployment, "coord-0")
    await say(calls, instance_id, "one")
    await replicated()
    assert _litestreams(cluster.hosts[0]), "it replicates"
    metrics = await _metrics(calls, cluster.hosts[0])
    assert metrics["podium_replicas_unavailable"] == 0
    assert 0 <= metrics["podium_replication_lag_seconds"] < 5
    cluster.hosts[0].kill("coordinator")
    await wait_until(lambda: not _litestreams(cluster.hosts[0]), 15, "the replicating processes to end")
    cluster.hosts[0].start("coordinator")
    await cluster.alive(calls, 2)
    assert (await calls("DELETE", f"/api/v1/instances/{instance_id}")).status == 204


@pytest.mark.proves("ERASED-STAYS-ERASED")
async def test_an_erased_agent_has_no_replica_and_does_not_come_back(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    instance_id = await at(calls, deployment, "coord-0")
    await say(calls, instance_id, "one")
    sent = await calls("POST", f"/api/v1/instances/{instance_id}/messages", json={"text": "slow 12"})
    assert sent.status == 202
    await replicated()
    agent_id = (await where(calls, instance_id))["agent_id"]
    cluster.hosts[0].kill("coordinator")
    assert await moved(calls, instance_id, "coord-0") == "coord-1"
    assert (await calls("DELETE", f"/api/v1/instances/{instance_id}")).status == 204
    assert (await calls("DELETE", f"/api/v1/agents/{agent_id}")).status == 204
    cluster.hosts[0].start("coordinator")
    await cluster.alive(calls, 2)
    assert (await calls("GET", f"/api/v1/agents/{agent_id}")).status == 404
    assert (await calls("GET", f"/api/v1/instances/{instance_id}")).status == 404
    again = await calls("POST", "/api/v1/instances", json={"deployment_id": deployment, "agent_id": agent_id})
    assert again.status == 201, again.text
    assert (await state(calls, again.body["instance_id"]))["words"] == [], "nothing of the erased one"


async def _says(calls: Caller, instance_id: str, text: str) -> bool:
    path = f"/api/v1/instances/{instance_id}/messages?wait=true"
    return (await calls("POST", path, json={"text": text})).status == 200


def _litestreams(host: Daemons) -> list[str]:
    """Processes whose settings lie in the host's directory."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace") if entry.isdecimal() else ""
        except OSError:
            continue
        if "litestream" in command and str(host.data) in command:
            found.append(entry)
    return found


async def _metrics(calls: Caller, host: Daemons) -> dict[str, float]:
    headers = {"authorization": "Bearer cluster-key-of-a-test-0123456789"}
    async with calls.session.get(f"http://127.0.0.1:{host.coordinator_port}/metrics", headers=headers) as answer:
        lines = [line for line in (await answer.text()).splitlines() if not line.startswith("#") and "{" not in line]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
