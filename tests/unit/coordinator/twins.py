"""In-memory twins of the coordinator's ports: agents are Python functions, deployments are always there."""

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from podium.base.clock import Clock, ManualClock, SystemClock
from podium.base.discovery import CoordinatorRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.sealing import Sealer
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.announcer import Announcer
from podium.coordinator.adapters.broker import BrokerSettings, LoopbackBroker
from podium.coordinator.adapters.catalog import Catalog
from podium.coordinator.adapters.store import StoreOptions
from podium.coordinator.adapters.store.records import no_fault
from podium.coordinator.adapters.vault import Vault
from podium.coordinator.domain.ports import (
    ExitStatus,
    Isolation,
    LinkHandler,
    PreparedDeployment,
    ProcessSpec,
    ProcessStartError,
)
from podium.coordinator.supervisor.commands import Incoming
from podium.coordinator.supervisor.facts import Timings
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.supervisor import Capacity, Parts, Supervisor
from podium.wire.commands import Ack, OnBusy
from podium.wire.envelope import EventRow
from podium.wire.events import OutOfMemory
from podium.wire.ids import Kind
from podium.wire.link import (
    CancelTurn,
    Complete,
    Delta,
    Element,
    FrameBuffer,
    FromAgent,
    IdleCheck,
    IdleReply,
    Init,
    Message,
    Origin,
    Ready,
    Shutdown,
    StateDelta,
    StateReplaced,
    StreamUpdate,
    ToAgent,
    pack,
    read_to_agent,
)
from podium.wire.manifest import Limits, Manifest, Restart
from podium.wire.rest import CoordinatorCreate, Deployment, Load, Resources

QUICK = Timings(ready=2.0, shutdown=0.2, terminate=0.2, kill=2.0, idle_reply=1.0, aside=0.01)
UNBOUNDED = Capacity()
MANIFEST = Manifest(
    "echo", "1.0.0", "python", "agent:Echo", limits=Limits(idle_timeout_ms=0), restart=Restart(3, 60_000, 1)
)
DEPLOYMENT = Deployment("echo:1.0.0@00000000", "echo", "1.0.0", "sha256:" + "0" * 64, 1, "python", 0)


class ScriptedAgent:
    """One process of the twin: what the coordinator sends is handed to `play`, which answers with `say`."""

    def __init__(self, spec: ProcessSpec, handler: LinkHandler, play: "Play", pid: int) -> None:
        self.spec = spec
        self.heard: list[ToAgent] = []
        self.init: Init | None = None
        self.ended = False
        self.ignores_terminate = False
        self.paused = False
        self.version = 0
        self._pid = pid
        self._handler = handler
        self._play = play
        self._frames = FrameBuffer()
        self._said: list[FromAgent] = []

    @property
    def pid(self) -> int:
        return self._pid

    def send(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            frame = read_to_agent(body)
            self.heard.append(frame)
            if isinstance(frame, Init):
                self.init = frame
                self.version = frame.state_version
            asyncio.get_running_loop().call_soon(self._hear, frame)

    def _hear(self, frame: ToAgent) -> None:
        if not self.ended:
            self._play(self, frame)
            self.flush()

    def say(self, *frames: FromAgent) -> None:
        """Sent with everything else said in reaction to one frame."""
        self._said += frames

    def flush(self, more: bytes = b"") -> None:
        """Sends at once what was said, and `more` behind it."""
        said, self._said = self._said, []
        if (said or more) and not self.ended:
            self._handler.link_received(b"".join(pack(frame) for frame in said) + more)

    def messages(self) -> list[str]:
        """Ids of the messages it was given."""
        return [frame.id for frame in self.heard if isinstance(frame, Message)]

    def answer_to(self, message_id: str, text: str) -> None:
        """A whole answer to a message it was given, and the end of the turn."""
        attempt = next(
            (frame.attempt for frame in self.heard if isinstance(frame, Message) and frame.id == message_id), 1
        )
        self.emit(message_id, "stream_start", {"message_id": message_id, "attempt": attempt})
        self.emit(message_id, "stream_update", {"text": text})
        self.emit(message_id, "stream_end", {"text": text, "stop_reason": "end_turn"})
        self.say(Complete(message_id=message_id, stop_reason="end_turn"))

    def finish(self, message_id: str) -> None:
        """Ends a turn without having said anything."""
        self.say(Complete(message_id=message_id, stop_reason="end_turn"))
        self.flush()

    def prints(self, data: bytes) -> None:
        """Bytes on stdout."""
        self._handler.output_received("stdout", data)

    def emit(self, message_id: str, event: str, content: Any = None) -> None:
        """An event of a turn."""
        self.say(
            StreamUpdate(message_id=message_id, element=Element(event, msgspec.Raw(msgspec.json.encode(content or {}))))
        )

    def set_state(self, state: dict[str, Any]) -> None:
        """The whole state anew."""
        self.version += 1
        self.say(StateReplaced(version=self.version, state_schema=1, data=msgspec.Raw(msgspec.json.encode(state))))

    def change_state(self, ops: list[dict[str, Any]]) -> None:
        """A change of the state."""
        self.version += 1
        self.say(StateDelta(deltas=[Delta(self.version, msgspec.Raw(msgspec.json.encode(ops)))]))

    def end(
        self, code: int | None = 0, signal_name: str | None = None, out_of_memory: OutOfMemory | None = None
    ) -> None:
        """The process ends."""
        if not self.ended:
            self.flush()
            self.ended = True
            self._handler.process_ended(ExitStatus(code, signal_name, out_of_memory))

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def terminate(self) -> None:
        if not self.ignores_terminate:
            asyncio.get_running_loop().call_soon(self.end, None, signal.SIGTERM.name)

    async def kill(self) -> None:
        self._said.clear()
        self.end(None, signal.SIGKILL.name)

    def resources(self) -> Resources:
        return Resources() if self.ended else Resources(1024, 0.1, 1)


Play = Callable[[ScriptedAgent, ToAgent], None]


def polite(agent: ScriptedAgent, frame: ToAgent) -> None:
    """Ready at once, sleeps when asked, ends when told."""
    match frame:
        case Init():
            agent.say(Ready(protocol=1, state_schema=1))
        case IdleCheck():
            agent.say(IdleReply(allow=True))
        case Shutdown():
            agent.end(0)
        case CancelTurn():
            running = [heard for heard in agent.heard if isinstance(heard, Message)][-1]
            agent.emit(running.id, "stream_end", {"text": "", "stop_reason": "cancelled"})
            agent.say(Complete(message_id=running.id, stop_reason="cancelled"))


def echo(agent: ScriptedAgent, frame: ToAgent) -> None:
    """Answers every message with its own text."""
    polite(agent, frame)
    if isinstance(frame, Message):
        agent.answer_to(frame.id, str(frame.data["text"]))


class ScriptedHost:
    """The process host's twin."""

    def __init__(self, play: Play = echo) -> None:
        self.play = play
        self.started: list[ScriptedAgent] = []
        self.refuses: str | None = None
        self._pids = itertools.count(1000)

    @property
    def isolation(self) -> Isolation:
        return "none"

    @property
    def agent(self) -> ScriptedAgent:
        """The process started last."""
        return self.started[-1]

    async def open(self) -> None:
        pass

    async def warm(self, deployment: PreparedDeployment) -> None:
        pass

    async def start(
        self, spec: ProcessSpec, handler: LinkHandler, opened: Awaitable[object] | None = None
    ) -> ScriptedAgent:
        if opened is not None:
            await opened
        if self.refuses is not None:
            raise ProcessStartError(self.refuses)
        agent = ScriptedAgent(spec, handler, self.play, next(self._pids))
        self.started.append(agent)
        return agent

    async def cool(self, deployment_id: str) -> None:
        pass

    async def close(self) -> None:
        for agent in self.started:
            await agent.kill()


class ReadyDeployments:
    """Every deployment is there."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    async def ensure(self, deployment: Deployment, progress: Callable[[str], None] | None = None) -> PreparedDeployment:
        return PreparedDeployment(deployment, self.manifest, Path("/nowhere"), Path("/nowhere/python"))

    async def close(self) -> None:
        pass


class PlainWorkspaces:
    """Directories beside the databases."""

    backend = "directory"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def place(self, agent_id: str) -> Path:
        return self._directory / agent_id / "workspace"

    async def open(self, agent_id: str, deployment: PreparedDeployment, *, owner: tuple[int, int] | None) -> Path:
        path = self.place(agent_id)
        path.mkdir(parents=True, exist_ok=True)
        return path

    async def close(self, agent_id: str) -> None:
        pass

    async def detach(self, agent_id: str) -> None:
        pass

    def head_iteration(self, agent_id: str) -> int:
        return 0

    async def remove(self, agent_id: str) -> None:
        pass


def counted_ids() -> Callable[[Kind], str]:
    """Ids that count, so that conversations can be compared."""
    numbers = itertools.count(1)
    return lambda kind: (
        f"{kind}-{next(numbers):016d}".replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d")
    )


@dataclass
class House:
    """A coordinator without its network: supervisor, twins, and what survives a restart."""

    directory: Path
    host: ScriptedHost = field(default_factory=ScriptedHost)
    clock: Clock = field(default_factory=SystemClock)
    manifest: Manifest = MANIFEST
    timings: Timings = QUICK
    fault: Callable[[str], None] = no_fault
    capacity: Capacity = UNBOUNDED
    make_workspaces: Callable[[Path], Any] = PlainWorkspaces

    def __post_init__(self) -> None:
        self.workspaces = self.make_workspaces(self.directory / "agents")
        self.discovery = MemoryDiscovery(self.clock)
        self.new_id = counted_ids()
        self.deployments = ReadyDeployments(self.manifest)
        self.supervisor = self.build()

    def build(self) -> Supervisor:
        """A supervisor over what is on disk."""
        parts = Parts(
            coordinator_id="coord-1",
            clock=self.clock,
            new_id=self.new_id,
            processes=self.host,
            workspaces=self.workspaces,
            deployments=self.deployments,
            broker=LoopbackBroker(BrokerSettings(b"a key of the tests", self.directory / "broker")),
            catalog=Catalog.open(self.directory / "coordinator"),
            vault=Vault(Sealer("a secret of the tests")),
            discovery=self.discovery,
            directory=self.directory / "agents",
            capacity=self.capacity,
            timings=self.timings,
            store_options=StoreOptions(fault=lambda point: self.fault(point)),
        )
        tasks = TaskOwner("coordinator")
        announcer = Announcer(self.discovery, self._describe, lambda gone: self.supervisor.leases_lost(gone))
        return Supervisor(parts, announcer, tasks)

    def _describe(self) -> CoordinatorRecord:
        return CoordinatorRecord("coord-1", "http://127.0.0.1:1", "0", 0, "active", Load(0, 0, 0.0, 0, 0))

    def use_idle_timeout(self, idle_timeout_ms: int) -> None:
        """Agents made from now on sleep after this."""
        limits = msgspec.structs.replace(self.manifest.limits, idle_timeout_ms=idle_timeout_ms)
        self.manifest = self.deployments.manifest = msgspec.structs.replace(self.manifest, limits=limits)

    async def open(self) -> Supervisor:
        """Opens the supervisor."""
        await self.supervisor.open()
        self.supervisor.announce()
        return self.supervisor

    async def crash(self) -> Supervisor:
        """The coordinator is killed and started again."""
        await self.pause()
        return await self.resume()

    async def pause(self) -> None:
        """The coordinator is killed: nothing is written any more."""
        old = self.supervisor
        for instance in old.instances.values():
            instance.lost = True
        await old.announcer.close()
        await old.tasks.close()
        old.timers.close()
        for instance in old.instances.values():
            if instance.is_open:
                instance.store.close()
        old.parts.catalog.close()

    async def resume(self) -> Supervisor:
        """The coordinator is started again."""
        self.supervisor = self.build()
        return await self.open()

    async def close(self) -> None:
        """Checks every invariant, then closes everything."""
        findings = self.supervisor.validate()
        await self.supervisor.close()
        assert findings == []

    async def create(self, agent_id: str = "agent", **wanted: Any) -> Instance:
        """A ready instance."""
        request = CoordinatorCreate(
            instance_id=wanted.pop("instance_id", None) or self.new_id("inst"),
            agent_id=agent_id,
            tenant_id=wanted.pop("tenant_id", "default"),
            deployment=wanted.pop("deployment", DEPLOYMENT),
            **wanted,
        )
        instance, _ = await self.supervisor.births.create(request)
        return instance


def events(instance: Instance, *types: str) -> list[EventRow]:
    """The journal, or its events of some types."""
    with instance.reading() as store:
        rows = store.events(0, 100_000)
    return [row for row in rows if not types or row.type in types]


def contents(instance: Instance, event: str) -> list[dict[str, Any]]:
    """Contents of all events of a type."""
    return [msgspec.json.decode(row.content) for row in events(instance, event)]


def statuses(instance: Instance) -> list[str]:
    """The states it went through."""
    return [content["status"] for content in contents(instance, "state.status")]


def texts(instance: Instance) -> list[str]:
    """The messages of the log."""
    with instance.reading() as store:
        return [record.message for record in store.logs(None, 1000)]


def send(
    instance: Instance,
    text: str,
    command_id: str | None = None,
    on_busy: OnBusy = "queue",
    acknowledge: Callable[[Ack], None] | None = None,
    **metadata: Any,
) -> Ack:
    """A message of a client."""
    message = Incoming({"text": text, **metadata}, Origin(instance.facts.tenant_id), command_id, on_busy)
    return instance.commands.send_message(message, acknowledge)


def forward(house: House, clock: ManualClock, seconds: float) -> None:
    """Time passes, and what is due happens."""
    clock.advance(seconds)
    house.supervisor.timers.run_due()


async def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Waits for a condition, at most twenty seconds."""
    deadline = asyncio.get_running_loop().time() + 20.0
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.001)
