"""Agents that take more than their manifest allows are stopped at it, and go on; their neighbours never notice."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.agents import Runtime, in_every_language, source
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
