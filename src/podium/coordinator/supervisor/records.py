"""An instance as others know it: as discovery has it, and as the catalog gives it back after a restart."""

from typing import TYPE_CHECKING

import msgspec

from podium.base.discovery import InstanceRecord
from podium.coordinator.adapters.announcer import Everything
from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.supervisor.facts import Facts
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.moved import MOVED, NOBODY
from podium.wire.status import OVER, InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor


class Records:
    """Makes records of the instances of this host."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    def of(self, instance: Instance) -> InstanceRecord:
        """The instance as discovery should know it."""
        facts = instance.facts
        return InstanceRecord(
            instance_id=facts.instance_id,
            agent_id=facts.agent_id,
            tenant_id=facts.tenant_id,
            agent_type=facts.deployment.agent_type,
            deployment_id=facts.deployment.deployment_id,
            coordinator_id=self._supervisor.parts.coordinator_id,
            epoch=facts.epoch,
            status=facts.status,
            created_at=facts.created_at,
            reason=facts.reason,
            shown=instance.showing.heads.seq if instance.showing is not None else 0,
            has_work=self._supervisor.work.of(instance),
        )

    def facts(self, entry: InstanceEntry, *, secret: bool = True) -> Facts:
        """The facts the catalog has; without the secrets when they are not needed.

        Raises:
            SealingError: the secrets can't be opened.
        """
        agent = self._supervisor.parts.catalog.agent(entry.agent_id)
        facts = Facts(
            instance_id=entry.instance_id,
            agent_id=entry.agent_id,
            tenant_id=entry.tenant_id,
            deployment=entry.deployment,
            created_at=entry.created_at,
            uid_slot=agent.uid_slot if agent is not None else 0,
            config=entry.config,
            limits=entry.limits,
            idle_timeout=entry.idle_timeout,
            epoch=entry.epoch,
            status=entry.status,
            reason=entry.reason,
            at_rest=entry.status is InstanceStatus.ASLEEP,
        )
        if secret:
            given = self._supervisor.parts.vault.open(entry.instance_id, entry.sealed)
            facts.environment, facts.secrets = given.environment, given.secrets
        return facts

    def everything(self) -> Everything:
        """All that discovery should know from this host, should it have lost it."""
        agents = {agent.agent_id: agent for agent in self._supervisor.parts.catalog.agents()}
        newest = {
            entry.agent_id: entry for entry in self._supervisor.parts.catalog.instances() if entry.reason != MOVED
        }
        return Everything(
            [
                self._supervisor.births.agent_record(entry, agents[agent_id].created_at)
                for agent_id, entry in newest.items()
            ],
            [self._of_entry(entry) for entry in newest.values()],
        )

    def _of_entry(self, entry: InstanceEntry) -> InstanceRecord:
        here = self._supervisor.instances.get(entry.instance_id)
        if here is not None:
            return self.of(here)
        away = Instance(self.facts(entry, secret=False), self._supervisor.around)
        record = self.of(away)
        is_given_away = self._supervisor.draining and entry.status not in OVER
        return msgspec.structs.replace(record, coordinator_id=NOBODY) if is_given_away else record
