"""What an agent had shown when its host was lost, and its replica does not have: its numbers are never given again."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from podium.base.discovery import DiscoveryUnavailableError, InstanceRecord
from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.adapters.store import StoreError
from podium.coordinator.adapters.store.lost import fill_lost, refuse_damaged
from podium.coordinator.adapters.store.unended import LOST_EVENT
from podium.coordinator.domain.lost_tail import SHOWN_EVENTS_MAX, Known, fill_upto
from podium.coordinator.supervisor.instance import Instance
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)


class LostTails:
    """Fills the journals of agents that were restored on this host."""

    def __init__(self, supervisor: "Supervisor", margin: int = SHOWN_EVENTS_MAX) -> None:
        self._supervisor = supervisor
        self._margin = margin
        self._seen: dict[str, int] = {}
        self._late: dict[str, int] = {}

    def seen(self, agent_id: str, seq: int) -> None:
        """Somebody was shown event `seq` of an agent that is about to be restored here."""
        if seq and self._supervisor.of_agent(agent_id) is None:
            self._seen[agent_id] = max(seq, self._seen.get(agent_id, 0))

    async def fill(self, entry: InstanceEntry, directory: Path) -> None:
        """Fills the restored databases in `directory`, which nobody has used yet.

        Raises:
            ReplicaUnavailableError: they, or what was shown, can't be read now.
        """
        agent_id, parts = entry.agent_id, self._supervisor.parts
        synced = entry.limits.durability == "sync"
        try:
            await asyncio.to_thread(refuse_damaged, directory)
            record = await self._newest(entry)
            found = await asyncio.to_thread(fill_lost, directory, agent_id, parts.clock, entry.instance_id, 0)
            known = Known(
                head=found.head,
                shown=record.shown if record is not None else 0,
                seen=self._seen.pop(agent_id, 0),
                status=record.status if record is not None else InstanceStatus.READY,
                given_up=record is not None and not record.coordinator_id,
                synced=synced,
                worked=record is not None and record.has_work,
            )
            upto = fill_upto(known, self._margin)
            await asyncio.to_thread(fill_lost, directory, agent_id, parts.clock, entry.instance_id, upto)
        except (DiscoveryUnavailableError, StoreError) as error:
            raise ReplicaUnavailableError(f"{agent_id} can't go on from what was restored: {error}") from error
        if not synced:
            self._late[agent_id] = self._margin
        if upto > found.head or found.versions:
            lost = {"after": found.head, "upto": upto, "versions": found.versions, "turns": found.turns}
            _log.warning("tail_lost", extra={"agent_id": agent_id, **lost})

    def claimed(self, instance: Instance, seq: int) -> bool:
        """A client says it has seen event `seq`, which is above the newest there is. If this can be true, for the agent came here
        when its host was lost, the journal is filled up to it.

        Raises:
            PodiumError: it can't be written.
        """
        missing = seq - instance.store.head_seq
        room = self._late.get(instance.facts.agent_id, 0)
        if not 0 < missing <= room:
            return False
        self._late[instance.facts.agent_id] = room - missing
        _log.warning("tail_lost_late", extra={"agent_id": instance.facts.agent_id, "upto": seq})
        with instance.step() as step:
            for _ in range(missing):
                step.event(LOST_EVENT, b"")
        return True

    async def _newest(self, entry: InstanceEntry) -> InstanceRecord | None:
        """What discovery was told last of any of the agent's instances: of the one in the replica, or of a later one."""
        discovery = self._supervisor.parts.discovery
        agent = await discovery.agent(entry.agent_id)
        ids = {entry.instance_id, agent.instance_id if agent is not None and agent.instance_id else entry.instance_id}
        records = [await discovery.instance(instance_id) for instance_id in sorted(ids)]
        return max((record for record in records if record is not None), key=lambda each: each.shown, default=None)
