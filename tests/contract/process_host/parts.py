"""A process host over real processes, agents that do as they are told, and someone who talks to them."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from podium.coordinator.adapters.processes import HostSettings, LocalProcessHost
from podium.coordinator.domain.ports import AgentProcess, ExitStatus, PreparedDeployment, ProcessSpec
from podium.wire.events import Text
from podium.wire.link import Complete, Failed, FrameBuffer, FromAgent, Init, Message, Origin, Ready, StreamUpdate, pack
from podium.wire.link import read_from_agent as read
from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment
from tests.waiting import wait_until

HANDS = '''
"""Does what a message says: Python statements that may set `result`."""

import json

from podium.agent import BaseAgent


class Hands(BaseAgent):
    async def on_message(self, ctx, message):
        names = {"ctx": ctx, "result": None}
        exec(message["text"], names)
        reply = await ctx.send_message()
        await reply.stream_token(json.dumps(names["result"], default=str), final=True)
'''

DAEMON = """
import os, subprocess
for environment in (dict(os.environ), {}):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "%s"], environment)
        os._exit(0)
    os.wait()
subprocess.Popen(["/bin/sleep", "%s"])
result = os.getpid()
"""
"""Starts three sleepers: two daemons that left session, parent and (one) environment behind, and a plain child."""

DAEMONS = 3
WITHIN_SECONDS = 20.0


class Talk:
    """A `LinkHandler` that remembers, and speaks to its agent."""

    def __init__(self) -> None:
        self.process: AgentProcess | None = None
        self.frames: list[FromAgent] = []
        self.output: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self.status: ExitStatus | None = None
        self.ends = 0
        self.said_after_end = False
        self._buffer = FrameBuffer()
        self._turn = 0

    def link_received(self, data: bytes) -> None:
        self.said_after_end |= self.ends > 0
        self.frames += [read(body) for body in self._buffer.feed(data)]

    def output_received(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self.said_after_end |= self.ends > 0
        assert len(data) <= 64 * 1024
        self.output[stream] += data

    def process_ended(self, status: ExitStatus) -> None:
        self.ends += 1
        self.status = status

    async def ready(self, spec: ProcessSpec) -> None:
        """Sends `init` and waits for `ready`."""
        assert self.process is not None
        self.process.send(
            pack(
                Init(
                    protocol=1,
                    agent_id=spec.agent_id,
                    instance_id=spec.instance_id,
                    agent_type="hands",
                    deployment_id=spec.deployment.deployment.deployment_id,
                    workspace=str(spec.workspace),
                    config={},
                    secrets={},
                    state=None,
                    state_version=0,
                    state_schema=None,
                )
            )
        )
        await wait_until(lambda: self._any(Ready), WITHIN_SECONDS, "ready")

    async def tell(self, statements: str) -> Any:
        """Has the agent run `statements`; what they left in `result`."""
        assert self.process is not None
        self._turn += 1
        start = len(self.frames)
        name = f"msg-{self._turn}"
        data = {"text": statements, "role": "user"}
        self.process.send(pack(Message(id=name, turn_id=name, data=data, origin=Origin("t"), attempt=1)))
        await wait_until(lambda: self._any(Complete, Failed, after=start), WITHIN_SECONDS, statements)
        failed = [frame for frame in self.frames[start:] if isinstance(frame, Failed)]
        assert not failed, failed
        texts = [
            msgspec.json.decode(frame.element.content, type=Text).text
            for frame in self.frames[start:]
            if isinstance(frame, StreamUpdate) and frame.element.type == "stream_update"
        ]
        return json.loads("".join(texts))

    def order(self, statements: str) -> None:
        """Has the agent run `statements`, without waiting."""
        assert self.process is not None
        data = {"text": statements, "role": "user"}
        self.process.send(pack(Message(id="m", turn_id="m", data=data, origin=Origin("t"), attempt=1)))

    async def ended(self) -> ExitStatus:
        """Waits for the last call."""
        await wait_until(lambda: self.status is not None, WITHIN_SECONDS, "its end")
        assert self.status is not None
        return self.status

    def _any(self, *kinds: type, after: int = 0) -> bool:
        return any(isinstance(frame, kinds) for frame in self.frames[after:])


class Place:
    """A data directory with a host and a deployment."""

    def __init__(self, directory: Path, host: LocalProcessHost, settings: HostSettings) -> None:
        self.directory = directory
        self.host = host
        self.settings = settings
        self._agents = 0

    def deployment(
        self, source: str = HANDS, entry: str = "agent:Hands", *, preload: bool = True
    ) -> PreparedDeployment:
        """A deployment with `source` as its module."""
        bundle = Path(tempfile.mkdtemp(dir=self.directory))
        bundle.chmod(0o755)
        (bundle / "agent.py").write_text(source)
        name = f"hands:1.0.0@{bundle.name[-8:]}"
        described = Deployment(name, "hands", "1.0.0", "sha256:" + "0" * 64, 1, "python", 0)
        manifest = Manifest("hands", "1.0.0", "python", entry, preload=preload)
        return PreparedDeployment(described, manifest, bundle, Path(sys.executable))

    def spec(self, deployment: PreparedDeployment, limits: Limits | None = None, **environment: str) -> ProcessSpec:
        """A new agent's process."""
        self._agents += 1
        name = f"agent{self._agents}"
        home = self.settings.agents / name
        (home / "workspace").mkdir(parents=True)
        (home / "db").mkdir()
        (home / "db" / "state.db").write_bytes(b"the coordinator's")
        return ProcessSpec(
            f"inst-{name}",
            name,
            "t",
            deployment,
            home,
            home / "workspace",
            environment,
            limits or Limits(),
            self._agents,
        )

    async def start(self, spec: ProcessSpec) -> Talk:
        """A started, ready agent."""
        talk = Talk()
        talk.process = await self.host.start(spec, talk)
        await talk.ready(spec)
        return talk


def open_directory() -> Path:
    """A temporary directory that any user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="host-"))
    directory.chmod(0o755)
    return directory


@asynccontextmanager
async def place(settings: HostSettings, directory: Path) -> AsyncIterator[Place]:
    """A host, opened; closed and forgotten afterwards."""
    host = LocalProcessHost(settings)
    await host.open()
    try:
        yield Place(directory, host, settings)
    finally:
        await host.close()
        await asyncio.to_thread(shutil.rmtree, directory)


def commands(token: str) -> list[int]:
    """Pids of living processes whose command line holds `token`."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if token.encode() in command.split(b"\0"):
            found.append(int(name))
    return found
