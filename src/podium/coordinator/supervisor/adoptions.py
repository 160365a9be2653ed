"""Adoptions: an agent whose host is gone, or gave it away, goes on here with what its replica has.

The lease is taken first, then the replica's epoch is claimed, then everything is restored beside and moved into place. What
this host itself has of the agent counts only when nothing newer is in the replica; older data are put aside, never run.
"""

import asyncio
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from chronicle import remove_tree
from podium.base.discovery import DiscoveryUnavailableError
from podium.coordinator.adapters.replication import Replica, ReplicaUnavailableError
from podium.coordinator.adapters.store import StoreConflictError
from podium.coordinator.adapters.store.database import KINDS
from podium.coordinator.adapters.store.lost import end_history
from podium.coordinator.domain.admission import admit
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.lost_tails import LostTails
from podium.coordinator.supervisor.moved import MOVED
from podium.coordinator.supervisor.recovery import Recovery
from podium.coordinator.supervisor.replication import HISTORY, Descriptor
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Deployment
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

ADOPT_SECONDS: Final = 120.0
"""How long restoring an agent may take; most take well below a second."""

STALE_PREFIX: Final = ".stale-"
"""Directories among the agents' begin so where data lie that another host has newer ones of; the last of each agent."""

STALE_SECONDS: Final = 7 * 24 * 3600.0
"""How long such data are kept, at least: time for a person to look into them. They are removed when the coordinator starts."""

STALE_FREE_SHARE: Final = 0.2
"""With less of the disk free than this share nothing stale is kept: agents need the room more than a person who might look."""

ADOPTING_PREFIX: Final = ".adopting-"
"""Directories among the agents' begin so where an agent is being restored."""

PAST: Final = "past"
"""In an agent's directory: the history its workspace is made from. It is there only while the agent is being adopted."""


class Adoptions:
    """Takes agents over. Many calls for one agent are one adoption."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._running: dict[str, asyncio.Task[PodiumError | None]] = {}
        self.tails = LostTails(supervisor)

    async def adopt(self, agent_id: str, instance_id: str, seen: int = 0) -> Instance:
        """The instance, here. If the caller goes away, the adoption goes on. `seen`: the newest event the caller knows of.

        Raises:
            PodiumError: `agent_in_use` while another host holds the agent, `instance_not_found` when its newest instance is
                another or was stopped, `no_coordinator_available`, `draining`, `workspace_unavailable` (also while it is put aside here).
        """
        supervisor = self._supervisor
        self.tails.seen(agent_id, seen)
        supervisor.asides.refuse(instance_id)  # its databases are still open, and it comes back by itself
        task = self._running.get(agent_id)
        if task is None and instance_id not in supervisor.instances:
            task = supervisor.tasks.start(self._adopt(agent_id, instance_id), f"adopt {agent_id}", awaited=True)
            self._running[agent_id] = task
            task.add_done_callback(lambda _: self._running.pop(agent_id, None))
        if task is not None and (error := await asyncio.shield(task)) is not None:
            raise error
        return supervisor.alive(instance_id)

    async def _adopt(self, agent_id: str, instance_id: str) -> PodiumError | None:
        try:
            async with asyncio.timeout(ADOPT_SECONDS):
                await self._take_over(agent_id, instance_id)
        except PodiumError as error:
            return error
        except TimeoutError:
            return PodiumError(ErrorCode.WORKSPACE_UNAVAILABLE, "restoring the agent took too long", retry_after=1.0)
        except ReplicaUnavailableError as error:
            _log.error("not_adopted", extra={"agent_id": agent_id, "reason": str(error)})
            return PodiumError(ErrorCode.WORKSPACE_UNAVAILABLE, "the agent's replica can't be read", retry_after=1.0)
        return None

    async def _take_over(self, agent_id: str, instance_id: str) -> None:
        supervisor = self._supervisor
        admit(supervisor.room())
        epoch = await self.hold(agent_id)
        try:
            descriptor = await self.bring(agent_id)
            entry = supervisor.parts.catalog.instance(instance_id)
            if entry is None and descriptor is not None and descriptor.instance.instance_id == instance_id:
                entry = descriptor.instance
            if entry is None:
                raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "the agent has no such instance any more")
            entry = msgspec.structs.replace(entry, epoch=epoch)
            supervisor.parts.catalog.put_instance(entry)
            if not await Recovery(supervisor).bring_back(entry, held=True):
                raise PodiumError(ErrorCode.INTERNAL, "the agent could not be brought back", retry_after=1.0)
        except BaseException:
            if supervisor.of_agent(agent_id) is None:
                await supervisor.announcer.release(agent_id)
            raise
        instance = supervisor.alive(instance_id)  # it may have failed at once
        await supervisor.births.announce(instance)
        await supervisor.announcer.moved(supervisor.records.of(instance))
        supervisor.parts.metrics.add("adoptions_total")
        _log.info("adopted", extra={"agent_id": agent_id, "instance_id": instance_id, "epoch": epoch})

    async def hold(self, agent_id: str) -> int:
        """The epoch under which the agent is this host's: its lease is held, and the replica claimed.

        Raises:
            PodiumError: `agent_in_use`, `no_coordinator_available` when discovery is away.
        """
        supervisor = self._supervisor
        above = max(0, self.local_epoch(agent_id))
        for _ in range(2):
            epoch = await self._lease(agent_id, above)
            if await supervisor.replication.claim(agent_id, epoch):
                return epoch
            await supervisor.announcer.release(agent_id)
            # Its lease is free and a later epoch claimed: discovery has lost its memory, or a claimant its lease.
            above = await supervisor.replication.claimed(agent_id)
        raise PodiumError(ErrorCode.AGENT_IN_USE, "another host has claimed the agent", retry_after=1.0)

    async def _lease(self, agent_id: str, above: int) -> int:
        try:
            epoch = await self._supervisor.announcer.acquire(agent_id, above)
        except DiscoveryUnavailableError as error:
            raise PodiumError(
                ErrorCode.NO_COORDINATOR_AVAILABLE, "discovery does not answer", retry_after=1.0
            ) from error
        if epoch is None:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "the agent is alive on another host", retry_after=1.0)
        return epoch

    async def fetch(self, agent_id: str) -> None:
        """Brings the data of an agent here that no instance of is alive, so that they can be read; nothing is started.

        Raises:
            PodiumError: `agent_in_use`, `agent_not_found` when there is no replica, `no_coordinator_available`, `draining`,
                `workspace_unavailable`.
        """
        supervisor = self._supervisor
        if self.local_epoch(agent_id) >= 0 and not await self.is_elsewhere(agent_id):
            return
        if supervisor.of_agent(agent_id) is not None:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "an instance of the agent is alive here")
        admit(supervisor.room())
        epoch = await self.hold(agent_id)
        try:
            async with asyncio.timeout(ADOPT_SECONDS):
                descriptor = await self.bring(agent_id)
            if descriptor is None:
                raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "there are no data of the agent")
            over = msgspec.structs.replace(descriptor.instance, epoch=epoch, status=InstanceStatus.TERMINATED)
            supervisor.parts.catalog.put_instance(over)
            await supervisor.births.tell_agent(over, descriptor.agent_created_at)
        except (ReplicaUnavailableError, TimeoutError) as error:
            _log.error("not_fetched", extra={"agent_id": agent_id, "reason": str(error)})
            raise PodiumError(
                ErrorCode.WORKSPACE_UNAVAILABLE, "the agent's replica can't be read", retry_after=1.0
            ) from error
        finally:
            await supervisor.announcer.release(agent_id)

    async def bring(self, agent_id: str) -> Descriptor | None:
        """Sees to it that this host has the newest data of an agent whose lease it holds: restores them when a replica is newer.
        What the replica says of the agent; None when there is none, or ours are newer.

        Raises:
            ReplicaUnavailableError: nobody can tell, or not all of it can be read.
        """
        replicas = self._supervisor.parts.replicas
        newest = await replicas.newest(agent_id) if replicas is not None else None
        if newest is None and replicas is not None and self._went_away(agent_id):
            await self._set_aside(agent_id)  # whoever had it last has erased it
        if newest is None or newest.generation.epoch < self.local_epoch(agent_id):
            return None
        descriptor = msgspec.json.decode(newest.manifest.descriptor, type=Descriptor)
        if newest.generation.epoch > self.local_epoch(agent_id):
            await self._restore(agent_id, newest, descriptor)
        return descriptor

    async def deployment_of(self, agent_id: str) -> Deployment | None:
        """What an agent that may be adopted was started from last; None when there is no replica.

        Raises:
            ReplicaUnavailableError: nobody can tell.
        """
        replicas = self._supervisor.parts.replicas
        newest = await replicas.newest(agent_id) if replicas is not None else None
        if newest is None:
            return None
        return msgspec.json.decode(newest.manifest.descriptor, type=Descriptor).instance.deployment

    async def is_elsewhere(self, agent_id: str) -> bool:
        """Whether the replica has something newer than this host. One that is away has told nobody anything newer: False."""
        replicas = self._supervisor.parts.replicas
        try:
            newest = await replicas.newest(agent_id) if replicas is not None else None
        except ReplicaUnavailableError:
            return False
        return newest is not None and newest.generation.epoch > self.local_epoch(agent_id)

    async def was_erased(self, agent_id: str) -> bool:
        """Whether there is no replica of an agent that had one: somebody erased it. One that is away: False."""
        replicas = self._supervisor.parts.replicas
        try:
            return replicas is not None and await replicas.newest(agent_id) is None
        except ReplicaUnavailableError:
            return False

    def local_epoch(self, agent_id: str) -> int:
        """The newest epoch this host ran the agent under; -1 when it has nothing of it."""
        entries = self._supervisor.parts.catalog.instances(agent_id)
        return max((entry.epoch for entry in entries), default=-1)

    async def _restore(self, agent_id: str, replica: Replica, descriptor: Descriptor) -> None:
        supervisor = self._supervisor
        assert supervisor.parts.replicas is not None
        await self._set_aside(agent_id)
        beside = supervisor.parts.directory / f"{ADOPTING_PREFIX}{agent_id}"
        await asyncio.to_thread(remove_tree, beside, ignore_errors=True)
        places = {kind.name: (beside / kind.path).parent for kind in KINDS} | {HISTORY: beside / PAST / "history"}
        await supervisor.parts.replicas.restore(replica, places)
        await self.tails.fill(descriptor.instance, beside)
        entry, catalog = descriptor.instance, supervisor.parts.catalog
        catalog.ensure_agent(agent_id, entry.tenant_id, entry.deployment, descriptor.agent_created_at)
        target = supervisor.parts.directory / agent_id
        await asyncio.to_thread(_move_into_place, beside, target)
        try:
            at = 0  # files that no replica has yet
            if descriptor.workspace is not None:
                at = await supervisor.parts.workspaces.adopt(agent_id, target / PAST, descriptor.workspace)
            if turns := await asyncio.to_thread(end_history, target, at):
                _log.warning("files_lost", extra={"agent_id": agent_id, "iteration": at, "turns": len(turns)})
        except BaseException:  # half of an agent would be taken for all of it
            await asyncio.to_thread(remove_tree, target, ignore_errors=True)
            raise
        await asyncio.to_thread(remove_tree, target / PAST, ignore_errors=True)

    async def _set_aside(self, agent_id: str) -> None:
        await self._supervisor.parts.workspaces.detach(agent_id)
        self._forget(agent_id)
        await asyncio.to_thread(self._put_aside, agent_id)

    def _went_away(self, agent_id: str) -> bool:
        """Whether another host had the agent after this one."""
        entries = self._supervisor.parts.catalog.instances(agent_id)
        return bool(entries) and entries[-1].reason == MOVED

    def _put_aside(self, agent_id: str) -> None:
        """Data of this host that another one has newer ones of: kept once, for a person to look into."""
        directory = self._supervisor.parts.directory
        here, aside = directory / agent_id, directory / f"{STALE_PREFIX}{agent_id}"
        if not here.exists():
            return
        _log.warning("stale_data_put_aside", extra={"agent_id": agent_id, "directory": str(aside)})
        remove_tree(aside, ignore_errors=True)
        here.rename(aside)
        os.utime(aside)  # from now on it is old
        disk = shutil.disk_usage(directory)
        if disk.free < disk.total * STALE_FREE_SHARE:
            for place in directory.glob(f"{STALE_PREFIX}*"):
                _log.warning("stale_data_removed", extra={"directory": str(place), "free": disk.free})
                remove_tree(place, ignore_errors=True)

    def _forget(self, agent_id: str) -> None:
        """First the catalog, then the directory: an agent in the catalog without its data would be taken for a new one."""
        catalog = self._supervisor.parts.catalog
        for entry in catalog.instances(agent_id):
            catalog.remove_instance(entry.instance_id)
        with suppress(StoreConflictError):  # nothing of it is alive: all its instances are gone
            catalog.remove_agent(agent_id)

    def clean_up(self, now_ms: int) -> None:
        """Removes what a crash in the middle of an adoption left, and stale data that nobody wanted for long; puts data of agents
        that went on elsewhere aside. Blocks; at start, when nothing is mounted."""
        directory, catalog = self._supervisor.parts.directory, self._supervisor.parts.catalog
        for agent in catalog.agents():
            if self._went_away(agent.agent_id):
                self._forget(agent.agent_id)
                self._put_aside(agent.agent_id)
        for place in directory.iterdir() if directory.is_dir() else ():
            is_half = place.name.startswith(ADOPTING_PREFIX)
            is_old = place.name.startswith(STALE_PREFIX) and place.stat().st_mtime < now_ms / 1000 - STALE_SECONDS
            if not place.name.startswith(".") and (place / PAST).is_dir():
                remove_tree(place / PAST, ignore_errors=True)
                is_half = not catalog.instances(place.name)
            if is_half or is_old:
                _log.info("left_over_removed", extra={"directory": str(place)})
                remove_tree(place, ignore_errors=True)


def _move_into_place(beside: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside.chmod(0o755)
    beside.rename(target)
