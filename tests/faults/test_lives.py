"""Daemons killed while instances are made, stopped, put to sleep and woken: what was answered is true, nothing is left over."""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium.coordinator.adapters.processes import HostSettings
from podium.coordinator.adapters.processes.orphans import marked
from tests.agents import Runtime
from tests.bun import needs_bun
from tests.faults.test_crashes import _deploy, _kill, _platform
from tests.system.daemons import Daemons
from tests.waiting import wait_until

SIDES: dict[str, Any] = {
    "python": ("python",),
    "python and typescript side by side": pytest.param(("python", "typescript"), marks=needs_bun),
}
LIVES = 6
KILLS = 3
CALL_SECONDS = 90.0


async def _insist(session: aiohttp.ClientSession, method: str, url: str, **more: Any) -> tuple[int, Any]:
    """Repeats a call that is safe to repeat until it is answered by something other than a loss or a 503."""
    async with asyncio.timeout(CALL_SECONDS):
        while True:
            try:
                async with session.request(method, url, **more) as answer:
                    body = await answer.json() if answer.content_type.endswith("json") else None
                    if answer.status != 503:
                        return answer.status, body
            except (aiohttp.ClientError, ConnectionError):
                pass
            await asyncio.sleep(0.05)


async def _live(session: aiohttp.ClientSession, daemons: Daemons, deployment: str, number: int) -> tuple[str, bool]:
    """Makes an instance that soon sleeps, wakes it by a message, and stops every other one. Returns its id and whether."""
    base = daemons.url + "/api/v1/instances"
    body = {"deployment_id": deployment, "agent_id": f"life-{number}", "idle_timeout": "150ms"}
    key = {"Idempotency-Key": f"create-{number}"}
    status, made = await _insist(session, "POST", base, json=body, headers=key)
    assert status in (200, 201), made
    path = f"{base}/{made['instance_id']}"
    await asyncio.sleep(0.3)  # long enough to fall asleep, if nothing is killed meanwhile
    key = {"Idempotency-Key": f"message-{number}"}
    status, answer = await _insist(session, "POST", f"{path}/messages", json={"text": f"hi {number}"}, headers=key)
    assert status == 202, answer
    if number % 2:
        status, _ = await _insist(session, "DELETE", path)
        assert status in (204, 404)
    return str(made["instance_id"]), bool(number % 2)


async def _chaos(daemons: Daemons, lots: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(lots.uniform(0.1, 0.6))  # the random moment
        await _kill(daemons, lots.choice(("coordinator", "gateway", "all")), lots)


@pytest.mark.timeout(200)
@pytest.mark.proves("STREAM-ACKED-PROCESSED", "CREATE-IDEMPOTENCY-KEY", "ISOLATION-NO-ORPHAN")
@pytest.mark.parametrize("runtimes", SIDES.values(), ids=SIDES)
async def test_what_was_answered_about_an_instance_stays_true_over_any_kill(
    tmp_path: Path, runtimes: tuple[Runtime, ...]
) -> None:
    seed = int(os.environ.get("PODIUM_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed}")
    lots = random.Random(seed)
    async with _platform(tmp_path / "platform") as daemons:
        key = await daemons.key()
        deployments = [await _deploy(daemons, key, tmp_path / f"ledger-{runtime}", runtime) for runtime in runtimes]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            dealt = [(number, deployments[number // 2 % len(deployments)]) for number in range(LIVES)]
            async with asyncio.TaskGroup() as work:
                work.create_task(_chaos(daemons, lots))
                lives = [work.create_task(_live(session, daemons, each, n)) for n, each in dealt]
            for instance_id, stopped in (life.result() for life in lives):
                url = f"{daemons.url}/api/v1/instances/{instance_id}"
                status, info = await _insist(session, "GET", url)
                assert status == (404 if stopped else 200), (seed, info)
            listed = (await _insist(session, "GET", f"{daemons.url}/api/v1/agents?limit=100"))[1]["items"]
            assert sorted(agent["agent_id"] for agent in listed) == [f"life-{n}" for n in range(LIVES)], seed
            for number in range(0, LIVES, 2):
                url = f"{daemons.url}/api/v1/instances/{lives[number].result()[0]}/messages"
                said = (await _insist(session, "GET", url))[1]["items"]
                assert [m["text"] for m in said if m["role"] == "user"] == [f"hi {number}"], seed
            awake = f"{daemons.url}/api/v1/instances/{lives[0].result()[0]}/messages?wait=true"
            assert (await _insist(session, "POST", awake, json={"text": "wake"}))[0] == 200
            mark = HostSettings(data=daemons.data.resolve()).mark
            assert marked(mark), "an agent that has just answered has a process"
    await wait_until(lambda: not marked(mark), 10, "no process of an agent is left")
