"""After a restart of the coordinator: every instance is where it was, and what has work is started."""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from podium.base.discovery import DiscoveryUnavailableError
from podium.base.sealing import SealingError
from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.store import StoreDamagedError, StoreError
from podium.coordinator.domain.lifecycle import Change
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.moved import MOVED
from podium.wire.errors import PodiumError
from podium.wire.status import OVER, InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)


class Recovery:
    """Brings back what the catalog knows. What can't be brought back is reported and left alone; the others go on."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    async def run(self) -> None:
        """Recovers all instances, databases first, then starts those with work."""
        self._forget_unborn()
        entries = [entry for entry in self._supervisor.parts.catalog.instances() if entry.status not in OVER]
        for entry in entries:
            await self._recover(entry)
        await self._tell()
        for instance in list(self._supervisor.instances.values()):
            self._go_on(instance)

    def _forget_unborn(self) -> None:
        """An agent never had an instance when the coordinator ended before it had one: its name is free again. Nothing of it was
        written; what other hosts have of an agent of this name is theirs."""
        catalog = self._supervisor.parts.catalog
        born = {entry.agent_id for entry in catalog.instances()}
        for agent in catalog.agents():
            if agent.agent_id not in born:
                catalog.remove_agent(agent.agent_id)

    async def _tell(self) -> None:
        """Discovery hears of all that is here: the coordinator may have ended when an agent was made, and not yet told of."""
        supervisor = self._supervisor
        with suppress(DiscoveryUnavailableError):  # the loop writes them again
            await supervisor.announcer.flush()
        await supervisor.announcer.tell([supervisor.births.agent_of(one) for one in supervisor.instances.values()])

    async def bring_back(self, entry: InstanceEntry, *, held: bool = False) -> bool:
        """Recovers one instance and starts it if it has work; False when it can't be recovered now. `held`: its lease is this host's under
        the entry's epoch, and nobody has newer data."""
        if not await self._recover(entry, held=held):
            return False
        instance = self._supervisor.instances.get(entry.instance_id)
        if instance is not None:
            self._go_on(instance)
        return True

    def _go_on(self, instance: Instance) -> None:
        if instance.is_open and instance.store.moments.pending() is not None:
            self._supervisor.rewinds.finish(instance)
            return
        if instance.is_open and (instance.queue.has_work or instance.requests.next_deadline() is not None):
            instance.life.wake()
        instance.rest()

    async def _recover(self, entry: InstanceEntry, *, held: bool = False) -> bool:
        try:
            await self._restore(entry, held=held)
        except (StoreError, SealingError, PodiumError) as error:
            _log.error("not_recovered", extra={"instance_id": entry.instance_id, "error": str(error)})
            return self._set_aside(entry, error)
        return True

    def _set_aside(self, entry: InstanceEntry, error: Exception) -> bool:
        """An instance that can't be recovered is not here; one whose databases are damaged has failed. Returns whether
        that is the end of it."""
        supervisor = self._supervisor
        instance = supervisor.instances.get(entry.instance_id)
        if instance is not None:
            supervisor.forget(instance)
            instance.lost = True
            instance.close_store()
        if isinstance(error, StoreDamagedError):
            reason = "its databases are damaged; see `podium doctor`"
            supervisor.parts.catalog.set_status(entry.instance_id, InstanceStatus.FAILED, reason=reason)
            return True
        return False

    async def _restore(self, entry: InstanceEntry, *, held: bool) -> None:
        supervisor = self._supervisor
        if entry.status is InstanceStatus.DEPLOYING:
            await self._unmake(entry)
            return
        instance = Instance(supervisor.records.facts(entry), supervisor.around)
        if not held and not await self._hold(instance):
            _log.info("moved_away", extra={"agent_id": entry.agent_id, "instance_id": entry.instance_id})
            supervisor.parts.catalog.set_status(entry.instance_id, InstanceStatus.TERMINATED, reason=MOVED)
            return
        if supervisor.of_agent(entry.agent_id) is not None:
            return  # somebody else brought it back while its lease was asked for; two would write the same databases
        supervisor.register(instance)
        if entry.status is InstanceStatus.STOPPING:
            await supervisor.finish(instance, "stop")
            return
        if not instance.facts.at_rest:
            self._host_lost(instance)
        supervisor.announcer.changed(entry.instance_id, lambda: supervisor.records.of(instance))

    async def _hold(self, instance: Instance) -> bool:
        """Whether this coordinator may still run the agent. If nobody can tell, it still has its lease, or had it last."""
        try:
            epoch = await self._supervisor.announcer.acquire(instance.facts.agent_id, instance.facts.epoch)
        except DiscoveryUnavailableError:
            return True
        if epoch is None or not await self._is_newest(instance, epoch):
            return False
        instance.facts.epoch = epoch
        return True

    async def _is_newest(self, instance: Instance, epoch: int) -> bool:
        """Whether no other host went on with the agent while this one was away: its data would be older than the replica's."""
        supervisor, agent_id = self._supervisor, instance.facts.agent_id
        if supervisor.parts.replicas is None:
            return True
        if await supervisor.replication.claim(agent_id, epoch) and not await supervisor.adoptions.is_elsewhere(
            agent_id
        ):
            # The next epoch is given also after the lease was given back; a later one, when another host had it in between. Whoever
            # had it may have erased the agent, and then there is no replica.
            had_by_another = epoch > instance.facts.epoch + 1
            if not had_by_another or not await supervisor.adoptions.was_erased(agent_id):
                return True
        _log.warning("another_host_went_on", extra={"agent_id": agent_id, "instance_id": instance.facts.instance_id})
        await supervisor.announcer.release(agent_id)
        return False

    def _host_lost(self, instance: Instance) -> None:
        store = instance.store
        running = instance.queue.running
        instance.facts.status = InstanceStatus.RUNNING if running is not None else InstanceStatus.READY
        with instance.step() as step:
            instance.note(step, "warning", "the coordinator was started again", last_seq=store.head_seq)
            instance.turns.process_lost(step)
            instance.change(step, Change.HOST_LOST)

    async def _unmake(self, entry: InstanceEntry) -> None:
        """The coordinator ended while this was being made, so nobody was told of it: nothing of it stays."""
        supervisor = self._supervisor
        catalog = supervisor.parts.catalog
        is_only_one = len(catalog.instances(entry.agent_id)) == 1
        if is_only_one:  # before it is forgotten: should this be cut off, too, it is done again
            await supervisor.erase(entry.agent_id)
        catalog.remove_instance(entry.instance_id)
        if is_only_one:
            catalog.remove_agent(entry.agent_id)
        with suppress(DiscoveryUnavailableError):  # an instance nobody answers for is found to be gone
            await supervisor.parts.discovery.remove_instances([entry.instance_id])
