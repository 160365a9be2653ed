"""What this coordinator tells discovery: that it is alive and how full, which agents it holds, how its instances are."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from podium.base.discovery import CoordinatorRecord, Discovery, DiscoveryUnavailableError, InstanceRecord, Notice
from podium.base.discovery.port import CHANNEL_INSTANCES_MOVED, COORDINATOR_RENEW_SECONDS, LEASE_RENEW_SECONDS
from podium.base.tasks import TaskOwner

_log = logging.getLogger(__name__)

WRITE_EVERY_SECONDS: Final = 0.1
"""Changes of instances are collected for this long: at most ten writes a second, however many turns start and end."""

RETRY_SECONDS: Final = 1.0
"""Pause before trying again what discovery did not take."""


class Announcer:
    """Three loops over discovery, and the leases this coordinator holds.

    While discovery can't be reached, everything goes on and is tried again; only what it says is acted upon.
    """

    def __init__(
        self,
        discovery: Discovery,
        describe: Callable[[], CoordinatorRecord],
        lost: Callable[[list[str]], None],
    ) -> None:
        self._discovery = discovery
        self._describe = describe
        self._lost = lost
        self._held: dict[str, int] = {}
        self._changed: dict[str, Callable[[], InstanceRecord]] = {}
        self._something = asyncio.Event()
        self._reachable = True
        self._tasks = TaskOwner("announcer")

    def start(self) -> None:
        """Starts the loops."""
        self._tasks.start(self._announce(), "announce")
        self._tasks.start(self._renew(), "renew leases")
        self._tasks.start(self._write(), "write instances")

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────

    async def acquire(self, agent_id: str) -> int | None:
        """The epoch under which this coordinator may run the agent; None while another one may.

        Raises:
            DiscoveryUnavailableError: nobody can tell.
        """
        lease = await self._discovery.acquire_lease(agent_id, self._describe().coordinator_id)
        if lease is None:
            return None
        self._held[agent_id] = lease.epoch
        return lease.epoch

    async def release(self, agent_id: str) -> None:
        """Gives the lease back; if discovery can't be reached it runs out by itself."""
        epoch = self._held.pop(agent_id, None)
        if epoch is None:
            return
        try:
            await self._discovery.release_lease(agent_id, self._describe().coordinator_id, epoch)
        except DiscoveryUnavailableError:
            _log.warning("lease_not_released", extra={"agent_id": agent_id})

    # ── instances ───────────────────────────────────────────────────────────────────────────────────────────

    def changed(self, instance_id: str, record: Callable[[], InstanceRecord]) -> None:
        """An instance changed; `record` is asked for the newest when it is written."""
        self._changed[instance_id] = record
        self._something.set()

    async def write_now(self, record: InstanceRecord) -> None:
        """Writes a record at once.

        Raises:
            DiscoveryUnavailableError: it is not written.
        """
        self._changed.pop(record.instance_id, None)
        await self._discovery.put_instances([record])

    async def moved(self, record: InstanceRecord) -> None:
        """Tells everyone that an instance is here now. Best effort: who does not hear it asks discovery."""
        payload = {
            "instance_id": record.instance_id,
            "agent_id": record.agent_id,
            "coordinator_id": record.coordinator_id,
        }
        try:
            await self.write_now(record)
            await self._discovery.publish(Notice(CHANNEL_INSTANCES_MOVED, payload))
        except DiscoveryUnavailableError:
            _log.warning("move_not_told", extra={"agent_id": record.agent_id})

    async def flush(self) -> None:
        """Writes what is collected.

        Raises:
            DiscoveryUnavailableError: it is kept for later.
        """
        changed, self._changed = self._changed, {}
        if not changed:
            return
        try:
            await self._discovery.put_instances([record() for record in changed.values()])
        except DiscoveryUnavailableError:
            self._changed = {**changed, **self._changed}
            raise

    async def close(self) -> None:
        """The coordinator goes: the loops end, what is collected is written, the coordinator's own record removed."""
        await self._tasks.close()
        try:
            await self.flush()
            await self._discovery.withdraw(self._describe().coordinator_id)
        except DiscoveryUnavailableError:
            _log.warning("not_withdrawn")

    # ── loops ───────────────────────────────────────────────────────────────────────────────────────────────

    async def announce_now(self) -> None:
        """Writes the coordinator's own record.

        Raises:
            DiscoveryUnavailableError: it is not written.
        """
        await self._discovery.announce(self._describe())

    async def _announce(self) -> None:
        while True:
            try:
                await self.announce_now()
                self._tell(reachable=True)
            except DiscoveryUnavailableError:
                self._tell(reachable=False)
            await asyncio.sleep(COORDINATOR_RENEW_SECONDS)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEW_SECONDS)
            held = dict(self._held)
            if not held:
                continue
            try:
                lost = await self._discovery.renew_leases(self._describe().coordinator_id, held)
            except DiscoveryUnavailableError:
                self._tell(reachable=False)
                continue
            gone = [agent_id for agent_id in lost if self._held.get(agent_id) == held[agent_id]]
            for agent_id in gone:
                del self._held[agent_id]
            if gone:
                _log.error("leases_lost", extra={"agents": len(gone)})
                self._lost(gone)

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            await asyncio.sleep(WRITE_EVERY_SECONDS)
            try:
                await self.flush()
            except DiscoveryUnavailableError:
                self._tell(reachable=False)
                await asyncio.sleep(RETRY_SECONDS)
                self._something.set()

    def _tell(self, *, reachable: bool) -> None:
        if reachable is not self._reachable:
            self._reachable = reachable
            _log.warning("discovery_reachable" if reachable else "discovery_unreachable")
