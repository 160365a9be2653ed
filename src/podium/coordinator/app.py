"""The coordinator as a daemon: parts put together from the settings, served, and taken apart in order."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import uvloop

from podium.base.clock import SystemClock
from podium.base.daemon import UNAVAILABLE_EXIT
from podium.base.discovery import Discovery, DiscoveryUnavailableError
from podium.base.entropy import random_id
from podium.base.logs import dump_on_signal, set_up_logging
from podium.base.objects import ObjectStore
from podium.base.sealing import Sealer
from podium.base.settings import CoordinatorSettings, host_memory, open_discovery, open_objects
from podium.base.telemetry import open_telemetry
from podium.base.vitals import Vitals
from podium.coordinator.adapters.broker import BrokerSettings, LoopbackBroker
from podium.coordinator.adapters.catalog import Catalog
from podium.coordinator.adapters.deployments import LocalDeployments
from podium.coordinator.adapters.lock import DirectoryInUseError, DirectoryLock
from podium.coordinator.adapters.processes import HostSettings, IsolationUnavailableError, LocalProcessHost
from podium.coordinator.adapters.processes.settings import AGENT_UID_BASE
from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.adapters.replication.opening import open_replicas
from podium.coordinator.adapters.store import StoreError, StoreOptions
from podium.coordinator.adapters.vault import Vault
from podium.coordinator.adapters.workspaces import DirectoryWorkspaces, VersionedSettings, VersionedWorkspaces, Whose
from podium.coordinator.domain.ports import Workspaces, WorkspacesUnavailableError
from podium.coordinator.service import Address, Coordinator
from podium.coordinator.supervisor.facts import Timings
from podium.coordinator.supervisor.supervisor import Capacity, Parts

_log = logging.getLogger(__name__)

DISK_RESERVE: Final = "CHRONICLE_DISK_RESERVE"
"""Tells Chronicle how much of the disk files may not take."""

HISTORIES_REPLICATED: Final = "CHRONICLE_HISTORY_REPLICATED"
"""Tells Chronicle that somebody else moves the write-ahead logs of its histories."""


def run(settings: CoordinatorSettings) -> None:
    """Runs a coordinator until SIGTERM or SIGINT."""
    set_up_logging(settings.log_level, settings.log_format)
    try:
        lock = DirectoryLock(settings.data / "coordinator")
    except DirectoryInUseError as error:
        _log.error("not_started", extra={"reason": str(error)})
        sys.exit(UNAVAILABLE_EXIT)
    try:
        uvloop.run(_serve(settings))
    except (
        IsolationUnavailableError,
        DiscoveryUnavailableError,
        WorkspacesUnavailableError,
        ReplicaUnavailableError,
        StoreError,
        OSError,
    ) as error:
        _log.error("not_started", extra={"reason": str(error)})
        sys.exit(UNAVAILABLE_EXIT)
    finally:
        lock.release()


def parts_of(settings: CoordinatorSettings, discovery: Discovery, objects: ObjectStore) -> Parts:
    """The parts as the settings want them. Probes what isolation the host can give: some tens of milliseconds.

    Raises:
        IsolationUnavailableError: the isolation asked for can't be had.
        ReplicaUnavailableError: replicas are wanted and can't be had.
        StoreError: the catalog can't be opened.
    """
    assert settings.secrets_key is not None, "checked when the settings were read"
    previous = settings.secrets_key_previous.reveal() if settings.secrets_key_previous else None
    memory = settings.memory_limit if settings.memory_limit is not None else host_memory()
    trusted = settings.data / "broker"
    trusted.mkdir(mode=0o755, parents=True, exist_ok=True)
    processes = LocalProcessHost(
        HostSettings(
            data=settings.data,
            isolation=settings.isolation,
            starts_in_flight=settings.starts_at_once,
            shown=(trusted,),
            readable=settings.readable,
        )
    )
    catalog = Catalog.open(settings.data / "coordinator")
    replicas = open_replicas(settings)
    return Parts(
        coordinator_id=settings.name,
        clock=SystemClock(),
        new_id=random_id,
        processes=processes,
        workspaces=_workspaces(settings, processes, catalog),
        deployments=LocalDeployments(
            settings,
            objects,
            processes.deployments_in_use,
            hidden=processes.plan.hides_deployments,
            bun=settings.bun,
        ),
        broker=LoopbackBroker(_broker_settings(settings, trusted)),
        catalog=catalog,
        vault=Vault(Sealer(settings.secrets_key.reveal(), previous)),
        discovery=discovery,
        directory=settings.data / "agents",
        replicas=replicas,
        capacity=Capacity(
            agents=settings.agents_limit,
            memory=memory,
            disk_reserve=settings.disk_reserve,
            write_reserve=settings.write_reserve,
        ),
        timings=Timings(
            ready=settings.ready_seconds,
            shutdown=settings.shutdown_seconds,
            terminate=settings.terminate_seconds,
            template_idle=settings.template_idle_seconds,
            drain=settings.drain_seconds,
        ),
        tenant_allowance=settings.tenant_allowance,
        store_options=StoreOptions(log_max_bytes=settings.log_bytes_max, checkpoints=replicas is None),
    )


def _broker_settings(settings: CoordinatorSettings, directory: Path) -> BrokerSettings:
    assert settings.secrets_key is not None, "checked when the settings were read"
    return BrokerSettings(
        settings.secrets_key.reveal().encode(),
        directory,
        connections=settings.broker_connections,
        connect=settings.broker_connect_seconds,
        silence=settings.broker_silence_seconds,
    )


def _workspaces(settings: CoordinatorSettings, processes: LocalProcessHost, catalog: Catalog) -> Workspaces:
    """Versioned workspaces, or plain directories, as the settings want them."""
    if not settings.keeps_versions:
        return DirectoryWorkspaces(settings.data / "agents")

    def tenant_of(agent_id: str) -> str | None:
        agent = catalog.agent(agent_id)
        return agent.tenant_id if agent is not None else None

    def owner_of(agent_id: str) -> tuple[int, int] | None:
        agent = catalog.agent(agent_id) if processes.plan.identity else None
        return (AGENT_UID_BASE + agent.uid_slot,) * 2 if agent is not None else None

    wanted: Literal["auto", "fuse", "watch"] = settings.chronicle_backend  # type: ignore[assignment] # not directory
    versioned = VersionedSettings(
        backend=wanted,
        pooled=settings.chronicle_pooled,
        in_namespaces=bool(processes.plan.namespaces),
        linger=settings.chronicle_linger_seconds,
        keep_awake=settings.chronicle_keep_awake,  # type: ignore[arg-type] # one of the three
        spare=settings.chronicle_spare,
        collect_every=settings.chronicle_collect_seconds,
        history_bytes=settings.chronicle_history_bytes,
    )
    return VersionedWorkspaces(settings.data, versioned, Whose(tenant_of, owner_of))


async def _serve(settings: CoordinatorSettings) -> None:
    loop = asyncio.get_running_loop()
    dump_on_signal(loop)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    assert settings.cluster_key is not None, "checked when the settings were read"
    metrics_key = settings.metrics_key.reveal() if settings.metrics_key else ""
    address = Address(
        settings.cluster_key.reveal(), settings.host, settings.port, settings.url or "", _version(), metrics_key
    )
    async with contextlib.AsyncExitStack() as closing:
        discovery, objects = open_discovery(settings), open_objects(settings)
        closing.push_async_callback(discovery.close)
        closing.push_async_callback(objects.close)
        parts = parts_of(settings, discovery, objects)
        telemetry = open_telemetry(settings, "coordinator", instance=settings.name, environment=settings.environment)
        closing.push_async_callback(telemetry.close)
        telemetry.follow(parts.metrics)
        vitals = Vitals(parts.metrics, settings.data)
        closing.push_async_callback(vitals.close)
        vitals.start()
        if parts.replicas is not None:  # for the daemon that keeps the workspaces, a child of this process
            os.environ[HISTORIES_REPLICATED] = "1"
        os.environ[DISK_RESERVE] = f"{settings.write_reserve:.3%}"
        await parts.workspaces.start()
        closing.push_async_callback(parts.workspaces.stop)
        closing.push_async_callback(parts.broker.stop)
        if parts.replicas is not None:
            closing.push_async_callback(parts.replicas.stop)
            await parts.replicas.start()
        coordinator = Coordinator(parts, address)
        closing.push_async_callback(coordinator.stop, settings.stop_seconds)
        await coordinator.start()
        await stopping.wait()


def _version() -> str:
    try:
        return version("podium")
    except PackageNotFoundError:
        return "0"
