"""Agents that write, and a shorter way to their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.agents import Runtime, source
from tests.system.api import Answer, Caller

MANIFEST = """
[workspace]
exclude = ["*.log", "node_modules/"]
template = "skeleton"
[limits]
disk = "64MiB"
"""


@dataclass(frozen=True)
class Agent:
    """An instance of the writing agent, and its files by way of the instance or of the agent."""

    caller: Caller
    instance_id: str
    agent_id: str

    async def files(self, method: str, path: str = "", *, by_agent: bool = False, **more: Any) -> Answer:
        """A call below `/files`; `path` as it is to stand in the URL."""
        return await self.at(method, f"/files{path}", by_agent=by_agent, **more)

    async def workspace(self, method: str, path: str, *, by_agent: bool = False, **more: Any) -> Answer:
        """A call below `/workspace`."""
        return await self.at(method, f"/workspace{path}", by_agent=by_agent, **more)

    async def at(self, method: str, rest: str, *, by_agent: bool, **more: Any) -> Answer:
        """A call below the instance, or the agent."""
        base = f"/api/v1/agents/{self.agent_id}" if by_agent else f"/api/v1/instances/{self.instance_id}"
        return await self.caller(method, base + rest, **more)

    async def sh(self, script: str) -> str:
        """Has the agent run a shell script in its workspace; what it printed."""
        async with self.caller.connect(self.instance_id) as stream:
            await stream.command("process_message", content={"text": "sh", "script": script})
            end = await stream.until("stream_end")
            await stream.until("checkpoint")
            return str(end["content"]["text"])

    async def put(self, path: str, data: bytes | IO[bytes]) -> int:
        """Writes a file over REST; its iteration."""
        answer = await self.files("PUT", f"/{path}", data=data)
        assert answer.status in (200, 201), answer.text
        return int(answer.body["iteration"])


def skeleton(folder: Path) -> None:
    """The template that `MANIFEST` names."""
    inside = folder / "skeleton" / "docs"
    inside.mkdir(parents=True)
    (inside / "welcome.md").write_text("Welcome\n")
    (folder / "skeleton" / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (folder / "skeleton" / "run.sh").chmod(0o755)


@pytest.fixture
async def writer(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> str:
    """A deployed agent that runs shell scripts in its workspace; its deployment id."""
    folder = tmp_path / "writer"
    skeleton(folder)
    return await caller.deploy(folder, agent_type, source("shell", runtime), extra=MANIFEST)


@pytest.fixture
async def agent(caller: Caller, writer: str) -> Agent:
    """One of them, awake."""
    made = await caller.create(writer)
    return Agent(caller, made["instance_id"], made["agent_id"])
