"""Forks: a new agent that begins as another was at some moment.

Nothing is copied: databases and files are shared with the source up to the moment (see `adapters.store.sealing`), and each
goes on by itself. The fork has an instance at once, asleep, with the deployment, configuration, environment and secrets of
the source's newest instance, so that it can be talked to and looked into like any other.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from podium.base.sealing import SealingError
from podium.coordinator.adapters.store import Moment, MomentRow, StoreError
from podium.coordinator.adapters.vault import Given
from podium.coordinator.supervisor import moments
from podium.coordinator.supervisor.facts import Facts
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import settled
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import AgentForked
from podium.wire.moments import CoordinatorFork
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)


class Forks:
    """Makes forks of agents of this host."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    async def fork(self, source_id: str, wanted: CoordinatorFork, tenant_id: str | None) -> tuple[Instance, Moment]:
        """The instance of the new agent, asleep, and the moment it begins with. If the caller goes away, the fork goes on.

        Raises:
            PodiumError: `agent_not_found`, `turn_not_found`, `busy`, `agent_in_use` when `wanted.agent_id` is taken,
                `iteration_not_found` when the files of that moment can't be had, `draining`.
        """
        supervisor = self._supervisor
        if wanted.instance_id not in supervisor.instances:
            source = moments.resident(supervisor, source_id, tenant_id)
            moment = await moments.find(source, wanted.at)
            if wanted.instance_id not in supervisor.instances:  # the same call may have come twice
                self._begin(source, wanted, moment)
        instance = supervisor.instances[wanted.instance_id]
        birth = instance.birth
        if birth is not None and (error := await asyncio.shield(birth)) is not None:
            raise error
        return instance, self._origin(instance)

    @staticmethod
    def _origin(instance: Instance) -> Moment:
        with instance.reading() as store:
            origin = store.moments.origin()
            ended = store.moments.at(origin.to_seq) if origin is not None else None
        if origin is None:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "this instance is no fork")
        if ended is not None and ended.seq == origin.to_seq:
            return ended
        return Moment(origin.to_seq, origin.state_version, origin.iteration)

    def _begin(self, source: Instance, wanted: CoordinatorFork, moment: Moment) -> None:
        supervisor = self._supervisor
        if supervisor.draining:
            raise PodiumError(ErrorCode.DRAINING, "this host is going down", retry_after=1.0)
        taken = (
            supervisor.of_agent(wanted.agent_id) is not None
            or wanted.agent_id in supervisor.removals
            or supervisor.parts.catalog.agent(wanted.agent_id) is not None
        )
        if taken:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "there is an agent of this agent_id")
        facts = self._facts(source, wanted)
        instance = Instance(facts, supervisor.around)
        supervisor.register(instance)
        instance.birth = supervisor.tasks.start(
            self._bring_up(source, instance, moment), f"fork {facts.instance_id}", awaited=True
        )

    def _facts(self, source: Instance, wanted: CoordinatorFork) -> Facts:
        supervisor, old = self._supervisor, source.facts
        entry = supervisor.parts.catalog.instance(old.instance_id)
        try:
            given = supervisor.parts.vault.open(old.instance_id, entry.sealed) if entry is not None else Given({}, {})
        except SealingError as error:
            raise PodiumError(ErrorCode.INTERNAL, "the agent's secrets can't be opened") from error
        return Facts(
            instance_id=wanted.instance_id,
            agent_id=wanted.agent_id,
            tenant_id=old.tenant_id,
            deployment=old.deployment,
            created_at=supervisor.parts.clock.now_ms(),
            uid_slot=0,
            config=old.config,
            environment=given.environment,
            secrets=given.secrets,
            limits=old.limits,
            idle_timeout=old.idle_timeout,
        )

    async def _bring_up(self, source: Instance, instance: Instance, moment: Moment) -> PodiumError | None:
        """Makes the fork; returns what went wrong, and then nothing of it is left."""
        supervisor = self._supervisor
        try:
            await self._make(source, instance, moment)
            await supervisor.births.announce(instance)
        except (PodiumError, StoreError) as error:
            await supervisor.births.unmake(instance, new_agent=True)
            if isinstance(error, PodiumError):
                return error
            _log.error("not_forked", extra={"instance_id": instance.facts.instance_id, "error": str(error)})
            return PodiumError(ErrorCode.INTERNAL, "the agent's databases can't be shared")
        except BaseException:  # a bug or a cancellation: nothing half made stays then either
            await supervisor.births.unmake(instance, new_agent=True)
            raise
        instance.birth = None
        supervisor.parts.metrics.add("forks_total")
        return None

    async def _make(self, source: Instance, instance: Instance, moment: Moment) -> None:
        supervisor, facts = self._supervisor, instance.facts
        await supervisor.births.claim(instance, {})
        supervisor.parts.store_options.fault("fork.claimed")
        async with supervisor.replication.apart(source.facts.agent_id):
            both = (
                supervisor.parts.workspaces.fork(source.facts.agent_id, moment.iteration, facts.agent_id),
                moments.sealed(source, moment),
            )
            for done in await asyncio.gather(
                *both, return_exceptions=True
            ):  # neither goes on when the other has failed
                if done is not None:
                    raise done
        supervisor.parts.store_options.fault("fork.files")
        with source.reading() as store:
            store.fork(instance.directory, facts.agent_id, moment.seq, moment.state_version)
        supervisor.parts.store_options.fault("fork.shared")
        self._begin_life(source, instance, moment)
        await settled(instance)
        instance.close_store()

    def _begin_life(self, source: Instance, instance: Instance, moment: Moment) -> None:
        """The fork's first event; it sleeps."""
        instance.facts.status = InstanceStatus.ASLEEP
        content = AgentForked(
            agent_id=source.facts.agent_id,
            seq=moment.seq,
            state_version=moment.state_version,
            iteration=moment.iteration,
            turn_id=moment.turn_id or None,
        )
        with instance.step() as step:
            event = step.event("agent.forked", content)
            version, iteration = moment.state_version, moment.iteration
            row = MomentRow(event.seq, "fork", moment.seq, version, iteration, version, iteration)
            step.batch.turn_back(row)
