"""Which agents of this host are replicated now: those whose databases are open. Nobody waits for it unless they ask to.

One task follows each agent as long as there is something to do: it attaches, tries again with pauses while the replica is away,
attaches anew when files were sealed, and detaches, with the last changes, when the databases are closed.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.replication import Live, Replicas, ReplicaUnavailableError
from podium.coordinator.adapters.store.database import KINDS
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

HISTORY: Final = "history"
"""What the history of the workspace is called in the replica; the others are called as their databases."""

SETTLE_SECONDS: Final = 0.2
"""An agent that begins opens its databases, then its workspace: both are attached together."""

FIRST_PAUSE_SECONDS: Final = 0.5
LAST_PAUSE_SECONDS: Final = 10.0
"""Pauses while the replica is away: from the first, doubled, up to the last."""

_DESCRIBED: Final = InstanceStatus.READY
"""The status a descriptor has: whoever adopts the agent finds what it really was doing in its databases."""


class Descriptor(msgspec.Struct, frozen=True):
    """What another host has to know to go on with an agent. `instance` has its secrets sealed. `workspace`: the settings of its
    workspace, as Chronicle keeps them; None: it has no history."""

    instance: InstanceEntry
    agent_created_at: int
    workspace: bytes | None


class Replication:
    """Keeps the replicas of the agents that are awake. Without replicas it does nothing."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._open: dict[str, Instance] = {}
        self._changed: set[str] = set()
        self._attached: set[str] = set()
        self._following: dict[str, asyncio.Task[None]] = {}

    @property
    def replicas(self) -> Replicas | None:
        """The replicas, None when this host has none."""
        return self._supervisor.parts.replicas

    def opened(self, instance: "Instance") -> None:
        """The databases are open: they are replicated from now on."""
        if self.replicas is not None and not instance.lost:
            self._open[instance.facts.agent_id] = instance
            self.changed(instance.facts.agent_id)

    def closed(self, instance: "Instance") -> None:
        """The databases are being closed: the last changes go, then nothing more."""
        if self._open.get(instance.facts.agent_id) is instance:
            del self._open[instance.facts.agent_id]
            self.changed(instance.facts.agent_id)

    def changed(self, agent_id: str) -> None:
        """Files were sealed, a workspace came, the configuration is another: a new generation may be needed."""
        if self.replicas is None:
            return
        self._changed.add(agent_id)
        if agent_id not in self._following:
            task = self._supervisor.tasks.start(self._follow(agent_id), f"replicate {agent_id}")
            self._following[agent_id] = task
            task.add_done_callback(lambda _: self._following.pop(agent_id, None))

    async def claim(self, agent_id: str, epoch: int) -> bool:
        """Whether this host may write the agent's replica under the epoch. A replica that is away forbids nothing: the lease is
        held, and the claim is made when it is back, before anything is written."""
        if self.replicas is None:
            return True
        try:
            return await self.replicas.claim(agent_id, epoch)
        except ReplicaUnavailableError as error:
            _log.warning("replica_unavailable", extra={"agent_id": agent_id, "reason": str(error)})
            return True

    async def synced(self, agent_id: str, seconds: float) -> None:
        """Returns when all that was committed before, databases and files, is in the replica.

        Raises:
            ReplicaUnavailableError: not within `seconds`.
        """
        if self.replicas is None:
            raise ReplicaUnavailableError("this host has no replicas")
        try:
            async with asyncio.timeout(seconds):
                while agent_id in self._following:
                    await asyncio.wait({self._following[agent_id]})
                await self._supervisor.parts.workspaces.uploaded(agent_id)
        except TimeoutError:
            raise ReplicaUnavailableError(f"the agent was not replicated within {seconds:g} s") from None
        await self.replicas.sync(agent_id, seconds)

    async def lose(self, agent_id: str) -> None:
        """The agent is another host's: nothing more is written, at once."""
        self._open.pop(agent_id, None)
        following = self._following.get(agent_id)
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
        self._attached.discard(agent_id)
        if self.replicas is not None:
            await self.replicas.drop(agent_id)

    async def settled(self) -> None:
        """Returns when nothing is under way; for the end of the coordinator."""
        while self._following:
            await asyncio.wait(set(self._following.values()))

    def is_whole(self, agent_id: str) -> bool:
        """Whether the agent is attached, or nothing of it is open and all of it is outside."""
        return agent_id not in self._following and (agent_id in self._attached or agent_id not in self._open)

    # ── one agent ───────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self, agent_id: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(SETTLE_SECONDS)
        while agent_id in self._changed:
            self._changed.discard(agent_id)
            try:
                await self._bring_in_line(agent_id)
                pause = FIRST_PAUSE_SECONDS
            except (ReplicaUnavailableError, OSError) as error:
                _log.warning("not_replicated", extra={"agent_id": agent_id, "reason": str(error)})
                if agent_id in self._open:
                    self._changed.add(agent_id)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_PAUSE_SECONDS)

    async def _bring_in_line(self, agent_id: str) -> None:
        replicas = self.replicas
        assert replicas is not None
        instance = self._open.get(agent_id)
        if instance is None:
            if agent_id in self._attached:
                self._attached.discard(agent_id)
                await self._supervisor.parts.workspaces.uploaded(agent_id)
                await replicas.detach(agent_id)
            return
        if not await replicas.claim(agent_id, instance.facts.epoch):
            self._supervisor.leases_lost([agent_id])
            return
        databases = self._databases(instance)
        descriptor = msgspec.json.encode(self._descriptor(instance))
        await replicas.attach(agent_id, instance.facts.epoch, databases, descriptor)
        self._attached.add(agent_id)

    def _databases(self, instance: "Instance") -> list[Live]:
        found = [Live(kind.name, instance.directory / kind.path) for kind in KINDS]
        history = self._supervisor.parts.workspaces.history_file(instance.facts.agent_id)
        return found if history is None else [*found, Live(HISTORY, history)]

    def _descriptor(self, instance: "Instance") -> Descriptor:
        catalog, facts = self._supervisor.parts.catalog, instance.facts
        entry = catalog.instance(facts.instance_id)
        agent = catalog.agent(facts.agent_id)
        if entry is None or agent is None:
            raise ReplicaUnavailableError("the instance is not in the catalog")
        # What changes with each sleep is not told: it would make a generation each time.
        plain = msgspec.structs.replace(entry, status=_DESCRIBED, reason=None, restarts=0)
        return Descriptor(plain, agent.created_at, self._supervisor.parts.workspaces.settings_of(facts.agent_id))
