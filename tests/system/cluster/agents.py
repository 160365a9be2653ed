"""Agents of these tests, and what tests ask of the cluster about them."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

from tests.system.api import Caller
from tests.waiting import wait_until

WORKER = """
import asyncio
import uuid
from pathlib import Path
import time
import uuid
from podium.agent import BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0
        words: list[str] = []

    async def on_message(self, ctx, message):
        text = message["text"]
        reply = await ctx.send_message()
        if text.startswith("slow "):
            for number in range(int(text.split()[1]) * 10):
                await reply.stream_token(f"{number} ")
                await asyncio.sleep(0.1)
        if text.startswith("beat "):  # a line with the time and who is there, twenty times a second
            _, seconds, path = text.split()
            me = uuid.uuid4().hex
            for _ in range(int(seconds) * 20):
                with open(path, "a") as file:
                    file.write(f"{time.monotonic()} {me}\\n")
                await asyncio.sleep(0.05)
        ctx.state.count += 1
        ctx.state.words.append(text)
        (ctx.workspace / f"file-{ctx.state.count}").write_text(text)
        await reply.stream_token(f"{ctx.state.count}: {text}", final=True)
"""

REPLICATED_SECONDS = 4.0
"""By default everything is in the replica two seconds after it happened, histories of files a little later."""


async def replicated() -> None:
    """What was written before is in the replica by now."""
    await asyncio.sleep(REPLICATED_SECONDS)


async def where(calls: Caller, instance_id: str) -> dict[str, Any]:
    """The instance as discovery knows it; asking for the list moves nothing."""
    items = (await calls("GET", "/api/v1/instances?limit=200")).body["items"]
    return next(item for item in items if item["instance_id"] == instance_id)


async def moved(calls: Caller, instance_id: str, away_from: str, timeout: float = 40.0) -> str:
    """The coordinator that goes on with an instance by itself, once that is another."""
    found = ""

    async def is_elsewhere() -> bool:
        nonlocal found
        found = (await where(calls, instance_id))["coordinator_id"]
        return found not in ("", away_from)

    await wait_until(is_elsewhere, timeout, f"{instance_id} to leave {away_from}")
    return found


async def say(calls: Caller, instance_id: str, text: str) -> dict[str, Any]:
    """The result of a turn."""
    answer = await calls("POST", f"/api/v1/instances/{instance_id}/messages?wait=true", json={"text": text})
    assert answer.status == 200, answer.text
    return dict(answer.body)


async def state(calls: Caller, instance_id: str) -> dict[str, Any]:
    """The state of an agent."""
    answer = await calls("GET", f"/api/v1/instances/{instance_id}/state")
    assert answer.status == 200, answer.text
    return dict(answer.body["state"])


async def worker(calls: Caller, folder: Path) -> str:
    """A deployment of its own of `WORKER`."""
    name = f"worker-{uuid.uuid4().hex[:6]}"
    return await calls.deploy(folder / name, name, WORKER)


async def at(calls: Caller, deployment: str, home: str, **more: Any) -> str:
    """A new instance on this host; its id."""
    while True:
        made = await calls.create(deployment, **more)
        if made["coordinator_id"] == home:
            return str(made["instance_id"])
