"""A host is lost, and nothing else is: agents go on elsewhere with state, files and conversation."""

import time
from pathlib import Path

from tests.system.api import Caller
from tests.system.cluster.cluster import Cluster
from tests.waiting import wait_until

WRITER = """
from podium.agent import BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx, message):
        ctx.state.count += 1
        (ctx.workspace / f"file-{ctx.state.count}").write_text(message["text"])
        reply = await ctx.send_message()
        await reply.stream_token(f"{ctx.state.count}: {message['text']}", final=True)
"""


async def test_an_agent_goes_on_elsewhere_with_everything_when_its_host_is_lost(
    cluster: Cluster, calls: Caller, tmp_path: Path
) -> None:
    deployment = await calls.deploy(tmp_path / "writer", "writer", WRITER)
    made = (await calls("POST", "/api/v1/instances", json={"deployment_id": deployment})).body
    base = f"/api/v1/instances/{made['instance_id']}"
    for text in ("one", "two"):
        answer = await calls("POST", f"{base}/messages?wait=true", json={"text": text})
        assert answer.status == 200, answer.text
    home = cluster.named(made["coordinator_id"])
    await _replicated(home, made["agent_id"])
    home.kill("coordinator")
    lost_at = time.monotonic()

    async def goes_on() -> bool:
        return (await calls("POST", f"{base}/messages?wait=true", json={"text": "three"})).status == 200

    await wait_until(goes_on, 30, "the agent to go on")
    print(f"back after {time.monotonic() - lost_at:.1f} s")
    info = (await calls("GET", base)).body
    assert info["coordinator_id"] != made["coordinator_id"]
    state = (await calls("GET", f"{base}/state")).body
    assert state["state"]["count"] == 3, state
    files = (await calls("GET", f"{base}/files")).body
    assert [entry["name"] for entry in files["entries"]] == ["file-1", "file-2", "file-3"]
    assert (await calls("GET", f"{base}/files/file-1")).text == "one"
    spoken = (await calls("GET", f"{base}/messages?limit=50")).body["items"]
    assert [each["text"] for each in spoken if each["role"] == "user"] == ["one", "two", "three"]
    home.start("coordinator")
    await wait_until(lambda: "moved_away" in home.said("coordinator"), 20, "the old host to notice")
    assert (await calls("POST", f"{base}/messages?wait=true", json={"text": "four"})).status == 200
    assert (await calls("GET", base)).body["coordinator_id"] == info["coordinator_id"]


async def _replicated(home: object, agent_id: str) -> None:
    """The history and the databases are outside; by default that takes about two seconds."""
    import asyncio

    await asyncio.sleep(4)
