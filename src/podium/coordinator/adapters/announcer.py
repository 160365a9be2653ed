"""What this coordinator tells discovery: that it is alive and how full, which agents it holds, how its instances are."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from podium.base.discovery import (
    AgentRecord,
    CoordinatorRecord,
    Discovery,
    DiscoveryUnavailableError,
    InstanceRecord,
    Notice,
)
from podium.base.discovery.port import CHANNEL_INSTANCES_MOVED, COORDINATOR_RENEW_SECONDS, LEASE_RENEW_SECONDS
from podium.base.tasks import TaskOwner
from podium.coordinator.domain.fencing import Fence, Verdict

_log = logging.getLogger(__name__)

WRITE_EVERY_SECONDS: Final = 0.1
"""The first change is written at once, then they are collected for this long: at most ten writes a second, however many turns start
and end."""

RETRY_SECONDS: Final = 1.0
"""Pause before trying again what discovery did not take."""

GUARD_SECONDS: Final = 0.2
"""How often the age of the leases is looked at."""

ASK_SECONDS: Final = 1.0
"""How often the others are asked whether they reach discovery, while this host does not."""

WRITTEN_AT_ONCE: Final = 200
"""Records in one write when everything is written again: some milliseconds of the server."""


class Fencing(NamedTuple):
    """What happens when leases can't be renewed. `ask`: what the others say about discovery, within two seconds. `fence`: kill what
    runs, at once. `back`: leases of these agents are held after all, or again."""

    ask: Callable[[], Awaitable[Verdict]]
    fence: Callable[[], None]
    back: Callable[[list[str]], None]


class Everything(NamedTuple):
    """All that discovery should know from this coordinator."""

    agents: list[AgentRecord]
    instances: list[InstanceRecord]


class Announcer:
    """Loops over discovery, and the leases this coordinator holds.

    While discovery can't be reached, everything goes on and is tried again; with `fencing`, what is held ends before others can take
    it, and comes back when it is still held. `everything` is asked for when discovery lost what it knew, or was not told of an agent.
    """

    def __init__(
        self,
        discovery: Discovery,
        describe: Callable[[], CoordinatorRecord],
        lost: Callable[[list[str]], None],
        *,
        fencing: Fencing | None = None,
        everything: Callable[[], Everything] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._discovery = discovery
        self._fencing = fencing
        self._everything = everything
        self._monotonic = monotonic
        self._fence = Fence()
        self._asking: asyncio.Task[None] | None = None
        self._renewing = asyncio.Lock()
        self._describe = describe
        self._lost = lost
        self._held: dict[str, int] = {}
        self._changed: dict[str, Callable[[], InstanceRecord]] = {}
        self._writing = asyncio.Lock()
        self._something = asyncio.Event()
        self._reachable = True
        self._untold = False  # discovery may not have what this coordinator told it
        self._tasks = TaskOwner("announcer")

    def start(self) -> None:
        """Starts the loops."""
        self._tasks.start(self._announce(), "announce")
        self._tasks.start(self._renew(), "renew leases")
        self._tasks.start(self._write(), "write instances")
        if self._fencing is not None:
            self._tasks.start(self._guard(self._fencing), "guard leases")

    # ── the fence ───────────────────────────────────────────────────────────────────────────────────────────

    def may_write(self) -> bool:
        """Whether what is held may still be written. If not, the fence is up on return: a host that was frozen finds out here,
        before anything that waited for it is acted upon."""
        if self._fencing is None or self._fence.may_write(self._monotonic()):
            return True
        self._put_up(self._fencing)
        return False

    def _put_up(self, fencing: Fencing) -> None:
        if not self._fence.is_up:
            self._fence.put_up()
            _log.error("fenced", extra={"agents": len(self._held)})
            fencing.fence()

    async def _guard(self, fencing: Fencing) -> None:
        while True:
            await asyncio.sleep(GUARD_SECONDS)
            if not self._held:
                self._fence.holds_nothing()
                continue
            now = self._monotonic()
            if self._fence.is_due(now):
                self._put_up(fencing)
            elif self._fence.has_doubts(now) and self._asking is None:
                self._asking = self._tasks.start(self._ask(fencing), "ask about discovery")
                self._asking.add_done_callback(lambda _: setattr(self, "_asking", None))

    async def _ask(self, fencing: Fencing) -> None:
        asked = self._monotonic()
        verdict = await fencing.ask()
        _log.warning("leases_not_renewed", extra={"discovery": verdict.name.lower()})
        if verdict is Verdict.AWAY:
            self._fence.excused(asked)
        await asyncio.sleep(ASK_SECONDS)

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────

    async def acquire(self, agent_id: str, above: int = 0) -> int | None:
        """The epoch under which this coordinator may run the agent; None while another one may. `above`: as of
        `Discovery.acquire_lease`.

        Raises:
            DiscoveryUnavailableError: nobody can tell.
        """
        began = self._monotonic()
        lease = await self._discovery.acquire_lease(agent_id, self._describe().coordinator_id, above)
        if lease is None:
            return None
        if not self._held:
            self._fence.renewed(began)
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
        """Tells everyone that an instance is here now, or nobody's. Best effort: who does not hear it asks discovery."""
        payload = {
            "instance_id": record.instance_id,
            "agent_id": record.agent_id,
            "coordinator_id": record.coordinator_id,
            "has_work": record.has_work,
        }
        try:
            await self.write_now(record)
            await self._discovery.publish(Notice(CHANNEL_INSTANCES_MOVED, payload))
        except DiscoveryUnavailableError:
            _log.warning("move_not_told", extra={"agent_id": record.agent_id})

    async def tell(self, agents: Sequence[AgentRecord]) -> None:
        """Writes agents; should discovery not answer, everything is told as soon as it does."""
        try:
            await self._put_agents(agents)
        except DiscoveryUnavailableError:
            self._untold = True

    async def flush(self) -> None:
        """Writes what is collected.

        Raises:
            DiscoveryUnavailableError: it is kept for later.
        """
        async with self._writing:
            changed, self._changed = self._changed, {}
            if not changed:
                return
            try:
                await self._discovery.put_instances([record() for record in changed.values()])
            except DiscoveryUnavailableError:
                self._changed = {**changed, **self._changed}
                raise

    async def forget(self, instance_id: str) -> None:
        """Discovery forgets an instance, and nothing that was still to be written of it brings it back.

        Raises:
            DiscoveryUnavailableError: it may know it still.
        """
        async with self._writing:
            self._changed.pop(instance_id, None)
            await self._discovery.remove_instances([instance_id])

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
                self._untold = await self._discovery.announce(self._describe()) or self._untold
                if self._untold:
                    await self._tell_everything()
                    self._untold = False
                self._tell(reachable=True)
            except DiscoveryUnavailableError:
                self._tell(reachable=False)
            await asyncio.sleep(COORDINATOR_RENEW_SECONDS)

    async def _tell_everything(self) -> None:
        """Discovery may have lost what it knew: leases first, so that nobody can ask for an agent that can be taken."""
        if self._everything is None:
            return
        await self._renew_once()
        everything = self._everything()
        await self._put_agents(everything.agents)
        for start in range(0, len(everything.instances), WRITTEN_AT_ONCE):
            await self._discovery.put_instances(everything.instances[start : start + WRITTEN_AT_ONCE])

    async def _put_agents(self, agents: Sequence[AgentRecord]) -> None:
        for start in range(0, len(agents), WRITTEN_AT_ONCE):
            await asyncio.gather(
                *(self._discovery.put_agent(agent) for agent in agents[start : start + WRITTEN_AT_ONCE])
            )

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEW_SECONDS)
            while not await self._renew_or_not():
                await asyncio.sleep(RETRY_SECONDS)

    async def _renew_or_not(self) -> bool:
        try:
            await self._renew_once()
        except DiscoveryUnavailableError:
            self._tell(reachable=False)
            return False
        return True

    async def _renew_once(self) -> None:
        async with self._renewing:
            began, held, was_up = self._monotonic(), dict(self._held), self._fence.is_up
            if not held:
                return
            lost = await self._discovery.renew_leases(self._describe().coordinator_id, held)
            self._settle(began, held, lost, was_up=was_up or self._fence.is_up)

    def _settle(self, began: float, held: dict[str, int], lost: list[str], *, was_up: bool) -> None:
        """What a renewal says. What was ended by the fence comes back when it is still held."""
        was_up = not self.may_write() or was_up
        self._fence.renewed(began)
        if not self._fence.may_write(self._monotonic()):
            self._fence.put_up()  # the host was frozen while the answer was there: it is too old to go by
        gone = [agent_id for agent_id in lost if self._held.get(agent_id) == held[agent_id]]
        for agent_id in gone:
            del self._held[agent_id]
        if gone:
            _log.error("leases_lost", extra={"agents": len(gone)})
            self._lost(gone)
        if was_up and self._fencing is not None and not self._fence.is_up:
            self._fencing.back([agent_id for agent_id in held if agent_id in self._held])

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            try:
                await self.flush()
            except DiscoveryUnavailableError:
                self._tell(reachable=False)
                await asyncio.sleep(RETRY_SECONDS)
                self._something.set()
            await asyncio.sleep(WRITE_EVERY_SECONDS)

    def _tell(self, *, reachable: bool) -> None:
        if reachable is not self._reachable:
            self._reachable = reachable
            _log.warning("discovery_reachable" if reachable else "discovery_unreachable")
