"""The fence: a host that can't renew its leases ends what it runs before another may begin, and goes on when it may again."""

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from podium.coordinator.supervisor.moved import MOVED
from podium.coordinator.supervisor.recovery import Recovery
from podium.wire.close import CloseCode
from podium.wire.status import OVER, InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

RETURN_SECONDS: Final = 2.0
"""Pause before an agent that is held and could not be brought back is tried again."""


class Fences:
    """Ends what must end at once, and brings back what is still this host's."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._returning: set[str] = set()

    def put_up(self) -> None:
        """Nothing is written from now on, and everything is killed. What the databases hold stays this host's until it is known
        who has the lease."""
        for instance in list(self._supervisor.instances.values()):
            self._end(instance)

    def back(self, agent_ids: Iterable[str]) -> None:
        """These agents are still this host's: they go on."""
        for agent_id in agent_ids:
            if agent_id not in self._returning:
                self._returning.add(agent_id)
                self._supervisor.tasks.start(self._come_back(agent_id), f"bring back {agent_id}")

    def lost(self, agent_ids: Iterable[str]) -> None:
        """Other hosts may run these agents now: theirs end here at once, and nothing more is written."""
        for agent_id in agent_ids:
            instance = self._supervisor.of_agent(agent_id)
            if instance is not None:
                self._end(instance)
            else:  # it is put aside, perhaps, and its databases are replicated still
                self._supervisor.tasks.start(self._supervisor.replication.lose(agent_id), f"lose {agent_id}")
            entry = self._supervisor.parts.catalog.alive_instance(agent_id)
            if entry is not None:
                self._supervisor.parts.catalog.set_status(entry.instance_id, InstanceStatus.TERMINATED, reason=MOVED)

    def _end(self, instance: "Instance") -> None:
        """Synchronous: when this returns, nothing is written any more."""
        supervisor = self._supervisor
        if instance.lost:
            return  # it is on its way out already
        instance.lost = True
        agent_id = instance.facts.agent_id
        self._ending[agent_id] = supervisor.tasks.start(
            self._give_up(instance), f"give up {instance.facts.instance_id}"
        )

    async def _give_up(self, instance: "Instance") -> None:
        supervisor = self._supervisor
        await asyncio.gather(instance.life.end_now(), supervisor.replication.lose(instance.facts.agent_id))
        supervisor.forget(instance)
        instance.dismiss(CloseCode.MOVING, "the agent has moved to another host")
        instance.close_store()
        self._ending.pop(instance.facts.agent_id, None)
        await supervisor.parts.workspaces.detach(instance.facts.agent_id)

    async def _come_back(self, agent_id: str) -> None:
        try:
            await self._until_back(agent_id)
        finally:
            self._returning.discard(agent_id)

    async def _until_back(self, agent_id: str) -> None:
        supervisor = self._supervisor
        while not supervisor.draining:
            if (ending := self._ending.get(agent_id)) is not None:
                await asyncio.wait({ending})
            entry = supervisor.parts.catalog.alive_instance(agent_id)
            if entry is None or entry.status in OVER or supervisor.of_agent(agent_id) is not None:
                return
            if entry.instance_id in supervisor.asides:
                return  # it comes back when its databases can be written
            if await Recovery(supervisor).bring_back(entry):
                _log.info("brought_back", extra={"agent_id": agent_id})
                return
            await asyncio.sleep(RETURN_SECONDS)
