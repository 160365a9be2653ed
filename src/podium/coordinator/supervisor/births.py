"""How an instance is made: all of it, or nothing."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from podium.base.discovery import AgentRecord, DiscoveryUnavailableError
from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.adapters.store import StoreConflictError, StoreDamagedError, StoreError
from podium.coordinator.adapters.vault import Given
from podium.coordinator.domain.admission import admit
from podium.coordinator.supervisor.facts import Facts
from podium.coordinator.supervisor.instance import Instance
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import CREATE_TIMEOUT_SECONDS
from podium.wire.rest import CoordinatorCreate
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)


class Births:
    """Makes instances."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    async def create(self, wanted: CoordinatorCreate) -> tuple[Instance, bool]:
        """The instance `wanted` asks for, ready, and whether it is new.

        The same `instance_id` again, or an agent alive with the same deployment, gives the instance there is. If the
        caller goes away, the start goes on.

        Raises:
            PodiumError: `agent_in_use`, `draining`, `no_coordinator_available`, `agent_start_failed`, `agent_timeout`,
                or what preparing its deployment raised.
        """
        instance, new = self._find(wanted)
        if instance is None:
            instance, new = self._begin(wanted), True
        birth = instance.birth
        if birth is None:
            return instance, new
        await asyncio.wait({birth}, timeout=CREATE_TIMEOUT_SECONDS)
        if not birth.done():
            raise PodiumError(ErrorCode.AGENT_TIMEOUT, "the agent is still starting; ask again", retry_after=1.0)
        if birth.cancelled():
            raise PodiumError(ErrorCode.DRAINING, "this host is going down", retry_after=1.0)
        if (error := birth.result()) is not None:
            raise error
        return instance, new

    def _find(self, wanted: CoordinatorCreate) -> tuple[Instance | None, bool]:
        supervisor = self._supervisor
        known = supervisor.instances.get(wanted.instance_id)
        if known is not None:
            if _is_leaving(known):
                raise PodiumError(ErrorCode.INSTANCE_STOPPING, "this instance is over")
            return known, False
        if supervisor.parts.catalog.instance(wanted.instance_id) is not None:
            raise PodiumError(ErrorCode.INSTANCE_STOPPING, "this instance is over")
        holder = supervisor.of_agent(wanted.agent_id)
        if holder is None:
            if wanted.agent_id in supervisor.removals:
                raise PodiumError(ErrorCode.AGENT_IN_USE, "the agent is being removed")
            return None, True
        same = holder.facts.deployment.deployment_id == wanted.deployment.deployment_id
        if holder.facts.tenant_id != wanted.tenant_id or not same or _is_leaving(holder):
            raise PodiumError(ErrorCode.AGENT_IN_USE, "the agent is alive in another instance")
        return holder, False

    def _begin(self, wanted: CoordinatorCreate) -> Instance:
        supervisor = self._supervisor
        admit(supervisor.room())
        clock = supervisor.parts.clock
        facts = Facts(
            instance_id=wanted.instance_id,
            agent_id=wanted.agent_id,
            tenant_id=wanted.tenant_id,
            deployment=wanted.deployment,
            created_at=clock.now_ms(),
            uid_slot=0,
            config=wanted.config,
            environment=wanted.environment,
            secrets=wanted.secrets,
            limits=wanted.limits,
            idle_timeout=wanted.idle_timeout,
        )
        instance = Instance(facts, supervisor.around)
        supervisor.register(instance)
        instance.birth = supervisor.tasks.start(self._bring_up(instance, wanted), f"create {facts.instance_id}")
        return instance

    async def _bring_up(self, instance: Instance, wanted: CoordinatorCreate) -> PodiumError | None:
        """Makes the instance; returns what went wrong, and then nothing of it is left."""
        new_agent = self._supervisor.parts.catalog.agent(wanted.agent_id) is None
        try:
            await self._prepare(instance, wanted)
            await instance.life.start_first()
            self._supervisor.around.save(instance.facts)
            await self.announce(instance)
        except (PodiumError, StoreError) as error:
            await self.unmake(instance, new_agent=new_agent)
            if isinstance(error, PodiumError):
                return error
            _log.error("not_created", extra={"instance_id": wanted.instance_id, "error": str(error)})
            if isinstance(error, StoreDamagedError | StoreConflictError):
                return PodiumError(ErrorCode.INTERNAL, "the agent's databases can't be made")
            # A full disk: another host may have room.
            return PodiumError(ErrorCode.NO_COORDINATOR_AVAILABLE, "the host can't keep the agent now", retry_after=1.0)
        except BaseException:  # a bug or a cancellation: nothing half made stays then either
            await self.unmake(instance, new_agent=new_agent)
            raise
        instance.birth = None
        return None

    async def _prepare(self, instance: Instance, wanted: CoordinatorCreate) -> None:
        supervisor, facts = self._supervisor, instance.facts
        prepared = await supervisor.parts.deployments.ensure(facts.deployment)
        instance.use_manifest(prepared.manifest)
        await supervisor.runtime_config.read()  # what was written just before this call counts, heard of or not
        await self.claim(instance, wanted.runtime_config)

    async def claim(self, instance: Instance, runtime_config: dict[str, Any]) -> None:
        """The agent is this host's, and known to it with its instance; a crash from here on is seen at the next start.

        Raises:
            PodiumError: `no_coordinator_available`, or `agent_in_use` when the agent can't be had.
        """
        supervisor, facts = self._supervisor, instance.facts
        facts.epoch = await supervisor.adoptions.hold(facts.agent_id)
        await self._bring_data(facts.agent_id)
        catalog = supervisor.parts.catalog
        try:
            agent = catalog.ensure_agent(facts.agent_id, facts.tenant_id, facts.deployment, facts.created_at)
        except StoreConflictError as error:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "this agent_id can't be used") from error
        facts.uid_slot = agent.uid_slot
        sealed = supervisor.parts.vault.seal(facts.instance_id, Given(facts.environment, facts.secrets))
        catalog.put_instance(
            InstanceEntry(
                instance_id=facts.instance_id,
                agent_id=facts.agent_id,
                tenant_id=facts.tenant_id,
                deployment=facts.deployment,
                created_at=facts.created_at,
                config=facts.config,
                runtime_config=runtime_config,
                limits=facts.limits,
                sealed=sealed,
                idle_timeout=facts.idle_timeout,
                epoch=facts.epoch,
            )
        )

    async def _bring_data(self, agent_id: str) -> None:
        """What an agent said and made on another host is here when it goes on here."""
        supervisor = self._supervisor
        if supervisor.parts.replicas is None:
            return
        try:
            await supervisor.adoptions.bring(agent_id)
        except ReplicaUnavailableError as error:
            _log.error("replica_unavailable", extra={"agent_id": agent_id, "reason": str(error)})
            raise PodiumError(
                ErrorCode.NO_COORDINATOR_AVAILABLE, "the agent's replica can't be read", retry_after=1.0
            ) from error

    async def announce(self, instance: Instance) -> None:
        """Tells discovery of a new instance and its agent. If the coordinator ends before, they are told of when it recovers them."""
        supervisor, facts = self._supervisor, instance.facts
        try:
            await supervisor.announcer.write_now(supervisor.records.of(instance))
        except DiscoveryUnavailableError:
            supervisor.announcer.changed(facts.instance_id, lambda: supervisor.records.of(instance))
        await supervisor.announcer.tell([self.agent_of(instance)])

    def agent_of(self, instance: Instance) -> AgentRecord:
        """The agent of an instance as discovery should know it."""
        facts = instance.facts
        agent = self._supervisor.parts.catalog.agent(facts.agent_id)
        return self.agent_record(facts, agent.created_at if agent is not None else facts.created_at)

    async def tell_agent(self, entry: InstanceEntry, created_at: int) -> None:
        """Tells discovery that the data of an agent are here now.

        Raises:
            PodiumError: `no_coordinator_available`: it does not answer.
        """
        try:
            await self._supervisor.parts.discovery.put_agent(self.agent_record(entry, created_at))
        except DiscoveryUnavailableError as error:
            raise PodiumError(
                ErrorCode.NO_COORDINATOR_AVAILABLE, "discovery does not answer", retry_after=1.0
            ) from error

    def agent_record(self, of: Facts | InstanceEntry, created_at: int) -> AgentRecord:
        """An agent as discovery should know it, by its newest instance."""
        return AgentRecord(
            agent_id=of.agent_id,
            tenant_id=of.tenant_id,
            agent_type=of.deployment.agent_type,
            last_deployment_id=of.deployment.deployment_id,
            epoch=of.epoch,
            created_at=created_at,
            instance_id=of.instance_id,
            coordinator_id=self._supervisor.parts.coordinator_id,
        )

    async def unmake(self, instance: Instance, *, new_agent: bool) -> None:
        """Leaves nothing of an instance that could not be made, nor of its agent when that is new."""
        supervisor, facts = self._supervisor, instance.facts
        await instance.life.end_now()
        instance.lost = True
        instance.close_store()
        catalog = supervisor.parts.catalog
        catalog.remove_instance(facts.instance_id)
        if new_agent:
            await supervisor.erase(facts.agent_id)
            with suppress(StoreConflictError):  # another instance of the agent can't be: this one held it
                catalog.remove_agent(facts.agent_id)
        supervisor.forget(instance)
        await supervisor.announcer.release(facts.agent_id)
        with suppress(DiscoveryUnavailableError):  # an instance nobody answers for is found to be gone
            await supervisor.announcer.forget(facts.instance_id)


def _is_leaving(instance: Instance) -> bool:
    """Whether the instance ends or has ended, and is only here until what is left of it is put away. Of one whose birth
    fails, the birth itself tells."""
    return instance.birth is None and (instance.is_over or instance.status is InstanceStatus.STOPPING)
