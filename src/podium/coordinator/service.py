"""A running coordinator: supervisor, announcer and interface put together. What it is made of comes from outside."""

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Final, Literal

from podium.base.discovery import CoordinatorRecord
from podium.base.http import ClusterAuthenticator, Endpoint, HttpApp, HttpServer, counting
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters import peers
from podium.coordinator.adapters.announcer import Announcer, Fencing
from podium.coordinator.adapters.load import Meter
from podium.coordinator.adapters.store import StoreError, StoreFullError
from podium.coordinator.adapters.workspaces import workspace_problem
from podium.coordinator.api.budgets import Budgets
from podium.coordinator.api.conversations import Conversations
from podium.coordinator.api.endpoints import endpoints
from podium.coordinator.api.file_routes import file_routes
from podium.coordinator.api.host import Check, Host
from podium.coordinator.api.instances import Instances
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.api.moments import Moments
from podium.coordinator.api.reads import Reads
from podium.coordinator.api.upgrades import Upgrades
from podium.coordinator.domain.fencing import Verdict
from podium.coordinator.supervisor.supervisor import Parts, Supervisor
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Load

_log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 5.0
"""How long running requests may take to finish at the end."""

STOP_SECONDS: Final = 25.0
"""How long agents may take together to come to rest at the end; those that don't are killed."""

READY_CHECK_SECONDS: Final = 2.0
"""How long a dependency may take to say that it can be used."""


@dataclass(frozen=True)
class Address:
    """Where the coordinator listens and what it calls itself. `url`: how gateways reach it; empty: from host and port."""

    cluster_key: str
    host: str = "127.0.0.1"
    port: int = 0
    url: str = ""
    version: str = "0"
    metrics_key: str = ""
    """Reads `/metrics` and nothing else; empty: only the cluster's key does."""


class Coordinator:
    """One coordinator, from start to end."""

    def __init__(self, parts: Parts, address: Address) -> None:
        self._parts = parts
        self._address = address
        self._url = address.url
        self._started_at = parts.clock.now_ms()
        self._meter = Meter(parts.clock)
        announcer = Announcer(
            parts.discovery,
            self._describe,
            self._leases_lost,
            fencing=self._fencing() if parts.replicas is not None else None,
            everything=lambda: self.supervisor.records.everything(),
            monotonic=parts.clock.monotonic,
        )
        self.supervisor = Supervisor(parts, announcer, TaskOwner("coordinator"))
        authenticator = ClusterAuthenticator(address.cluster_key, address.metrics_key)
        self._upgrades = Upgrades(self.supervisor, authenticator)
        self._app = HttpApp(
            self._endpoints(), authenticator, translate=_translate, observe=counting(parts.metrics), clock=parts.clock
        )
        self._server = HttpServer(self._app, self._upgrades)

    async def start(self, listening: socket.socket | None = None) -> int:
        """Recovers, listens, announces itself; returns the port.

        Raises:
            OSError: the address can't be had.
        """
        address = self._address
        listening = listening or _bound(address.host, address.port)
        try:
            await self.supervisor.open()
            port = await self._server.start(listening=listening)
        except BaseException:  # nobody will serve it
            listening.close()
            raise
        self._url = address.url or f"http://{address.host}:{port}"
        self.supervisor.announce()
        _log.info("coordinator_started", extra={"coordinator_id": self._parts.coordinator_id, "url": self._url})
        return port

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ends everything: agents gracefully, but within `seconds`; then connections, requests, databases."""
        _log.info("coordinator_stops", extra={"coordinator_id": self._parts.coordinator_id})
        try:
            async with asyncio.timeout(seconds):
                await self.supervisor.put_down(seconds)
        except TimeoutError:
            _log.warning("agents_not_at_rest", extra={"seconds": seconds})
        await self._app.close()
        await self._upgrades.close()
        await self._server.stop(GRACE_SECONDS)
        await self.supervisor.close()
        _log.info("coordinator_stopped", extra={"coordinator_id": self._parts.coordinator_id})

    def _endpoints(self) -> list[Endpoint]:
        lookup = Lookup(self.supervisor)
        checks: dict[str, Check] = {"discovery": self._check_discovery}
        host = Host(self.supervisor, self._address.version, self._load, checks)
        table = endpoints(host, Instances(lookup), Conversations(lookup), Reads(lookup))
        return [
            *table,
            *Moments(lookup).endpoints(),
            *Budgets(lookup).endpoints(),
            *file_routes(lookup, self._parts.directory.parent / "coordinator"),
        ]

    async def _check_discovery(self) -> None:
        async with asyncio.timeout(READY_CHECK_SECONDS):
            await self._parts.discovery.check()

    def _fencing(self) -> Fencing:
        """Only where others go on with this host's agents can they be taken."""
        return Fencing(
            ask=self._ask_others,
            fence=lambda: self.supervisor.fences.put_up(),
            back=lambda ids: self.supervisor.fences.back(ids),
        )

    async def _ask_others(self) -> Verdict:
        return await peers.ask(self.supervisor.rescues.others, self._address.cluster_key)

    def _leases_lost(self, agent_ids: list[str]) -> None:
        self.supervisor.leases_lost(agent_ids)

    def _load(self) -> Load:
        room = self.supervisor.room()
        return Load(room.agents, room.agents_limit, self._meter.cpu(), room.memory_used, room.memory_limit)

    def _describe(self) -> CoordinatorRecord:
        state: Literal["active", "draining"] = "draining" if self.supervisor.draining else "active"
        return CoordinatorRecord(
            coordinator_id=self._parts.coordinator_id,
            url=self._url,
            version=self._address.version,
            started_at=self._started_at,
            state=state,
            load=self._load(),
            replicated=self._parts.replicas is not None,
        )


def _bound(host: str, port: int) -> socket.socket:
    """The address, taken before anything is touched: a second coordinator fails here and has done nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _translate(error: Exception) -> PodiumError | None:
    if isinstance(error, StoreFullError):
        return PodiumError(ErrorCode.QUOTA_EXCEEDED, "the host's disk is full")
    if isinstance(error, StoreError):
        return PodiumError(ErrorCode.INTERNAL, "the agent's databases can't be used")
    return workspace_problem(error)
