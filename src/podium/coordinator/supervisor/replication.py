"""Which agents of this host are replicated now: those whose databases are open. Nobody waits for it unless they ask to.

One task follows each agent as long as there is something to do: it attaches, tries again with pauses while the replica is away,
attaches anew when files were sealed, and detaches, with the last changes, when the databases are closed. An agent whose last
changes are outside has a mark (`OUTSIDE`) in its directory until its databases are opened again, so that a coordinator that was
killed in between knows what it still has to bring outside.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.replication import Live, Replicas, ReplicaUnavailableError
from podium.coordinator.adapters.store.database import KINDS
from podium.coordinator.supervisor.stills import Stills
from podium.wire.errors import ErrorCode, PodiumError
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

OUTSIDE: Final = "outside"
"""An empty file in an agent's directory: everything of it is in the replica."""

APART_PAUSE_SECONDS: Final = 0.05
"""How often it is looked whether an agent that is being sealed may be replicated again."""

SETTLED_SECONDS: Final = 5.0
"""How long the end of a coordinator waits for last changes that the replica has not taken yet."""

PROBE_SECONDS: Final = 5.0
"""How often it is measured how long the replica needs."""

PROBE_LIMIT_SECONDS: Final = 30.0
"""A probe that takes longer counts as this, and as long as the replica is away for longer, as that."""

CATCH_UP_AT_ONCE: Final = 2
"""How many agents at rest are brought outside at the same time, after a start."""

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
        self._apart: dict[str, int] = {}
        self._owed: dict[str, Instance] = {}  # at rest, and their last changes not outside yet
        self._behind_since: dict[str, float] = {}
        self._probed = 0.0
        self._probe_failed_at: float | None = None
        self._following: dict[str, asyncio.Task[None]] = {}
        self.stills = Stills(supervisor, self)

    @property
    def replicas(self) -> Replicas | None:
        """The replicas, None when this host has none."""
        return self._supervisor.parts.replicas

    def opened(self, instance: "Instance") -> None:
        """The databases are open: they are replicated from now on."""
        if self.replicas is not None and not instance.lost:
            self.touched(instance)
            self._owed.pop(instance.facts.agent_id, None)
            self._open[instance.facts.agent_id] = instance
            self.changed(instance.facts.agent_id)

    def closed(self, instance: "Instance") -> None:
        """The databases are being closed: the last changes go, then nothing more."""
        if self._open.get(instance.facts.agent_id) is instance:
            del self._open[instance.facts.agent_id]
            if not instance.lost:
                self._owed[instance.facts.agent_id] = instance
            self.changed(instance.facts.agent_id)

    def changed(self, agent_id: str) -> None:
        """Files were sealed, a workspace came, the configuration is another: a new generation may be needed."""
        if self.replicas is None:
            return
        self._changed.add(agent_id)
        if agent_id not in self._attached:
            self._behind_since.setdefault(agent_id, self._supervisor.parts.clock.monotonic())
        if agent_id not in self._following and agent_id not in self._apart:
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

    async def claimed(self, agent_id: str) -> int:
        """The highest epoch that anybody claimed; 0: none, or nobody can tell."""
        if self.replicas is None:
            return 0
        try:
            return await self.replicas.claimed(agent_id)
        except ReplicaUnavailableError as error:
            _log.warning("replica_unavailable", extra={"agent_id": agent_id, "reason": str(error)})
            return 0

    async def synced(self, agent_id: str, seconds: float) -> None:
        """Returns when all that was committed before, databases and files, is in the replica.

        Raises:
            ReplicaUnavailableError: not within `seconds`.
        """
        if self.replicas is None:
            raise ReplicaUnavailableError("this host has no replicas")
        try:
            async with asyncio.timeout(seconds):
                while agent_id in self._apart:
                    await asyncio.sleep(APART_PAUSE_SECONDS)
                while agent_id in self._following:
                    await asyncio.wait({self._following[agent_id]})
                await self._supervisor.parts.workspaces.uploaded(agent_id)
        except TimeoutError:
            raise ReplicaUnavailableError(f"the agent was not replicated within {seconds:g} s") from None
        await self.replicas.sync(agent_id, seconds)

    async def whole(self, agent_id: str, seconds: float) -> None:
        """As `synced`, also of an agent whose databases are closed.

        Raises:
            ReplicaUnavailableError: not within `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                while agent_id in self._open or agent_id in self._owed:
                    if agent_id in self._open and await self._is_synced(agent_id, seconds):
                        return
                    if (following := self._following.get(agent_id)) is not None:
                        await asyncio.wait({following})
                    else:
                        await asyncio.sleep(APART_PAUSE_SECONDS)
        except TimeoutError:
            raise ReplicaUnavailableError(f"the agent was not replicated within {seconds:g} s") from None

    async def _is_synced(self, agent_id: str, seconds: float) -> bool:
        try:
            await self.synced(agent_id, seconds)
        except ReplicaUnavailableError:
            if agent_id in self._open:
                raise
            return False  # its databases were closed meanwhile
        return True

    @asynccontextmanager
    async def apart(self, agent_id: str) -> AsyncIterator[None]:
        """Within the block nothing of the agent is replicated, for it may be sealed only while nobody else reads it; then all of it is
        again, in a new generation."""
        self._apart[agent_id] = self._apart.get(agent_id, 0) + 1
        try:
            following = self._following.get(agent_id)
            if following is not None:
                following.cancel()
                await asyncio.wait({following})
            self._attached.discard(agent_id)
            if self.replicas is not None:
                await self.replicas.drop(agent_id)
            yield
        finally:
            self._apart[agent_id] -= 1
            if not self._apart[agent_id]:
                del self._apart[agent_id]
                self.changed(agent_id)

    async def lose(self, agent_id: str) -> None:
        """The agent is another host's: nothing more is written, at once."""
        self._open.pop(agent_id, None)
        self._owed.pop(agent_id, None)
        self._changed.discard(agent_id)
        self._behind_since.pop(agent_id, None)
        following = self._following.get(agent_id)
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
        self._attached.discard(agent_id)
        if self.replicas is not None:
            await self.replicas.drop(agent_id)

    async def leave(self, instance: "Instance", seconds: float) -> bool:
        """Whether everything of an agent whose databases are closed is outside, within `seconds`. Nothing is written after that."""
        agent_id = instance.facts.agent_id
        if self.replicas is None:
            return False
        if not self._is_outside(instance):
            self.owe(instance)
        try:
            async with asyncio.timeout(seconds):
                while agent_id in self._following:
                    await asyncio.wait({self._following[agent_id]})
        except TimeoutError:
            return False
        return agent_id not in self._owed and self._is_outside(instance)

    async def erase(self, agent_id: str) -> None:
        """Nothing of the agent is outside any more.

        Raises:
            PodiumError: `no_coordinator_available`: the replica is away; what is outside would come back one day.
        """
        await self.lose(agent_id)
        if self.replicas is None:
            return
        try:
            await self.replicas.remove(agent_id)
        except ReplicaUnavailableError as error:
            _log.error("replica_not_erased", extra={"agent_id": agent_id, "reason": str(error)})
            raise PodiumError(
                ErrorCode.NO_COORDINATOR_AVAILABLE, "the agent's replica can't be erased now", retry_after=5.0
            ) from error

    async def settled(self) -> None:
        """Returns when nothing is under way, or the replica took too long; for the end of the coordinator."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_SECONDS):
                while self._following:
                    await asyncio.wait(set(self._following.values()))
        if self._following:
            _log.error("not_replicated_at_the_end", extra={"agents": len(self._following)})

    def attached(self) -> Set[str]:
        """The agents that are being replicated, or rest with all of them in the replica."""
        return self._attached

    # ── how far behind ──────────────────────────────────────────────────────────────────────────────────────

    def behind(self) -> int:
        """How many agents have changes that are not being replicated: awake and not attached yet, or at rest with last changes
        that are only here."""
        return len(self._behind_since)

    def is_behind(self, agent_id: str, *, behind: bool = True) -> None:
        """Whether the agent has changes that are not being replicated."""
        if behind:
            self._behind_since.setdefault(agent_id, self._supervisor.parts.clock.monotonic())
        else:
            self._behind_since.pop(agent_id, None)

    def lag_seconds(self) -> float:
        """How long a change needs until it is in the replica: what the last probe took. While something can't be replicated at all,
        for how long that has been so for the one that has waited longest."""
        now = self._supervisor.parts.clock.monotonic()
        waiting = [now - since for since in self._behind_since.values()]
        if self._probe_failed_at is not None:
            waiting.append(now - self._probe_failed_at)
        return max([self._probed, *waiting])

    async def probe(self) -> None:
        """Measures, on one awake agent after another, how long everything committed until now needs to be in the replica."""
        clock = self._supervisor.parts.clock
        last = ""
        while self.replicas is not None:
            await asyncio.sleep(PROBE_SECONDS)
            awake = sorted(agent_id for agent_id in self._attached if not self.replicas.rests(agent_id))
            if not awake:
                self._probed, self._probe_failed_at = 0.0, None
                continue
            last = next((agent_id for agent_id in awake if agent_id > last), awake[0])
            began = clock.monotonic()
            try:
                await self.replicas.sync(last, PROBE_LIMIT_SECONDS)
            except ReplicaUnavailableError:
                if last in self._attached and self._probe_failed_at is None:
                    self._probe_failed_at = began
                continue
            self._probed, self._probe_failed_at = clock.monotonic() - began, None

    async def catch_up(self) -> None:
        """After a start: what is at rest and was not brought outside before the coordinator ended."""
        if self.replicas is None:
            return
        behind = [
            each for each in self._supervisor.instances.values() if not each.is_open and not self._is_outside(each)
        ]
        limit = asyncio.Semaphore(CATCH_UP_AT_ONCE)

        async def bring(instance: "Instance") -> None:
            async with limit:
                if not instance.is_open and not instance.lost:
                    self.owe(instance)
                following = self._following.get(instance.facts.agent_id)
                if following is not None:
                    await asyncio.wait({following}, timeout=PROBE_LIMIT_SECONDS)

        await asyncio.gather(*(bring(instance) for instance in behind))

    def touched(self, instance: "Instance") -> None:
        """Something of the agent is about to change, perhaps while its databases are closed: not all of it is outside then."""
        with suppress(OSError):  # it is not there while they are open
            (instance.directory / OUTSIDE).unlink()

    def owe(self, instance: "Instance") -> None:
        """Brings everything of an agent outside whose databases are closed; of those that are open it is done anyway."""
        if instance.facts.agent_id not in self._open:
            self._owed[instance.facts.agent_id] = instance
            self.changed(instance.facts.agent_id)

    def _is_outside(self, instance: "Instance") -> bool:
        return (instance.directory / OUTSIDE).exists()

    # ── one agent ───────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self, agent_id: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(SETTLE_SECONDS)
        while agent_id in self._changed:
            self._changed.discard(agent_id)
            try:
                await self._bring_in_line(agent_id)
                pause = FIRST_PAUSE_SECONDS
            except (ReplicaUnavailableError, PodiumError, OSError) as error:
                _log.warning("not_replicated", extra={"agent_id": agent_id, "reason": str(error)})
                self._behind_since.setdefault(agent_id, self._supervisor.parts.clock.monotonic())
                if agent_id in self._open or agent_id in self._owed:
                    self._changed.add(agent_id)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_PAUSE_SECONDS)

    async def _bring_in_line(self, agent_id: str) -> None:
        replicas = self.replicas
        assert replicas is not None
        instance = self._open.get(agent_id)
        if instance is not None:
            await self._attach(replicas, instance)
            self._behind_since.pop(agent_id, None)
            return
        instance = self._owed.get(agent_id)
        if instance is None:
            self._behind_since.pop(agent_id, None)
            return
        await self._supervisor.parts.workspaces.uploaded(agent_id)
        if agent_id not in self._attached and not await self._attach(replicas, instance):
            return
        self._attached.discard(agent_id)
        await replicas.detach(agent_id)
        if self._owed.get(agent_id) is instance and agent_id not in self._changed:  # else there is more meanwhile
            del self._owed[agent_id]
            self._behind_since.pop(agent_id, None)
            (instance.directory / OUTSIDE).touch()

    async def _attach(self, replicas: Replicas, instance: "Instance") -> bool:
        """Replicates the agent from now on; False: it is another host's."""
        agent_id = instance.facts.agent_id
        if not await replicas.claim(agent_id, instance.facts.epoch):
            self._supervisor.leases_lost([agent_id])
            return False
        databases = self._databases(instance)
        descriptor = msgspec.json.encode(self._descriptor(instance))
        await replicas.attach(agent_id, instance.facts.epoch, databases, descriptor)
        self._attached.add(agent_id)
        return True

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
