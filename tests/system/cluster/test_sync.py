"""`durability = "sync"`: of what was acknowledged or shown nothing is lost with a host, at whatever moment that happens."""

import asyncio
import random
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.system.api import Caller
from tests.system.cluster.agents import say
from tests.system.cluster.cluster import Cluster
from tests.system.cluster.followers import Follower, check, following
from tests.waiting import wait_until

WORKER = """
import asyncio
from podium.agent import BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        done: list[str] = []

    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        for number in range(20):
            await reply.stream_token(f"{number} ")
            await asyncio.sleep(0.005)
        (ctx.workspace / message["text"]).write_text(message["text"] * 1000)
        ctx.state.done.append(message["text"])
        await reply.stream_token("end", final=True)
"""

SYNC = {"limits": {"durability": "sync"}}


class _Kept:
    """What the client was shown of one instance, when its host died."""

    def __init__(self, follower: Follower) -> None:
        self.events = list(follower.events)
        self.acks = list(follower.acks)

    @property
    def finished(self) -> set[str]:
        """Turns whose end was shown."""
        return {event["turnId"] for event in self.events if event["messageType"] == "checkpoint"}


@pytest.mark.proves("SYNC-LOSES-NOTHING")
@pytest.mark.leaves("processes", "descriptors")  # the host that was lost is started again for the tests that follow
@pytest.mark.parametrize("moment", ["ack", "end", "random-1", "random-2", "random-3"])
async def test_nothing_acknowledged_or_shown_is_lost_with_the_host(
    cluster: Cluster, calls: Caller, tmp_path: Path, moment: str
) -> None:
    deployment = await calls.deploy(tmp_path / "worker", f"worker-{uuid.uuid4().hex[:6]}", WORKER)
    made = await calls.create(deployment, **SYNC)
    base = f"/api/v1/instances/{made['instance_id']}"
    home = cluster.named(made["coordinator_id"])
    async with following(calls, made["instance_id"], 1) as (follower,):
        await follower.say("first", "c-first")
        await wait_until(lambda: follower.of_type("checkpoint"), 30, "the first turn")
        await follower.say("second", "c-second")
        await _reached(follower, moment)
        home.kill("coordinator")
        kept = _Kept(follower)
        try:
            await _nothing_is_missing(calls, base, follower, kept)
        finally:
            home.start("coordinator")


@pytest.mark.proves("ENDED-IS-WHOLE")
@pytest.mark.leaves("processes", "descriptors")
async def test_a_turn_whose_state_or_files_are_not_in_the_replica_runs_again(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await calls.deploy(tmp_path / "worker", f"worker-{uuid.uuid4().hex[:6]}", WORKER)
    made = {name: await _made_at(calls, deployment, "coord-0") for name in ("state", "history")}
    await asyncio.gather(*(say(calls, each["instance_id"], "first") for each in made.values()))
    kept = {name: _replica(cluster, each["agent_id"], name) for name, each in made.items()}
    await asyncio.gather(*(say(calls, each["instance_id"], "second") for each in made.values()))
    home = cluster.named("coord-0")
    home.kill("coordinator")
    try:
        for name, each in made.items():
            lost = _replica(cluster, each["agent_id"], name) - kept[name]
            assert lost, f"the second turn changed the {name}"
            cluster.s3.client().delete(sorted(lost))
        for name, each in made.items():
            base = f"/api/v1/instances/{each['instance_id']}"

            async def goes_on(base: str = base) -> bool:
                return (await calls("POST", f"{base}/messages?wait=true", json={"text": "third"})).status == 200

            await wait_until(goes_on, 60, "the agent to go on")
            journal = await _journal(calls, base)
            turn = {
                event["content"]["text"]: event["turnId"] for event in journal if event["messageType"] == "message.user"
            }
            ended = [event["turnId"] for event in journal if event["messageType"] == "checkpoint"]
            assert ended == [turn[text] for text in ("first", "second", "third")]
            tries = [
                e["content"]["attempt"]
                for e in journal
                if e["messageType"] == "stream_start" and e["turnId"] == turn["second"]
            ]
            assert tries == [1, 2]
            done = ["first", "second", "third"] if name == "state" else ["first", "second", "second", "third"]
            assert (await calls("GET", f"{base}/state")).body["state"]["done"] == done
            for text in ("first", "second", "third"):
                assert (await calls("GET", f"{base}/files/{text}")).text == text * 1000
    finally:
        home.start("coordinator")
    await cluster.alive(calls, 2)


async def _made_at(calls: Caller, deployment: str, home: str) -> dict[str, Any]:
    while True:
        made = await calls.create(deployment, **SYNC)
        if made["coordinator_id"] == home:
            return made


def _replica(cluster: Cluster, agent_id: str, database: str) -> set[str]:
    """Keys of what Litestream has of a database of the agent."""
    pages = cluster.s3.client().list(prefix=f"replicas/live/{agent_id}/")
    return {info["path"] for page in pages for info in page if f"/{database}/" in info["path"]}


async def _reached(follower: Follower, moment: str) -> None:
    """Returns in the very moment; looks without a pause, for it is to be hit to the millisecond."""
    end = time.monotonic() + (random.uniform(0.0, 0.5) if moment.startswith("random") else 20)
    while time.monotonic() < end:
        if moment == "ack" and len(follower.acks) == 2:
            return
        if moment == "end" and len(follower.of_type("checkpoint")) == 2:
            return
        await asyncio.sleep(0)
    assert moment.startswith("random"), "the moment did not come"


async def _nothing_is_missing(calls: Caller, base: str, follower: Follower, kept: _Kept) -> None:
    async def goes_on() -> bool:
        return (await calls("GET", f"{base}/events?limit=1")).status == 200

    await wait_until(goes_on, 40, "the agent to go on")
    if len(kept.acks) < 2:  # nobody promised to do it: the client asks again, and it is done once
        await wait_until(lambda: follower.of_type("state.status"), 20)
        await follower.say("second", "c-second")
    await wait_until(lambda: len(follower.of_type("checkpoint")) == 2, 60, "the second turn")
    check([follower])
    assert follower.connections == 1
    assert follower.events[: len(kept.events)] == kept.events
    journal = await _journal(calls, base)
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))
    assert not [event for event in journal if event["messageType"] == "event.lost"]
    by_seq = {event["seq"]: event for event in journal}
    for event in kept.events:  # what was shown is what the new host has
        assert by_seq[event["seq"]] == {"content": {}, "turnId": "", **event}
    turns = {event["turnId"] for event in journal if event["messageType"] == "checkpoint"}
    assert {ack["turn_id"] for ack in kept.acks} <= turns
    assert (await calls("GET", f"{base}/state")).body["state"]["done"] == ["first", "second"]
    for name in ("first", "second"):
        assert (await calls("GET", f"{base}/files/{name}")).text == name * 1000
    starts = [event for event in journal if event["messageType"] == "stream_start" and event["turnId"] in kept.finished]
    assert {event["content"]["attempt"] for event in starts} == {1}  # a turn whose end was shown does not run again


async def _journal(calls: Caller, base: str) -> list[dict[str, Any]]:
    return list((await calls("GET", f"{base}/events?after=0&limit=1000")).body["items"])


async def test_rest_answers_when_what_it_tells_is_replicated_and_what_that_costs(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await calls.deploy(tmp_path / "worker", f"worker-{uuid.uuid4().hex[:6]}", WORKER)
    took: dict[str, list[float]] = {}
    for name, more in (("default", {}), ("sync", SYNC)):
        made = await calls.create(deployment, **more)
        base = f"/api/v1/instances/{made['instance_id']}"
        for number in range(15):
            began = time.monotonic()
            answer = await calls("POST", f"{base}/messages", json={"text": f"m-{number}"})
            took.setdefault(name, []).append(time.monotonic() - began)
            assert answer.status == 202
            listed = (await calls("GET", f"{base}/events?after={answer.body['seq'] - 1}&limit=1")).body["items"]
            assert listed[0]["turnId"] == answer.body["turn_id"]
        assert (await calls("POST", f"{base}/messages?wait=true", json={"text": "last"})).status == 200
    plain, synced = (statistics.median(took[name]) * 1000 for name in ("default", "sync"))
    print(f"a message is acknowledged in {plain:.1f} ms, with sync in {synced:.1f} ms (p50)")
    assert synced < 1000


@pytest.mark.proves("SYNC-WAITS")
@pytest.mark.leaves("processes", "descriptors")  # the store of objects is started again for the tests that follow
async def test_while_the_replica_is_away_everything_waits_and_then_goes_on(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await calls.deploy(tmp_path / "worker", f"worker-{uuid.uuid4().hex[:6]}", WORKER)
    made = await calls.create(deployment, **SYNC)
    base, home = f"/api/v1/instances/{made['instance_id']}", cluster.named(made["coordinator_id"])
    async with following(calls, made["instance_id"], 1) as (follower,):
        await follower.say("first", "c-first")
        await wait_until(lambda: follower.of_type("checkpoint"), 30, "the first turn")
        await wait_until(lambda: follower.events[-1]["messageType"] == "state.status", 10)
        shown = follower.seq
        cluster.s3.stop()
        try:
            await follower.say("second", "c-second")
            await wait_until(lambda: "showing_waits_for_replica" in home.said("coordinator"), 30, "the log to tell")
            assert len(follower.acks) == 1
            assert follower.seq == shown
            assert (await calls("GET", base)).body["last_seq"] == shown
            assert not (await calls("GET", f"{base}/events?after={shown}&limit=10")).body["items"]
        finally:
            cluster.s3.start()
        await wait_until(lambda: len(follower.of_type("checkpoint")) == 2, 40, "the second turn to be shown")
        assert len(follower.acks) == 2
        check([follower])
    assert "showing_goes_on" in home.said("coordinator")


@pytest.mark.leaves("processes", "descriptors")  # as above
async def test_a_fork_that_was_told_of_is_there_when_its_host_is_lost(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await calls.deploy(tmp_path / "worker", f"worker-{uuid.uuid4().hex[:6]}", WORKER)
    made = await calls.create(deployment, **SYNC)
    base, home = f"/api/v1/instances/{made['instance_id']}", cluster.named(made["coordinator_id"])
    assert (await calls("POST", f"{base}/messages?wait=true", json={"text": "first"})).status == 200
    forked = await calls("POST", f"/api/v1/agents/{made['agent_id']}/fork", json={})
    home.kill("coordinator")
    try:
        assert forked.status == 201, forked.text
        other = f"/api/v1/instances/{forked.body['instance_id']}"

        async def goes_on() -> bool:
            return (await calls("POST", f"{other}/messages?wait=true", json={"text": "second"})).status == 200

        await wait_until(goes_on, 40, "the fork to go on")
        assert (await calls("GET", f"{other}/state")).body["state"]["done"] == ["first", "second"]
        assert (await calls("GET", f"{other}/files/first")).text == "first" * 1000
        assert not [event for event in await _journal(calls, other) if event["messageType"] == "event.lost"]
    finally:
        home.start("coordinator")
