"""Which coordinator answers for an instance now; one is asked to go on with it when its own is gone."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Final

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
from podium.gateway.domain.placement import PLACEMENT_TRIES, choose, has_room
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
        if newest is not None and newest.status in ALIVE:
            return await self.of_instance(newest, fresh=True)
        path = f"/agents/{agent.agent_id}/bring"
        return await self._once(agent.agent_id, lambda: self._ask(agent.agent_id, path, lambda: None))

    async def anew(self, record: InstanceRecord) -> CoordinatorRecord:
        """A coordinator that goes on with an instance whose own, alive, says that it has not got it.

        Raises:
            PodiumError: as `of_instance`.
        """
        return await self._moved(record, 0)

    async def can_move(self) -> bool:
        """Whether agents of a coordinator that is gone go on elsewhere: what fails now may come right within seconds."""
        return any(each.replicated for each in await self._coordinators.all())

    async def _alive(self, coordinator_id: str, *, fresh: bool) -> CoordinatorRecord | None:
        if not coordinator_id:
            return None
        try:
            return await self._coordinators.find(coordinator_id, fresh=fresh)
        except PodiumError:
            return None

    async def _moved(self, record: InstanceRecord, seen: int) -> CoordinatorRecord:
        agent_id = record.agent_id
        self._seen[agent_id] = max(seen, self._seen.get(agent_id, 0))
        path = f"/agents/{agent_id}/adopt"

        def body() -> bytes:  # what was seen may grow while coordinators are asked
            return msgspec.json.encode(Adopt(record.instance_id, self._seen[agent_id]))

        return await self._once(agent_id, lambda: self._ask(agent_id, path, body))

    async def _once(
        self, agent_id: str, move: Callable[[], Coroutine[Any, Any, CoordinatorRecord]]
    ) -> CoordinatorRecord:
        task = self._moving.get(agent_id)
        if task is None:
            task = self._owner.start(move(), f"move {agent_id}", awaited=True)
            self._moving[agent_id] = task
            task.add_done_callback(lambda _: self._over(agent_id))
        return await asyncio.shield(task)

    def _over(self, agent_id: str) -> None:
        del self._moving[agent_id]
        self._seen.pop(agent_id, None)

    async def _ask(self, agent_id: str, path: str, make_body: Callable[[], bytes | None]) -> CoordinatorRecord:
        """Asks coordinators, the one that has had the agent before first, until one does it."""
        tried: set[str] = set()
        agent = await self._discovery.agent(agent_id)
        home = agent.coordinator_id if agent is not None else None
        while len(tried) < PLACEMENT_TRIES:
            candidates = [each for each in await self._coordinators.all(fresh=True) if each.replicated]
            at_home = [each for each in candidates if each.coordinator_id == home and has_room(each)]
            try:
                chosen = choose(candidates if tried else at_home or candidates, secrets.randbelow, tried=tried)
            except PodiumError:
                break
            tried.add(chosen.coordinator_id)
            body = make_body()
            request = Request("POST", path, Identity(), "", body, _JSON, seconds=ADOPT_SECONDS)
            try:
                reply = await self._coordinators.call(chosen, request)
            except NotConnectedError:
                continue
            if reply.status < FIRST_ERROR_STATUS:
                _log.info("moved", extra={"agent_id": agent_id, "to": chosen.coordinator_id})
                return chosen
            error = refusal(reply)
            if error.code not in _TRY_ANOTHER:
                _log.info("not_moved", extra={"agent_id": agent_id, "why": error.code.value})
                break
        raise away()
