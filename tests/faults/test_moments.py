"""The coordinator is killed while agents are taken back and forked: each is done wholly, or not at all.

The seed of every run is printed and can be given with `PODIUM_FAULT_SEED`; `PODIUM_FAULT_RUNS` asks for more rounds.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium.coordinator.adapters.store import validate_directory
from tests.agents import Runtime, in_every_language, source
from tests.system.api import Answer, Caller
from tests.system.daemons import Daemons
from tests.system.moments.writers import fork, rewind, said

SEED = int(os.environ.get("PODIUM_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
ROUNDS = 2 * int(os.environ.get("PODIUM_FAULT_RUNS", "2"))
FILES = 150
"""Files a turn writes: enough that taking them back takes longer than a kill needs to hit it."""


@contextlib.asynccontextmanager
async def platform(directory: Path) -> AsyncIterator[Caller]:
    daemons = Daemons(directory)
    try:
        await daemons.start_all()
        async with aiohttp.ClientSession() as session:
            yield Caller(daemons, session, await daemons.key())
    finally:
        await asyncio.to_thread(daemons.close)


async def killed_during(caller: Caller, work: Any, lots: random.Random, most: float) -> None:
    """Kills the coordinator at a random moment of a call, and starts it again."""
    calling = asyncio.ensure_future(work)
    await asyncio.sleep(lots.uniform(0.0, most))  # the random moment
    caller.daemons.kill("coordinator")
    caller.daemons.start("coordinator")
    await caller.daemons.ready()
    with contextlib.suppress(aiohttp.ClientError):
        await calling


async def told(caller: Caller, method: str, path: str, **more: Any) -> Answer:
    """An answer, however often the host is away meanwhile."""
    async with asyncio.timeout(60):
        while True:
            answer = await caller(method, path, **more)
            if answer.status not in (503, 504):
                return answer
            await asyncio.sleep(0.05)


async def spoken(caller: Caller, instance_id: str, text: str) -> str:
    """What the agent answers."""
    answer = await told(caller, "POST", f"/api/v1/instances/{instance_id}/messages?wait=true", json={"text": text})
    assert answer.status == 200, (answer.text, caller.daemons.said("coordinator")[-6000:])
    return str(answer.body["text"])


async def seen(caller: Caller, instance_id: str) -> tuple[str, str, str]:
    """What an agent is: its state, its files and its conversation, each by one word of it."""
    state = (await told(caller, "GET", f"/api/v1/instances/{instance_id}/state")).body["state"]["count"]
    messages = (await told(caller, "GET", f"/api/v1/instances/{instance_id}/messages?limit=1000")).body["items"]
    files = (await spoken(caller, instance_id, "read")).partition(": ")[2].split()
    kinds = sorted({file.partition("=")[2] for file in files})
    assert len(files) == FILES, files[:5]
    return str(state), "+".join(kinds), messages[-1]["text"].partition(": ")[2][:6]


@pytest.mark.proves("CHR-AGENT-REWIND")
@in_every_language
async def test_a_rewind_cut_off_by_a_kill_is_done_wholly_or_not_at_all(tmp_path: Path, runtime: Runtime) -> None:
    print(f"seed {SEED}")
    lots = random.Random(SEED)
    async with platform(tmp_path / "platform") as caller:
        made = await caller.create(await caller.deploy(tmp_path / "writer", "writer", source("scribe", runtime)))
        instance_id, agent_id = made["instance_id"], made["agent_id"]
        _, first = await said(caller, instance_id, f"sh for i in $(seq {FILES}); do printf old > f$i; done")
        outcomes = set()
        for _ in range(ROUNDS):
            await spoken(caller, instance_id, f"sh for i in $(seq {FILES}); do printf new > f$i; done")
            await killed_during(caller, rewind(caller, agent_id, first, "?cancel=true"), lots, 0.6)
            state, files, last = await seen(caller, instance_id)
            outcomes.add(files)
            assert files in ("old", "new")
            assert (state == "1") == (files == "old"), (state, files, last)
            assert last == "exit 0"
            path = f"/api/v1/agents/{agent_id}/rewind?cancel=true"
            answer = await told(caller, "POST", path, json={"at": first})
            assert answer.status == 200, answer.text
        print(f"after the kills the files were {sorted(outcomes)}")
        assert caller.daemons.stop("coordinator") == 0
        assert validate_directory(caller.daemons.data / "agents" / agent_id) == []


@pytest.mark.proves("CHR-AGENT-FORK")
@in_every_language
async def test_a_fork_cut_off_by_a_kill_is_there_wholly_or_not_at_all(tmp_path: Path, runtime: Runtime) -> None:
    print(f"seed {SEED}")
    lots = random.Random(SEED)
    async with platform(tmp_path / "platform") as caller:
        made = await caller.create(await caller.deploy(tmp_path / "writer", "writer", source("scribe", runtime)))
        instance_id, agent_id = made["instance_id"], made["agent_id"]
        await said(caller, instance_id, f"sh for i in $(seq {FILES}); do printf old > f$i; done")
        for number in range(ROUNDS):
            await spoken(caller, instance_id, "another turn")
            name = f"fork-{number}"
            await killed_during(caller, fork(caller, agent_id, agent_id=name), lots, 0.12)
            answer = await told(caller, "POST", f"/api/v1/agents/{agent_id}/fork", json={"agent_id": name})
            if answer.status == 409:
                there = await told(caller, "GET", f"/api/v1/agents/{name}")
                assert there.status == 200, (answer.text, there.text)
                child = there.body["instance_id"]
            else:
                assert answer.status == 201, answer.text
                child = answer.body["instance_id"]
            files = (await spoken(caller, child, "read")).partition(": ")[2].split()
            assert len(files) == FILES
            assert (await spoken(caller, instance_id, "and on")).endswith("and on")
        assert caller.daemons.stop("coordinator") == 0
        for directory in (caller.daemons.data / "agents").iterdir():
            assert validate_directory(directory) == [], directory.name
