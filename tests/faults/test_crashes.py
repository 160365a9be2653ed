"""Killing agent, coordinator, gateway, or all of them, at random moments under load, loses nothing that was acknowledged.

The seed of every run is printed and can be given with `PODIUM_FAULT_SEED`; `PODIUM_FAULT_RUNS` asks for more runs.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

from podium.coordinator.adapters.store import validate_directory
from podium.wire.envelope import EventRow, FrameWriter
from tests.agents import Runtime, in_every_language, source
from tests.faults.checker import check_everything, check_ledger
from tests.faults.client import Witness
from tests.system.api import bundle_of
from tests.system.daemons import Daemons

Victim = Literal["agent", "coordinator", "gateway", "all"]
RUNS = int(os.environ.get("PODIUM_FAULT_RUNS", "2"))
AGENTS = 2
CLIENTS_EACH = 2
MESSAGES_EACH = 12
KILLS = 3
SETTLE_SECONDS = 60.0

MANIFEST = """
[process]
restart = { attempts = 50, window = "60s", backoff = "20ms" }
"""


@contextlib.asynccontextmanager
async def _platform(directory: Path) -> AsyncIterator[Daemons]:
    daemons = Daemons(directory)
    try:
        await daemons.start_all()
        yield daemons
    finally:
        await asyncio.to_thread(daemons.close)


async def _deploy(daemons: Daemons, key: str, folder: Path, runtime: Runtime) -> str:
    name = f"ledger-{runtime}"
    bundle = bundle_of(folder, name, source("ledger", runtime), extra=MANIFEST)
    form = aiohttp.FormData({"agent_type": name, "version": "1.0.0"})
    form.add_field("file", bundle, filename="b.tar.gz", content_type="application/gzip")
    made = await _call(daemons, key, "POST", "/api/v1/deployments", data=form)
    return str(made["deployment_id"])


async def _call(daemons: Daemons, key: str, method: str, path: str, **more: Any) -> Any:
    """One REST call; while the host is coming back (503) it is made again, as the answer says it may."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session, asyncio.timeout(90):
        while True:
            async with session.request(method, daemons.url + path, **more) as answer:
                body = await answer.json()
                if answer.status == 503:
                    await asyncio.sleep(0.1)
                    continue
                assert answer.status < 300, body
                return body


def _agent_pids(coordinator: int) -> list[int]:
    """Processes below the coordinator whose environment names an instance."""
    found, todo = [], [coordinator]
    while todo:
        with contextlib.suppress(OSError):
            pid = todo.pop()
            todo += [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            if pid != coordinator and not Path(f"/proc/{pid}/task/{pid}/children").read_text().strip():
                found.append(pid)
    return found


async def _kill(daemons: Daemons, victim: Victim, lots: random.Random) -> None:
    if victim == "agent":
        pids = _agent_pids(daemons.pid("coordinator"))
        for pid in lots.sample(pids, min(len(pids), lots.randint(1, 2))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return
    names = ["gateway", "coordinator"] if victim == "all" else [victim]
    for name in names:
        daemons.kill(name)  # type: ignore[arg-type]
    await asyncio.sleep(lots.uniform(0.0, 0.3))  # how long it stays dead is part of the experiment
    for name in lots.sample(names, len(names)):
        daemons.start(name)  # type: ignore[arg-type]
    await daemons.ready()


async def _talk(witness: Witness, seed: int) -> None:
    lots = random.Random(seed)
    for number in range(MESSAGES_EACH):
        await witness.send(f"{witness.name} says {number}")
        await asyncio.sleep(lots.uniform(0.0, 0.05))  # the load is irregular on purpose


async def _chaos(daemons: Daemons, victim: Victim, lots: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(lots.uniform(0.05, 0.5))  # the random moment
        await _kill(daemons, victim, lots)


def _journal(data: Path, agent_id: str) -> dict[int, str]:
    path = data / "agents" / agent_id / "messages" / "messages.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT seq, type, content, instance_id, turn_id, ts FROM event ORDER BY seq"
        ).fetchall()
    writer = FrameWriter(agent_id)
    return {
        row[0]: writer.write(EventRow(row[0], row[1], bytes(row[2] or b""), row[3], row[4] or "", row[5])).decode()
        for row in rows
    }


async def _settled(daemons: Daemons, key: str, instance_id: str) -> int:
    """Waits until nothing runs or waits; returns the last seq."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            info = await _call(daemons, key, "GET", f"/api/v1/instances/{instance_id}")
            if info["turn"] is None and info["queue_depth"] == 0 and info["status"] in ("ready", "asleep"):
                return int(info["last_seq"])
            await asyncio.sleep(0.05)


@pytest.mark.timeout(240)
@pytest.mark.proves("STREAM-ACKED-PROCESSED", "STREAM-NO-GAP", "STREAM-STATE-EQUALS-JOURNAL")
@in_every_language
@pytest.mark.parametrize("victim", ["agent", "coordinator", "gateway", "all"])
@pytest.mark.parametrize("run", range(RUNS))
async def test_killing_loses_nothing_that_was_acknowledged(
    tmp_path: Path, runtime: Runtime, victim: Victim, run: int
) -> None:
    seed = int(os.environ.get("PODIUM_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed} for {victim}, {runtime}, run {run}")
    lots = random.Random(seed)
    async with _platform(tmp_path / "platform") as daemons:
        key = await daemons.key()
        deployment = await _deploy(daemons, key, tmp_path / "ledger", runtime)
        agents: dict[str, list[Witness]] = {}
        instances: dict[str, str] = {}
        for number in range(AGENTS):
            body = {"deployment_id": deployment, "agent_id": f"ledger-{number}"}
            made = await _call(daemons, key, "POST", "/api/v1/instances", json=body)
            instances[made["agent_id"]] = made["instance_id"]
            agents[made["agent_id"]] = [
                Witness(daemons.url, key, made["instance_id"], f"client{number}{letter}")
                for letter in "ab"[:CLIENTS_EACH]
            ]
        witnesses = [witness for group in agents.values() for witness in group]
        async with asyncio.TaskGroup() as readers:
            running = [readers.create_task(witness.run()) for witness in witnesses]
            async with asyncio.TaskGroup() as work:
                work.create_task(_chaos(daemons, victim, lots))
                for witness in witnesses:
                    work.create_task(_talk(witness, lots.randrange(2**31)))
            for agent_id, group in agents.items():
                last = await _settled(daemons, key, instances[agent_id])
                for witness in group:
                    await witness.seen(last, SETTLE_SECONDS)
            states = {
                agent_id: (await _call(daemons, key, "GET", f"/api/v1/instances/{instance_id}/state"))["state"]
                for agent_id, instance_id in instances.items()
            }
            for task in running:
                task.cancel()
        assert await asyncio.to_thread(daemons.stop, "coordinator") == 0
        for agent_id, group in agents.items():
            journal = _journal(daemons.data, agent_id)
            logs = {witness.name: witness.log for witness in group}
            findings = check_everything(logs, journal) + check_ledger(states[agent_id], logs, journal)
            findings += validate_directory(daemons.data / "agents" / agent_id)
            acked = len(
                {r["id"] for log in logs.values() for r in log if r["what"] == "acked"}
            )  # a repetition is harmless
            assert acked == CLIENTS_EACH * MESSAGES_EACH
            assert findings == [], f"seed {seed}"
