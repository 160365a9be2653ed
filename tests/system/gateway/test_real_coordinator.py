"""A client that stays connected while the real coordinator is killed and comes back."""

import asyncio

import pytest

from tests.system.api import Caller


@pytest.mark.proves("GATEWAY-REATTACHES")
async def test_a_client_does_not_notice_that_the_coordinator_was_killed(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance, after=0) as stream:
        for number in range(1, 4):
            assert (await stream.turn(f"hello {number}")).endswith(f"hello {number}")
            await asyncio.to_thread(caller.daemons.kill, "coordinator")
            await stream.say("while away", id=f"away-{number}")
            caller.daemons.start("coordinator")
            end = await stream.until("stream_end")
            assert end["content"]["text"].endswith("while away")
            await stream.until("checkpoint")
        numbers = [event["seq"] for event in stream.seen]
        assert numbers == list(range(1, len(numbers) + 1))
    metrics = (await caller("GET", "/metrics")).text
    assert "podium_reattached_total 3" in metrics
