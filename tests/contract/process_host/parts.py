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

from podium.base.bun import find_bun, link_sdk
from podium.coordinator.adapters.processes import HostSettings, LocalProcessHost
from podium.coordinator.domain.ports import AgentProcess, ExitStatus, PreparedDeployment, ProcessSpec
from podium.wire.events import Text
from podium.wire.link import Complete, Failed, FrameBuffer, FromAgent, Init, Message, Origin, Ready, StreamUpdate, pack
from podium.wire.link import read_from_agent as read
from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment
from tests.contract.process_host.deeds import PYTHON_HANDS, TYPESCRIPT_HANDS, Deed
from tests.waiting import wait_until

Runtime = Literal["python", "typescript"]

FIRST_UID_SLOT = 1_000 * (1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))
"""Limits of processes count for a user id on the whole host: agents of platforms that other tests run meanwhile have the lowest."""


WITHIN_SECONDS = 20.0


class Talk:
    """A `LinkHandler` that remembers, and speaks to its agent."""

    def __init__(self, runtime: Runtime = "python") -> None:
        self.runtime = runtime
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

    async def tell(self, deed: Deed | str) -> Any:
        """Has the agent do it (a text: in its own language); what was left in `result`."""
        assert self.process is not None
        statements = self._in_its_language(deed)
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

    def order(self, deed: Deed | str) -> None:
        """Has the agent do it, without waiting."""
        assert self.process is not None
        data = {"text": self._in_its_language(deed), "role": "user"}
        self.process.send(pack(Message(id="m", turn_id="m", data=data, origin=Origin("t"), attempt=1)))

    async def ended(self) -> ExitStatus:
        """Waits for the last call."""
        await wait_until(lambda: self.status is not None, WITHIN_SECONDS, "its end")
        assert self.status is not None
        return self.status

    def _in_its_language(self, deed: Deed | str) -> str:
        return deed if isinstance(deed, str) else str(getattr(deed, self.runtime))

    def _any(self, *kinds: type, after: int = 0) -> bool:
        return any(isinstance(frame, kinds) for frame in self.frames[after:])


class Place:
    """A data directory with a host; its deployments are in the language `runtime`."""

    def __init__(
        self, directory: Path, host: LocalProcessHost, settings: HostSettings, runtime: Runtime = "python"
    ) -> None:
        self.directory = directory
        self.host = host
        self.settings = settings
        self.runtime = runtime
        self._agents = 0

    def deployment(self, source: str | None = None, *, preload: bool = True) -> PreparedDeployment:
        """A deployment with `source` as its module; by default hands."""
        folder = Path(tempfile.mkdtemp(dir=self.directory))
        folder.chmod(0o755)
        bundle = folder / "bundle"
        bundle.mkdir(mode=0o755)
        file, entry, interpreter = "agent.py", "agent:Hands", Path(sys.executable)
        if self.runtime == "typescript":
            file, entry, interpreter = "agent.ts", "agent.ts", find_bun() or Path("bun")
            link_sdk(folder)
        hands = TYPESCRIPT_HANDS if self.runtime == "typescript" else PYTHON_HANDS
        (bundle / file).write_text(hands if source is None else source)
        name = f"hands:1.0.0@{folder.name[-8:]}"
        described = Deployment(name, "hands", "1.0.0", "sha256:" + "0" * 64, 1, self.runtime, 0)
        manifest = Manifest("hands", "1.0.0", self.runtime, entry, preload=preload)
        return PreparedDeployment(described, manifest, bundle, interpreter)

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
            FIRST_UID_SLOT + self._agents,
        )

    def talk(self) -> Talk:
        """Someone to talk to an agent of these deployments."""
        return Talk(self.runtime)

    async def start(self, spec: ProcessSpec) -> Talk:
        """A started, ready agent."""
        talk = self.talk()
        talk.process = await self.host.start(spec, talk)
        await talk.ready(spec)
        return talk


def open_directory() -> Path:
    """A temporary directory that any user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="host-"))
    directory.chmod(0o755)
    return directory


@asynccontextmanager
async def place(settings: HostSettings, directory: Path, runtime: Runtime = "python") -> AsyncIterator[Place]:
    """A host, opened; closed and forgotten afterwards."""
    host = LocalProcessHost(settings)
    await host.open()
    try:
        yield Place(directory, host, settings, runtime)
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
