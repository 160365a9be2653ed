"""Agents that take more than their manifest allows are stopped at it, and go on; their neighbours never notice."""

import os
from pathlib import Path
from typing import Any

import pytest

from podium.coordinator.adapters.processes.hierarchies import survey
from tests.agents import Runtime, Source, in_every_language, source
from tests.system.api import Caller

LIMITS = '[limits]\nmemory = "192MiB"\nprocesses = 40\nturn_timeout = "1s"\n'


@pytest.fixture
async def greedy(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> dict[str, Any]:
    """An instance that takes what it can."""
    return await caller.create(
        await caller.deploy(tmp_path / "greedy", f"greedy-{agent_type}", source("greedy", runtime), extra=LIMITS)
    )


@pytest.mark.proves("ISOLATION-LIMITS")
@in_every_language
async def test_memory_beyond_the_limit_is_refused_and_the_agent_goes_on(
    caller: Caller, greedy: dict[str, Any], echo: str
) -> None:
    neighbour = await caller.create(echo)
    async with caller.connect(greedy["instance_id"]) as stream, caller.connect(neighbour["instance_id"]) as other:
        await stream.say("memory")
        await stream.until("error")
        await stream.until("checkpoint")
        assert await other.turn("hello") == "1: hello"
        assert await stream.turn("anything") == "fine"
    assert (await caller("GET", f"/api/v1/instances/{neighbour['instance_id']}")).body["restarts"] == 0


SHARES = Source(
    "python",
    """
import mmap
from podium.agent import BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        if ctx.turn.attempt == 1:  # memory that no limit of a single process counts
            shared = mmap.mmap(-1, 2**29)
            while shared.write(bytes(2**20)):
                pass
        await reply.stream_token(f"attempt {ctx.turn.attempt}", final=True)
""",
)


@pytest.mark.skipif("memory" in survey().refusals, reason="no control group holds memory here")
@pytest.mark.noisy("agent_restarts")
@pytest.mark.proves("LIMIT-MEMORY-TOLD")
async def test_an_agent_killed_for_memory_is_told_to_be_and_its_turn_is_run_again(
    caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    made = await caller.create(await caller.deploy(tmp_path / "shares", agent_type, SHARES, extra=LIMITS))
    async with caller.connect(made["instance_id"]) as stream:
        assert await stream.turn("go") == "attempt 2"
    path = f"/api/v1/instances/{made['instance_id']}"
    events = (await caller("GET", f"{path}/events?limit=100")).body["items"]
    (end,) = [event["content"] for event in events if event["messageType"] == "terminated"]
    assert (end["reason"], end["signal"]) == ("crashed", "SIGKILL")
    assert end["out_of_memory"]["limit_bytes"] == 192 * 2**20
    log = (await caller("GET", f"{path}/logs?limit=100")).body["items"]
    (record,) = [each for each in log if "out of memory: limit 192 MiB, peak 19" in each["message"]]
    assert record["fields"]["memory_limit_bytes"] == 192 * 2**20


@pytest.mark.skipif(
    os.geteuid() != 0, reason="as an ordinary user all agents share one uid, and its count of processes"
)
@pytest.mark.proves("ISOLATION-LIMITS")
@in_every_language
async def test_processes_beyond_the_limit_are_refused(caller: Caller, greedy: dict[str, Any]) -> None:
    async with caller.connect(greedy["instance_id"]) as stream:
        assert await stream.turn("processes") == "refused"
        assert await stream.turn("anything") == "fine"


@in_every_language
async def test_a_turn_beyond_its_time_fails_and_the_next_one_runs(caller: Caller, greedy: dict[str, Any]) -> None:
    async with caller.connect(greedy["instance_id"]) as stream:
        await stream.say("time")
        error = (await stream.until("error"))["content"]
        assert (error["code"], error["retryable"]) == ("turn_timeout", True)
        await stream.until("checkpoint")
        assert await stream.turn("anything") == "fine"
    assert (await caller("GET", f"/api/v1/instances/{greedy['instance_id']}")).body["restarts"] == 0
