"""All instances of this host: found, stopped, removed, drained. How they are made is in `births`, how they come back
after a restart of the coordinator in `recovery`."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from chronicle import remove_tree
from podium.base.clock import Clock
from podium.base.discovery import Discovery, DiscoveryUnavailableError
from podium.base.entropy import IdSource
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.base.timers import Timers
from podium.base.vitals import disk_free
from podium.coordinator.adapters.announcer import Announcer
from podium.coordinator.adapters.catalog import Catalog, InstanceEntry
from podium.coordinator.adapters.load import memory_in_use
from podium.coordinator.adapters.replication import Replicas
from podium.coordinator.adapters.store import AgentStore, StoreConflictError, StoreError, StoreOptions
from podium.coordinator.adapters.vault import Vault
from podium.coordinator.domain.admission import Room, accept
from podium.coordinator.domain.lifecycle import Change, allows
from podium.coordinator.domain.ports import CredentialBroker, Deployments, ProcessHost, Workspaces
from podium.coordinator.domain.turns import Ending
from podium.coordinator.supervisor.adoptions import Adoptions
from podium.coordinator.supervisor.asides import Asides
from podium.coordinator.supervisor.births import Births
from podium.coordinator.supervisor.departures import RESERVE_SECONDS, Departures
from podium.coordinator.supervisor.facts import Facts, Surroundings, Timings
from podium.coordinator.supervisor.fences import Fences
from podium.coordinator.supervisor.forks import Forks
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.moved import MOVED
from podium.coordinator.supervisor.outside_files import OutsideFiles
from podium.coordinator.supervisor.records import Records
from podium.coordinator.supervisor.recovery import Recovery
from podium.coordinator.supervisor.replication import Replication
from podium.coordinator.supervisor.rescues import Rescues
from podium.coordinator.supervisor.rewinds import Rewinds
from podium.coordinator.supervisor.runtime_config import RuntimeConfig
from podium.coordinator.supervisor.showing import LAST_WORDS_SECONDS, settled
from podium.coordinator.supervisor.templates import Templates
from podium.coordinator.supervisor.tenants import TenantBudgets
from podium.coordinator.supervisor.work import Work
from podium.wire.budgets import Allowance
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import Reason, Terminated
from podium.wire.rest import Deployment
from podium.wire.status import OVER, InstanceStatus

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capacity:
    """How much this host takes. `agents` awake at once; `memory` in use on the host, in bytes, 0 = no limit. With less of the disk free
    than `disk_reserve` it takes no more agents, with less than `write_reserve` no more messages (shares, 0 to 1)."""

    agents: int = 2_000
    memory: int = 0
    disk_reserve: float = 0.0
    write_reserve: float = 0.0


@dataclass(frozen=True)
class Parts:
    """What the supervisor is made of."""

    coordinator_id: str
    clock: Clock
    new_id: IdSource
    processes: ProcessHost
    workspaces: Workspaces
    deployments: Deployments
    broker: CredentialBroker
    catalog: Catalog
    vault: Vault
    discovery: Discovery
    directory: Path
    """Where agents' directories are."""
    capacity: Capacity = Capacity()
    timings: Timings = field(default_factory=Timings)
    replicas: Replicas | None = None
    """Where agents' databases are brought outside this host; None: nowhere."""
    tenant_allowance: Allowance = field(default_factory=Allowance)
    """What agents of a tenant together may spend, unless something was set for it."""
    store_options: StoreOptions = field(default_factory=StoreOptions)
    metrics: Metrics = field(default_factory=lambda: Metrics("coordinator"))


class Supervisor:
    """The instances of this host."""

    def __init__(self, parts: Parts, announcer: Announcer, tasks: TaskOwner) -> None:
        self.parts = parts
        self.announcer = announcer
        self.tasks = tasks
        self.timers = Timers(parts.clock)
        self.draining = False
        self.instances: dict[str, Instance] = {}
        self._by_agent: dict[str, Instance] = {}
        self._closers = TaskOwner("databases")
        self._closed = False
        self._retiring: set[asyncio.Task[None]] = set()
        self.removals: dict[str, asyncio.Task[None]] = {}  # agents being erased: nothing of their name may be made
        self.runtime_config = RuntimeConfig(self)
        self.replication = Replication(self)
        self.asides, self.tenants = Asides(self), TenantBudgets(self, parts.tenant_allowance)
        self.work = Work(self._shown, lingers=parts.replicas is not None)
        self.around = Surroundings(
            clock=parts.clock,
            new_id=parts.new_id,
            timers=self.timers,
            tasks=tasks,
            processes=parts.processes,
            workspaces=parts.workspaces,
            deployments=parts.deployments,
            broker=parts.broker,
            directory=parts.directory,
            save=self._save,
            note=self.asides.note,
            save_config=self._save_config,
            retire=self._retire,
            put_aside=self.asides.put,
            status_changed=self._status_changed,
            runtime_config=lambda: self.runtime_config.now,
            opened=self.replication.opened,
            closed=self.replication.closed,
            changed=self.replication.changed,
            may_write=announcer.may_write,
            tenants=self.tenants,
            check_disk=self._check_disk,
            replicated=parts.replicas is not None,
            shown=self._shown,
            synced=self.replication.synced,
            store_options=parts.store_options,
            timings=parts.timings,
            metrics=parts.metrics,
        )
        self.records = Records(self)
        self.births, self.forks, self.rewinds = Births(self), Forks(self), Rewinds(self)
        self.adoptions, self.rescues = Adoptions(self), Rescues(self)
        self.outside_files = OutsideFiles(self)
        self.departures, self.fences = Departures(self), Fences(self)
        self.templates = Templates(parts.processes, parts.clock, self.deployments_awake, parts.timings.template_idle)

    # ── start and end ───────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Ends orphans, brings back what the catalog knows, and starts what has work."""
        await self.parts.processes.open()
        await asyncio.to_thread(self.adoptions.clean_up, self.parts.clock.now_ms())
        await self.runtime_config.read()
        await Recovery(self).run()
        self.tasks.start(self.runtime_config.follow(), "follow configuration")
        self.tasks.start(self.templates.run(), "cool templates")

    def announce(self) -> None:
        """From now on discovery hears of this host; call it when it can be reached."""
        self.announcer.start()
        if self.parts.replicas is not None:
            self.parts.metrics.watch("replication_lag_seconds", self.replication.lag_seconds)
            self.parts.metrics.watch("replicas_unavailable", self.replication.behind)
            self.tasks.start(self.rescues.run(), "rescue agents")
            self.tasks.start(self.rescues.listen(), "hear of agents to rescue")
            self.tasks.start(self.replication.probe(), "measure replication")
            self.tasks.start(self.replication.stills.run(), "look for agents that are still")
            self.tasks.start(self.replication.catch_up(), "catch up with replication")

    async def put_down(self, seconds: float | None = None) -> None:
        """Ends every process gracefully, in bounded time, and sends everyone away. Turns that run are run again.

        With replicas every agent is given to other hosts; of `seconds`, running turns have what is not needed for that.
        """
        await self.departures.announce_draining()
        if self.parts.replicas is not None and seconds is not None:
            await self.departures.all(min(self.parts.timings.drain, seconds - RESERVE_SECONDS))
            return
        await self.departures.close()
        births = {instance.birth for instance in self.instances.values() if instance.birth is not None}
        for birth in births:
            birth.cancel()
        if births:
            await asyncio.wait(births, timeout=self.parts.timings.kill)
        await asyncio.gather(*(self._put_down(instance) for instance in list(self.instances.values())))

    async def close(self) -> None:
        """Puts everything down and closes what the supervisor was given, discovery excepted."""
        await self.put_down()
        await self.replication.settled()
        self.work.close()
        await self.announcer.close()
        self.timers.close()
        await self.tasks.close()
        while self._retiring:
            await asyncio.wait(set(self._retiring))
        self._closed = True
        await self._closers.close()
        await self.parts.processes.close()
        await self.parts.deployments.close()
        self.parts.catalog.close()

    async def drain(self) -> None:
        """Takes no more instances; turns finish (bounded), then processes end and connections are sent away. With replicas, other
        hosts go on with the agents then."""
        await self.departures.announce_draining()
        if self.parts.replicas is not None:
            await self.departures.all(self.parts.timings.drain)
            return
        await asyncio.gather(*(self._drain_one(instance) for instance in list(self.instances.values())))

    async def _drain_one(self, instance: Instance) -> None:
        running = instance.queue.running
        if running is not None and running.delivered:
            future = instance.turns.wait(running.entry.turn_id)
            await asyncio.wait({future}, timeout=self.parts.timings.drain)
            instance.turns.forget(running.entry.turn_id, future)
        await self._put_down(instance)

    async def _put_down(self, instance: Instance) -> None:
        if instance.lost:
            return
        await instance.life.stop("drain")
        instance.audience.end(CloseCode.MOVING, "the host is going down")
        instance.turns.release_waiters("the host is going down")
        instance.close_store()

    # ── what is here ────────────────────────────────────────────────────────────────────────────────────────

    def room(self) -> Room:
        """How full the host is."""
        capacity = self.parts.capacity
        awake = sum(instance.life.busy for instance in self.instances.values())
        return Room(
            awake,
            capacity.agents,
            memory_in_use() if capacity.memory else 0,
            capacity.memory,
            self.draining,
            disk_free(self.parts.directory.parent),
            capacity.disk_reserve,
        )

    def alive(self, instance_id: str) -> Instance:
        """An instance that is not over.

        Raises:
            PodiumError: `instance_not_found` (never was, or terminated), `instance_failed` with the reason,
                `workspace_unavailable` while it is put aside, `draining` while it is between hosts.
        """
        instance = self.instances.get(instance_id)
        if instance is not None and not instance.is_over and not instance.lost:
            return instance
        self.asides.refuse(instance_id)
        entry = self.parts.catalog.instance(instance_id)
        self._check_here(entry)
        if entry is not None and entry.status is InstanceStatus.FAILED:
            raise PodiumError(
                ErrorCode.INSTANCE_FAILED, f"the instance has failed: {entry.reason or 'no reason known'}"
            )
        raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "there is no such instance on this host, or it was stopped")

    def known(self, instance_id: str) -> Instance:
        """An instance, over or not, for reading: of one that is not among this host's, nothing can be written.

        Raises:
            PodiumError: `instance_not_found`; `workspace_unavailable` for one that is put aside and may show only what is replicated.
        """
        instance = self.instances.get(instance_id)
        if instance is not None:
            return instance
        entry = self.parts.catalog.instance(instance_id)
        if entry is None:
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "there is no such instance on this host")
        self._check_here(entry)
        instance = Instance(self.records.facts(entry, secret=False), self.around)
        if instance.showing is not None and instance.showing.is_sync:
            self.asides.refuse(instance_id)
        instance.lost = True
        return instance

    def has_moved(self, instance_id: str) -> bool:
        """Whether an instance was here until another host took it."""
        entry = self.parts.catalog.instance(instance_id)
        return entry is not None and entry.reason == MOVED and instance_id not in self.instances

    def _check_here(self, entry: InstanceEntry | None) -> None:
        """An instance that left this host, or may have: what lies here of it is old."""
        if entry is None:
            return
        if entry.reason == MOVED:
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "the agent has moved to another host")
        if entry.status not in OVER and entry.instance_id not in self.asides and self.parts.replicas is not None:
            raise PodiumError(ErrorCode.DRAINING, "the agent is between hosts", retry_after=1.0)

    def deployments_awake(self) -> set[str]:
        """Deployments of which a process runs or is being started."""
        return {each.facts.deployment.deployment_id for each in self.instances.values() if each.life.busy}

    def of_agent(self, agent_id: str) -> Instance | None:
        """The instance that holds an agent."""
        return self._by_agent.get(agent_id)

    def register(self, instance: Instance) -> None:
        """The instance is here from now on."""
        self.instances[instance.facts.instance_id] = instance
        self._by_agent[instance.facts.agent_id] = instance

    def forget(self, instance: Instance) -> None:
        """The instance is not here any more."""
        instance.files.leave()
        self.work.forget(instance)
        if self.instances.get(instance.facts.instance_id) is instance:  # else it was brought back, as another object
            del self.instances[instance.facts.instance_id]
        if self._by_agent.get(instance.facts.agent_id) is instance:
            del self._by_agent[instance.facts.agent_id]

    def validate(self) -> list[str]:
        """Checks every invariant, in words: of the catalog, of what is held in memory, of all databases. For tests."""
        findings = self.parts.catalog.validate()
        for instance in self.instances.values():
            label = instance.facts.instance_id
            if self._by_agent.get(instance.facts.agent_id) is not instance:
                findings.append(f"{label}: its agent is not held by it")
            if instance.is_over:
                findings.append(f"{label}: is over and still here")
            with instance.reading() as store:
                findings += [f"{label}: {text}" for text in store.validate()]
                findings += [f"{label}: {text}" for text in instance.differences(store)]
        return findings

    # ── stop, removal ───────────────────────────────────────────────────────────────────────────────────────

    async def stop(self, instance: Instance, reason: str = "stop") -> None:
        """Ends an instance gracefully; its agent's data stay. Returns when nothing of it runs."""
        if instance.ending is None:
            instance.ending = self.tasks.start(self._stop(instance, reason), f"stop {instance.facts.instance_id}")
        await asyncio.shield(instance.ending)

    async def _stop(self, instance: Instance, reason: str) -> None:
        if (birth := instance.birth) is not None and not birth.done():
            await instance.life.stop("stop")
            await asyncio.wait({birth})
            if self.instances.get(instance.facts.instance_id) is not instance:
                return  # it was unmade
        with instance.step() as step:
            instance.change(step, Change.STOP)
            step.event("terminating", Reason(reason=reason))
            instance.turns.ask_end(step, Ending.CANCELLED)
        await instance.life.stop("stop")
        await self.finish(instance, reason)

    async def finish(self, instance: Instance, reason: str) -> None:
        """The last events of an instance whose process is gone, and its leave."""
        with suppress(PodiumError), instance.step() as step:  # refused databases have made it fail already
            instance.turns.process_lost(step)
            exit_status = instance.life.exit_status
            step.event(
                "terminated",
                Terminated(
                    reason=reason,
                    exit_code=exit_status.code if exit_status else None,
                    signal=exit_status.signal if exit_status else None,
                ),
            )
            step.event("sandbox.removed", Reason(reason=reason))
            if allows(instance.status, Change.GONE):
                instance.change(step, Change.GONE)
        with suppress(PodiumError):  # a replica that is away does not keep an instance from ending
            await settled(instance, LAST_WORDS_SECONDS)
        await self.part(instance)

    async def part(self, instance: Instance) -> None:
        """An instance that is over leaves this host; its agent may be continued anywhere."""
        instance.dismiss(CloseCode.STOPPED, f"the instance is {instance.status.value}")
        instance.close_store()
        self.asides.note(instance.facts)
        await self.parts.workspaces.close(instance.facts.agent_id)
        self.forget(instance)
        with suppress(DiscoveryUnavailableError):  # the loop writes it again
            await self.announcer.write_now(self.records.of(instance))
        await self.announcer.release(instance.facts.agent_id)

    async def remove_agent(self, agent_id: str, tenant_id: str | None) -> None:
        """Erases an agent: databases, workspace, and that it ever was. If the caller goes away, the removal goes on.

        Raises:
            PodiumError: `agent_not_found`, `agent_in_use` while an instance is alive.
        """
        entry = self.parts.catalog.agent(agent_id)
        if entry is None or (tenant_id is not None and entry.tenant_id != tenant_id):
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "there is no such agent on this host")
        # The catalog also knows instances that are put aside or could not be recovered: their data must stay.
        if agent_id in self._by_agent or self.parts.catalog.alive_instance(agent_id) is not None:
            raise PodiumError(ErrorCode.AGENT_IN_USE, "an instance of the agent is alive; stop it first")
        removal = self.removals.get(agent_id)
        if removal is None:
            removal = self.removals[agent_id] = self.tasks.start(
                self._remove(agent_id), f"remove {agent_id}", awaited=True
            )
            removal.add_done_callback(lambda _: self.removals.pop(agent_id))
        await asyncio.shield(removal)

    async def _remove(self, agent_id: str) -> None:
        await self.replication.erase(agent_id)
        gone = [entry.instance_id for entry in self.parts.catalog.instances(agent_id)]
        await self.erase(agent_id)
        self.parts.catalog.remove_agent(agent_id)
        with suppress(DiscoveryUnavailableError):  # the gateway removes its own records of the agent as well
            await self.parts.discovery.remove_instances(gone)
            await self.parts.discovery.remove_agent(agent_id)

    async def erase(self, agent_id: str) -> None:
        """Removes what the agent has on disk."""
        while self._retiring:
            await asyncio.wait(set(self._retiring))
        with suppress(PodiumError):  # of an agent that could not be made; another erasure has asked before
            await self.replication.erase(agent_id)
        await self.parts.workspaces.remove(agent_id)
        await asyncio.to_thread(remove_tree, self.parts.directory / agent_id, ignore_errors=True)

    async def make_ready(self, deployment: Deployment) -> None:
        """Sees to it that instances of the deployment start quickly: it is here, and its template warm if it has one.

        Raises:
            PodiumError: as `Deployments.ensure`.
        """
        prepared = await self.parts.deployments.ensure(deployment)
        if prepared.manifest.preload:
            await self.parts.processes.warm(prepared)
            self.templates.used(deployment.deployment_id)

    def report_unprepared(self, deployment_id: str, error: PodiumError) -> None:
        """A deployment could not be prepared ahead of time; creating an instance of it will say so again."""
        self.parts.metrics.add("deployments_unprepared_total")
        _log.warning("deployment_unprepared", extra={"deployment_id": deployment_id, "error": str(error)})

    # ── leases, configuration ───────────────────────────────────────────────────────────────────────────────

    def leases_lost(self, agent_ids: Iterable[str]) -> None:
        """Other hosts may run these agents now: theirs end here at once, and nothing more is written."""
        self.fences.lost(agent_ids)

    # ── records ─────────────────────────────────────────────────────────────────────────────────────────────

    def _shown(self, instance: Instance) -> None:
        self.announcer.changed(instance.facts.instance_id, lambda: self.records.of(instance))

    def _status_changed(self, instance: Instance) -> None:
        if instance.lost:
            return
        if instance.status in OVER or instance.status is InstanceStatus.STOPPING:
            self.asides.note(instance.facts)
        self.work.noted(instance)
        self._shown(instance)
        if instance.status is InstanceStatus.FAILED and instance.birth is None:
            self.tasks.start(self._bury(instance), f"bury {instance.facts.instance_id}")

    async def _bury(self, instance: Instance) -> None:
        """A failed instance leaves when its process is gone."""
        await instance.life.settled()
        await self.part(instance)

    def _save(self, facts: Facts) -> None:
        try:
            self.parts.catalog.set_status(facts.instance_id, _stored(facts), reason=facts.reason, epoch=facts.epoch)
        except StoreConflictError:
            _log.debug("instance_without_entry", extra={"instance_id": facts.instance_id})

    def _save_config(self, facts: Facts) -> None:
        entry = self.parts.catalog.instance(facts.instance_id)
        if entry is not None:
            self.parts.catalog.put_instance(_with_config(entry, facts))
            self.replication.changed(facts.agent_id)

    def _check_disk(self) -> None:
        accept(disk_free(self.parts.directory.parent), self.parts.capacity.write_reserve)

    def _retire(self, store: AgentStore) -> None:
        if self._closed:
            store.close()
            return
        task = self._closers.start(self._close(store), f"close the databases of {store.agent_id}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _close(self, store: AgentStore) -> None:
        await self.replication.stills.before_close(store.agent_id)
        try:
            await asyncio.to_thread(store.close)
        except StoreError as error:
            _log.error("store_not_closed", extra={"agent_id": store.agent_id, "error": str(error)})


def _stored(facts: Facts) -> InstanceStatus:
    """What the catalog is told: at rest, or not; turns cost nothing there."""
    if facts.status in OVER or facts.status in {InstanceStatus.DEPLOYING, InstanceStatus.STOPPING}:
        return facts.status
    return InstanceStatus.ASLEEP if facts.at_rest else InstanceStatus.READY


def _with_config(entry: InstanceEntry, facts: Facts) -> InstanceEntry:
    return msgspec.structs.replace(entry, config=facts.config, limits=facts.limits)
