"""What clients were shown of an agent whose host is lost: its numbers are never given again, and none is left out."""

import random
import time
from pathlib import Path

import pytest

from tests.system.api import Caller
from tests.system.cluster.cluster import Cluster
from tests.system.cluster.followers import Follower, check, following
from tests.waiting import wait_until

TALKER = """
import asyncio
from podium.agent import BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        said: int = 0

    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        for number in range(int(message["text"])):
            await reply.stream_token(f"{number} ")
            if number % 50 == 0:
                ctx.state.said += 50
                await asyncio.sleep(0.01)
        await reply.stream_token("end", final=True)
"""

TOKENS = 30_000
ROUNDS = 2


@pytest.mark.proves("SEQ-OVER-LOST-HOST")
async def test_clients_miss_no_number_and_see_none_twice_when_the_host_dies_while_the_agent_talks(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await calls.deploy(tmp_path / "talker", "talker", TALKER)
    made = await calls.create(deployment)
    base = f"/api/v1/instances/{made['instance_id']}"
    async with following(calls, made["instance_id"], 3) as followers:
        for number in range(ROUNDS):
            await _lose_the_host(cluster, calls, base, followers, number)
        check(followers)
        # The gateway attaches them again by itself, but for one that has half of a frame whose content is lost.
        assert max(follower.connections for follower in followers) <= 1 + ROUNDS
        print(f"connections of each client: {[follower.connections for follower in followers]}")
        for follower in followers:
            ended = {event["turnId"] for event in follower.of_type("checkpoint")}
            assert {ack["turn_id"] for ack in follower.acks} <= ended
            texts = [event["content"]["text"] for event in follower.of_type("stream_end")]
            assert texts == ["".join(f"{token} " for token in range(TOKENS)) + "end"] * ROUNDS
            assert follower.of_type("event.lost")
    listed = (await calls("GET", f"{base}/events?after={followers[0].seq - 500}&limit=1000")).body["items"]
    assert listed[:500] == [{"content": {}, "turnId": "", **event} for event in followers[0].events[-500:]]


async def _lose_the_host(cluster: Cluster, calls: Caller, base: str, followers: list[Follower], number: int) -> None:
    talking = followers[0]
    home = cluster.named((await calls("GET", base)).body["coordinator_id"])
    await talking.say(str(TOKENS), f"m-{number}")
    await wait_until(lambda: len(talking.acks) == number + 1, 20, "the message to be acknowledged")
    began = time.monotonic()
    moment = 2.5 + random.random()
    await wait_until(lambda: time.monotonic() - began > moment, 10, "a moment in the middle of the turn")
    assert len(talking.of_type("checkpoint")) == number, "the turn was over too soon to be cut off"
    home.kill("coordinator")
    killed, before = time.monotonic(), len(talking.events)
    await wait_until(
        lambda: all(len(follower.of_type("checkpoint")) == number + 1 for follower in followers), 90, "the whole turn"
    )
    new = next(
        index
        for index, event in enumerate(talking.events)
        if event["messageType"] == "stream_start" and event["content"]["attempt"] > 1 and index > before
    )
    lost = sum(event["messageType"] == "event.lost" for event in talking.events[before:new])
    print(f"{talking.times[new] - killed:.1f} s to the turn's new attempt; {lost} numbers are lost to this client")
    home.start("coordinator")
    await wait_until(lambda: _is_back(calls, home.environment["COORDINATOR_ID"]), 30, "the host to be back")


async def _is_back(calls: Caller, coordinator_id: str) -> bool:
    listed = (await calls.admin("GET", "/api/v1/coordinators")).body["items"]
    return coordinator_id in {each["coordinator_id"] for each in listed if each["state"] == "active"}
