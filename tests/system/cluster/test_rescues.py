"""Agents that have work go on when their host is lost, without anybody asking; the others wait until somebody does."""

import asyncio
import time
from pathlib import Path

import pytest

from podium.coordinator.supervisor.work import LINGER_SECONDS
from tests.system.api import Caller
from tests.system.cluster.agents import at, moved, replicated, say, state, where, worker
from tests.system.cluster.cluster import Cluster
from tests.waiting import wait_until

pytestmark = pytest.mark.leaves("processes", "descriptors")
"""Coordinators that a test starts again are the cluster's, which outlives it."""

RESCUED_SECONDS = 15.0
"""From the last heartbeat of a coordinator until its agents with work go on …"""

BUSY_SECONDS = 10.0
"""… and what a machine that does much else may take longer."""


@pytest.mark.proves("RESCUE-WORK")
async def test_turns_that_ran_go_on_elsewhere_by_themselves_and_what_was_idle_stays(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    idle = await calls.create(deployment)
    home = idle["coordinator_id"]
    busy = [await at(calls, deployment, home) for _ in range(4)]
    await say(calls, idle["instance_id"], "hello")
    await asyncio.sleep(LINGER_SECONDS)
    for instance_id in busy:
        await say(calls, instance_id, "one")
        sent = await calls("POST", f"/api/v1/instances/{instance_id}/messages", json={"text": "slow 6"})
        assert sent.status == 202, sent.text
    await replicated()
    cluster.named(home).kill("coordinator")
    lost_at = time.monotonic()
    homes = [await moved(calls, instance_id, home) for instance_id in busy]
    took = time.monotonic() - lost_at
    print(f"{len(busy)} agents back after {took:.1f} s")
    assert home not in homes

    for instance_id in busy:

        async def is_done(instance_id: str = instance_id) -> bool:
            return bool((await state(calls, instance_id))["words"] == ["one", "slow 6"])

        await wait_until(is_done, 30, "the turn to be done")
    assert (await where(calls, idle["instance_id"]))["coordinator_id"] == home, "nobody needed it"
    assert (await state(calls, idle["instance_id"]))["words"] == ["hello"], "somebody asked"
    cluster.named(home).start("coordinator")
    await cluster.alive(calls, 2)
    assert took < RESCUED_SECONDS + BUSY_SECONDS


@pytest.mark.proves("RESCUE-ACKNOWLEDGED")
async def test_a_message_that_was_acknowledged_a_moment_before_the_host_died_is_processed(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    made = await calls.create(deployment, idle_timeout="1s", limits={"durability": "sync"})
    instance_id, home = made["instance_id"], made["coordinator_id"]
    await say(calls, instance_id, "one")

    async def is_asleep() -> bool:
        return bool((await where(calls, instance_id))["status"] == "asleep")

    await wait_until(is_asleep, 20, "the agent to sleep")
    sent = await calls("POST", f"/api/v1/instances/{instance_id}/messages", json={"text": "two"})
    cluster.named(home).kill("coordinator")
    assert sent.status == 202, sent.text
    lost_at = time.monotonic()
    await moved(calls, instance_id, home)
    print(f"back after {time.monotonic() - lost_at:.1f} s")

    async def is_done() -> bool:
        return bool((await state(calls, instance_id))["words"] == ["one", "two"])

    await wait_until(is_done, 30, "the message to be processed")
    cluster.named(home).start("coordinator")
    await cluster.alive(calls, 2)
