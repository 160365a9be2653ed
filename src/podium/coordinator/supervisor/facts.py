"""What is known of an instance beside what runs, and what all instances of a host share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from podium.base.clock import Clock
from podium.base.entropy import IdSource
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.base.timers import Timers
from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.adapters.store import AgentStore, StoreOptions
from podium.coordinator.domain.ports import CredentialBroker, Deployments, ProcessHost, Workspaces
from podium.wire.manifest import LimitsTable
from podium.wire.rest import Deployment
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance
    from podium.coordinator.supervisor.tenants import TenantBudgets


class Facts(msgspec.Struct):
    """One instance as the catalog keeps it. `config` is the create call's layer with the changes of clients in it.

    `at_rest`: its databases are closed and hold nothing that must happen by itself, so a coordinator that starts need not
    look into them.
    """

    instance_id: str
    agent_id: str
    tenant_id: str
    deployment: Deployment
    created_at: int
    uid_slot: int
    config: dict[str, Any] = {}
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    limits: LimitsTable = LimitsTable()
    idle_timeout: str | None = None
    epoch: int = 0
    status: InstanceStatus = InstanceStatus.DEPLOYING
    reason: str | None = None
    at_rest: bool = False


@dataclass(frozen=True)
class Timings:
    """How long the supervisor waits for agents, in seconds."""

    ready: float = 60.0
    """From the start of a process to its `ready`."""
    shutdown: float = 10.0
    """For `on_shutdown`; then SIGTERM."""
    terminate: float = 5.0
    """From SIGTERM to SIGKILL."""
    kill: float = 10.0
    """For the host to end a whole tree."""
    aside: float = 5.0
    """An instance whose databases could not be written is left alone for this long, and then tried again."""
    template_idle: float = 600.0
    """Without agents awake, until the template of a deployment is ended."""
    drain: float = 60.0
    """For running turns when the host is drained; then they are cut off, and run again elsewhere."""
    idle_reply: float = 5.0
    """For the answer to `idle_check`; a silent agent is busy and stays awake."""


async def _nowhere(_agent_id: str, _seconds: float) -> None:
    raise ReplicaUnavailableError("this host has no replicas")


@dataclass(frozen=True)
class Surroundings:
    """What all instances of this coordinator share. `directory` holds one directory per agent."""

    clock: Clock
    new_id: IdSource
    timers: Timers
    tasks: TaskOwner
    processes: ProcessHost
    workspaces: Workspaces
    deployments: Deployments
    broker: CredentialBroker
    tenants: "TenantBudgets"
    directory: Path
    save: Callable[[Facts], None]
    """Writes status and rest to the catalog, at once (`StoreError`)."""
    note: Callable[[Facts], None]
    """The same, but if the disk is full, as soon as that can be done."""
    save_config: Callable[[Facts], None]
    """Writes configuration and limits to the catalog, at once."""
    retire: Callable[[AgentStore], None]
    """Closes databases in a worker thread."""
    put_aside: Callable[["Instance"], None]
    """The instance's databases can't be written just now: it comes back when they can."""
    status_changed: Callable[["Instance"], None]
    """Discovery should hear of it, soon."""
    runtime_config: Callable[[], dict[str, Any]]
    """The runtime layer of the configuration as last read."""
    opened: Callable[["Instance"], None] = lambda _: None
    """Its databases are open: what must follow them outside this host begins."""
    closed: Callable[["Instance"], None] = lambda _: None
    """Its databases are about to be closed."""
    changed: Callable[[str], None] = lambda _: None
    """An agent has other files, or other facts, than before."""
    replicated: bool = False
    """Whether agents' data are brought outside this host."""
    shown: Callable[["Instance"], None] = lambda _: None
    """Discovery should hear soon how far it was shown."""
    synced: Callable[[str, float], Awaitable[None]] = _nowhere
    """Returns when all that was committed of an agent before is replicated, within so many seconds (`ReplicaUnavailableError`)."""
    may_write: Callable[[], bool] = lambda: True
    """Whether this host may still write what it holds: its leases can't have been taken."""
    check_disk: Callable[[], None] = lambda: None
    """Refuses (`PodiumError`) to take anything on while the disk has only its reserve left."""
    store_options: StoreOptions = field(default_factory=StoreOptions)
    timings: Timings = field(default_factory=Timings)
    metrics: Metrics = field(default_factory=lambda: Metrics("coordinator"))
    """Counts for `/metrics`, by name."""
