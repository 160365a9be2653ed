"""Rescues: agents that have work and nobody to do it go on here, without being asked for.

Each coordinator that replicates looks every two seconds for instances whose coordinator is gone, or that are nobody's, and that have
work. Among many coordinators only some look each time, so that discovery is asked about as often in a large cluster as in a small one;
who does take an agent is decided by its lease.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from podium.base.discovery import CoordinatorRecord, DiscoveryUnavailableError, InstanceFilter, InstanceRecord, Notice
from podium.base.discovery.port import CHANNEL_INSTANCES_MOVED
from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.domain.admission import admit
from podium.coordinator.supervisor.moved import NOBODY
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import ALIVE, InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
"""How often it is looked: a coordinator's record lives three times as long."""

LOOKERS: Final = 8
"""About so many coordinators look for the agents of one that is gone each time."""

SURVEY_SECONDS: Final = 30.0
"""How often all instances are looked at, by one coordinator or another: for those of coordinators that nobody remembers."""

AT_ONCE: Final = 8
"""Adoptions at the same time: each restores databases, which takes some tenths of a second of a processor."""

PREPARED_AT_ONCE: Final = 2
"""Deployments made ready at the same time, for agents whose lease has some seconds to go."""

PAGE: Final = 500
"""Records in one page of a list."""

FIRST_PAUSE_SECONDS: Final = 0.2
LAST_PAUSE_SECONDS: Final = 0.4
"""Pauses before an agent whose lease is still held, or that could not be had, is tried again: from the first, doubled, up to the last."""

TRIES: Final = 25
"""How often one agent is tried before it is left to the next look."""


class Rescues:
    """Finds agents that were left alone, and adopts them in random order as far as there is room."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._remembered: set[str] = set()
        self._surveyed = False
        self.others: list[CoordinatorRecord] = []
        """The other coordinators, when discovery was last asked, in random order."""
        self._under_way: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._preparing: set[str] = set()
        self._prepared_at_once = asyncio.Semaphore(PREPARED_AT_ONCE)

    async def run(self) -> None:
        """Looks, for ever."""
        while True:
            try:
                await self._look()
            except DiscoveryUnavailableError:
                self._surveyed = False  # whatever happened meanwhile
            await asyncio.sleep(LOOK_SECONDS)

    async def listen(self) -> None:
        """Hears of agents that are given away, which saves them a look."""
        while True:
            try:
                async for notice in self._supervisor.parts.discovery.subscribe(CHANNEL_INSTANCES_MOVED):
                    await self._heard(notice)
                return
            except DiscoveryUnavailableError:
                await asyncio.sleep(LOOK_SECONDS)

    async def _heard(self, notice: Notice) -> None:
        if notice.missed or notice.payload.get("coordinator_id") != NOBODY or not notice.payload.get("has_work"):
            return
        record = await self._supervisor.parts.discovery.instance(str(notice.payload.get("instance_id")))
        if record is not None:
            self._begin([record], {self._supervisor.parts.coordinator_id})

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _look(self) -> None:
        known = await self._supervisor.parts.discovery.coordinators()
        mine = self._supervisor.parts.coordinator_id
        self.others = [each for each in known if each.coordinator_id != mine]
        random.shuffle(self.others)
        if self._supervisor.draining:
            return
        alive = {record.coordinator_id for record in known} | {mine}
        if not self._surveyed or random.random() * SURVEY_SECONDS * len(alive) < LOOK_SECONDS:
            self._surveyed = True
            async for page in self._pages(InstanceFilter()):
                self._begin(page, alive)
        for gone in sorted(self._remembered - alive):
            if random.random() * len(alive) < LOOKERS and not await self._look_at(gone, alive):
                self._remembered.discard(gone)
        if random.random() * len(alive) < 1:
            await self._look_at(NOBODY, alive)
        self._remembered |= alive

    async def _look_at(self, coordinator_id: str, alive: set[str]) -> bool:
        """Whether any of its instances has work."""
        found = False
        async for page in self._pages(InstanceFilter(coordinator_id=coordinator_id)):
            found = self._begin(page, alive) or found
        return found

    async def _pages(self, wanted: InstanceFilter) -> AsyncIterator[list[InstanceRecord]]:
        after: str | None = None
        while page := await self._supervisor.parts.discovery.instances(wanted, after, PAGE):
            yield page
            if len(page) < PAGE:
                return
            after = page[-1].instance_id

    def _begin(self, page: list[InstanceRecord], alive: set[str]) -> bool:
        """Begins to rescue those that need it, in random order; whether there are any."""
        alone = [record for record in page if is_left_alone(record, alive)]
        random.shuffle(alone)
        for record in alone:
            if record.agent_id not in self._under_way and not self._supervisor.draining:
                self._under_way.add(record.agent_id)
                self._prepare(record)
                self._supervisor.tasks.start(self._rescue(record), f"rescue {record.agent_id}")
        return bool(alone)

    def _prepare(self, record: InstanceRecord) -> None:
        """What does not need the lease is done before that ends: the deployment is there, and its template warm."""
        if record.deployment_id not in self._preparing:
            self._preparing.add(record.deployment_id)
            task = self._supervisor.tasks.start(self._make_ready(record), f"make {record.deployment_id} ready")
            task.add_done_callback(lambda _: self._preparing.discard(record.deployment_id))

    async def _make_ready(self, record: InstanceRecord) -> None:
        supervisor = self._supervisor
        try:
            async with self._prepared_at_once:
                admit(supervisor.room())
                deployment = await supervisor.adoptions.deployment_of(record.agent_id)
                if deployment is not None:
                    await supervisor.make_ready(deployment)
        except (PodiumError, ReplicaUnavailableError) as error:  # who adopts the agent says it again
            _log.info("not_prepared", extra={"deployment_id": record.deployment_id, "reason": str(error)})

    # ── one agent ───────────────────────────────────────────────────────────────────────────────────────────

    async def _rescue(self, record: InstanceRecord) -> None:
        try:
            await self._try(record)
        finally:
            self._under_way.discard(record.agent_id)

    async def _try(self, record: InstanceRecord) -> None:
        pause = FIRST_PAUSE_SECONDS
        for _ in range(TRIES):
            if self._supervisor.draining:
                return
            try:
                async with self._at_once:
                    await self._supervisor.adoptions.adopt(record.agent_id, record.instance_id)
            except PodiumError as error:
                if error.code is not ErrorCode.AGENT_IN_USE:
                    _log.info("not_rescued", extra={"agent_id": record.agent_id, "why": error.code.value})
                    return  # there is no room, or no reading of its replica: another has a look, or we have later
            else:
                _log.info("rescued", extra={"agent_id": record.agent_id, "from": record.coordinator_id})
                return
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, LAST_PAUSE_SECONDS)
            if not await self._still_alone(record):
                return

    async def _still_alone(self, record: InstanceRecord) -> bool:
        discovery = self._supervisor.parts.discovery
        try:
            newest = await discovery.instance(record.instance_id)
            alive = {each.coordinator_id for each in await discovery.coordinators()}
        except DiscoveryUnavailableError:
            return False
        return newest is not None and is_left_alone(newest, alive)


def is_left_alone(record: InstanceRecord, alive: set[str]) -> bool:
    """Whether an instance has work, and nobody to do it. One that is being made or stopped is not taken over."""
    kept = record.status in ALIVE and record.status not in {InstanceStatus.DEPLOYING, InstanceStatus.STOPPING}
    return kept and record.has_work and record.coordinator_id not in alive
