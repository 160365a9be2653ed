"""A host that is drained gives its agents away; all hosts can be started again one after the other, and nobody notices."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.system.api import Caller
from tests.system.cluster.agents import at, moved, say, state, where, worker
from tests.system.cluster.cluster import Cluster
from tests.system.cluster.followers import check, following
from tests.waiting import wait_until

pytestmark = pytest.mark.leaves("processes", "descriptors")
"""Coordinators that a test starts again are the cluster's, which outlives it."""


@pytest.mark.proves("DRAIN-GIVES-ALL")
async def test_a_drained_host_gives_all_its_agents_away_with_everything(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    asleep = await calls.create(deployment, idle_timeout="1s")
    home = asleep["coordinator_id"]
    ending, long = [await at(calls, deployment, home) for _ in range(2)]
    for instance_id in (asleep["instance_id"], ending, long):
        await say(calls, instance_id, "one")

    async def is_asleep() -> bool:
        return bool((await where(calls, asleep["instance_id"]))["status"] == "asleep")

    await wait_until(is_asleep, 20, "the agent to sleep")
    result = asyncio.create_task(say(calls, ending, "slow 2"))
    sent = await calls("POST", f"/api/v1/instances/{long}/messages", json={"text": "slow 12"})
    assert sent.status == 202, sent.text
    # The files of the last second, too: nothing is waited for.
    assert (await calls.admin("POST", f"/api/v1/coordinators/{home}/drain")).status == 202

    async def is_nobodys() -> bool:
        return bool((await where(calls, asleep["instance_id"]))["coordinator_id"] == "")

    await wait_until(is_nobodys, 30, "the sleeping agent to be given away")
    refused = await calls("POST", "/api/v1/instances", json={"deployment_id": deployment})
    assert refused.status == 201, "another host has room"
    assert refused.body["coordinator_id"] != home
    assert (await result)["text"] == "".join(f"{n} " for n in range(20)) + "2: slow 2", "its turn had its time"
    await moved(calls, long, home)
    everything = {asleep["instance_id"]: ["one"], ending: ["one", "slow 2"], long: ["one", "slow 12"]}
    for instance_id, words in everything.items():

        async def has_all(instance_id: str = instance_id, words: list[str] = words) -> bool:
            return bool((await state(calls, instance_id))["words"] == words)

        await wait_until(has_all, 40, f"{words}")
        await say(calls, instance_id, "last")
        assert (await where(calls, instance_id))["coordinator_id"] not in (home, "")
        listed = (await calls("GET", f"/api/v1/instances/{instance_id}/files")).body["entries"]
        assert [each["name"] for each in listed] == [f"file-{n + 1}" for n in range(len(words) + 1)]
        assert (await calls("GET", f"/api/v1/instances/{instance_id}/files/file-1")).text == "one"
    assert cluster.named(home).stop("coordinator") == 0
    cluster.named(home).start("coordinator")
    await cluster.alive(calls, 2)


@pytest.mark.proves("ROLLING-RESTART")
async def test_all_coordinators_are_started_again_under_load_and_no_request_fails_and_no_event_is_lost(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await worker(calls, tmp_path)
    made = [(await calls.create(deployment))["instance_id"] for _ in range(4)]
    said: dict[str, list[str]] = {instance_id: [] for instance_id in made}
    failed: list[Any] = []
    over = asyncio.Event()

    async def talk(instance_id: str) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            text = "slow 1" if number % 2 else f"word {number}"
            path = f"/api/v1/instances/{instance_id}/messages?wait=true"
            answer = await calls("POST", path, json={"text": text})
            said[instance_id].append(text)
            if answer.status != 200:
                failed.append((answer.status, answer.text))

    async def look(instance_id: str) -> None:
        while not over.is_set():
            for what in ("", "/state", "/events?limit=5", "/files"):
                answer = await calls("GET", f"/api/v1/instances/{instance_id}{what}")
                if answer.status != 200:
                    failed.append((what, answer.status, answer.text))
            await asyncio.sleep(0.2)

    async with following(calls, made[0], 2) as first, following(calls, made[1], 2) as second:
        tasks = [asyncio.create_task(work(instance_id)) for instance_id in made for work in (talk, look)]
        for host in cluster.hosts:
            assert await asyncio.to_thread(host.stop, "coordinator") == 0, host.said("coordinator")[-3000:]
            host.start("coordinator")
            await cluster.alive(calls, 2)
        over.set()
        await asyncio.gather(*tasks)
        for instance_id in made:
            assert (await state(calls, instance_id))["words"] == said[instance_id], "each once, in order"
        await asyncio.sleep(1)
        check([*first])
        check([*second])
        for follower in (*first, *second):
            assert follower.connections == 1, "the gateway attached it again by itself"
    assert failed == []
    print({instance_id: len(words) for instance_id, words in said.items()})
