"""Which coordinator answers for an instance now; one is asked to go on with it when its own is gone."""

import asyncio
import logging
import secrets
from typing import Final

import msgspec

from podium.base.discovery import AgentRecord, CoordinatorRecord, Discovery, InstanceRecord
from podium.base.http import Identity
from podium.base.tasks import TaskOwner
from podium.gateway.adapters.coordinators import (
    FIRST_ERROR_STATUS,
    Coordinators,
    NotConnectedError,
    Request,
    away,
    refusal,
)
from podium.gateway.domain.placement import PLACEMENT_TRIES, choose
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Adopt
from podium.wire.status import ALIVE

_log = logging.getLogger(__name__)

ADOPT_SECONDS: Final = 60.0
"""How long a coordinator may take to go on with an agent."""

_JSON: Final = {"content-type": "application/json"}
_TRY_ANOTHER: Final = frozenset({ErrorCode.NO_COORDINATOR_AVAILABLE, ErrorCode.DRAINING})


class Homes:
    """Finds coordinators. Many who look for one agent's cause one adoption."""

    def __init__(self, discovery: Discovery, coordinators: Coordinators, owner: TaskOwner) -> None:
        self._discovery = discovery
        self._coordinators = coordinators
        self._owner = owner
        self._moving: dict[str, asyncio.Task[CoordinatorRecord]] = {}
        self._seen: dict[str, int] = {}

    async def of_instance(self, record: InstanceRecord, *, fresh: bool = False, seen: int = 0) -> CoordinatorRecord:
        """The coordinator of an instance. `fresh`: the one that is known has just failed to answer. `seen`: the newest event of it
        that a client got through here; whoever goes on with the agent begins behind it.

        Raises:
            PodiumError: `coordinator_unreachable`, also while another can't take over yet: it comes right within seconds.
        """
        known = await self._alive(record.coordinator_id, fresh=fresh)
        if known is not None:
            return known
        newest = await self._discovery.instance(record.instance_id)
        if newest is None or newest.status not in ALIVE:
            raise away()
        if newest.coordinator_id != record.coordinator_id:
            known = await self._alive(newest.coordinator_id, fresh=True)
            if known is not None:
                return known
        return await self._moved(newest, seen)

    async def of_agent(self, agent: AgentRecord) -> CoordinatorRecord:
        """The coordinator that has an agent's data.

        Raises:
            PodiumError: as `of_instance`.
        """
        known = await self._alive(agent.coordinator_id or "", fresh=False)
        if known is not None:
            return known
        newest = await self._discovery.instance(agent.instance_id) if agent.instance_id else None
        if newest is None:
            raise away()
        return await self.of_instance(newest, fresh=True)

    async def _alive(self, coordinator_id: str, *, fresh: bool) -> CoordinatorRecord | None:
        if not coordinator_id:
            return None
        try:
            return await self._coordinators.find(coordinator_id, fresh=fresh)
        except PodiumError:
            return None

    async def _moved(self, record: InstanceRecord, seen: int) -> CoordinatorRecord:
        self._seen[record.agent_id] = max(seen, self._seen.get(record.agent_id, 0))
        task = self._moving.get(record.agent_id)
        if task is None:
            task = self._owner.start(self._move(record), f"move {record.agent_id}", awaited=True)
            self._moving[record.agent_id] = task
            task.add_done_callback(lambda _: self._over(record.agent_id))
        return await asyncio.shield(task)

    def _over(self, agent_id: str) -> None:
        del self._moving[agent_id], self._seen[agent_id]

    async def _move(self, record: InstanceRecord) -> CoordinatorRecord:
        tried: set[str] = set()
        path = f"/agents/{record.agent_id}/adopt"
        while len(tried) < PLACEMENT_TRIES:
            candidates = [each for each in await self._coordinators.all(fresh=True) if each.replicated]
            try:
                chosen = choose(candidates, secrets.randbelow, tried=tried)
            except PodiumError:
                break
            tried.add(chosen.coordinator_id)
            body = msgspec.json.encode(Adopt(record.instance_id, self._seen[record.agent_id]))
            request = Request("POST", path, Identity(), "", body, _JSON, seconds=ADOPT_SECONDS)
            try:
                reply = await self._coordinators.call(chosen, request)
            except NotConnectedError:
                continue
            if reply.status < FIRST_ERROR_STATUS:
                _log.info("moved", extra={"agent_id": record.agent_id, "to": chosen.coordinator_id})
                return chosen
            error = refusal(reply)
            if error.code not in _TRY_ANOTHER:
                _log.info("not_moved", extra={"agent_id": record.agent_id, "why": error.code.value})
                break
        raise away()
