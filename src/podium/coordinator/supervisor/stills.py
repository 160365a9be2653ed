"""Agents that are awake but do nothing: Litestream, which looks at every database it knows once a second, need not know theirs.

Some seconds after the last commit, when all of it is in the replica, the databases of an agent are taken out of Litestream. What they
look like is looked at twice a second, also by whom they were written does not matter then; after a commit they are put back and
brought outside at once. So what is committed meanwhile is in the replica as soon as anything else.
"""

import asyncio
import logging
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.domain.stillness import Order, Stillness

if TYPE_CHECKING:
    from podium.coordinator.supervisor.replication import Replication
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""How often it is looked: of the two seconds that a commit may take into the replica, this is a quarter."""

LOOKED_AT_ONCE: Final = 50
"""Agents that are looked at before others have their turn: four files each, about two microseconds for each file."""

RESTING_AT_ONCE: Final = 4
"""Agents that are put to rest at the same time: there is no hurry."""

REST_SECONDS: Final = 5.0
"""How long bringing what is not outside yet may take before an agent is put to rest; else it is followed on."""

FOLLOW_PAUSE_SECONDS: Final = 0.5
"""Pause before following is tried again while Litestream does not answer."""

BEFORE_CLOSE_SECONDS: Final = 2.0
"""How long closing databases waits until they are followed."""

OUTSIDE_SECONDS: Final = 10.0
"""How long it is waited for what was committed meanwhile; Litestream goes on with it in any case."""


class Stills:
    """Puts agents to rest, and has them followed again."""

    def __init__(self, supervisor: "Supervisor", replication: "Replication") -> None:
        self._supervisor = supervisor
        self._replication = replication
        self._seen: dict[str, Stillness] = {}
        self._turning: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(RESTING_AT_ONCE)

    async def run(self) -> None:
        """Looks, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            attached = self._replication.attached()
            for agent_id in self._seen.keys() - attached:
                del self._seen[agent_id]
            for number, agent_id in enumerate(attached, 1):
                self._look(agent_id)
                if number % LOOKED_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _look(self, agent_id: str) -> None:
        replicas = self._replication.replicas
        if replicas is None or agent_id in self._turning:
            return
        now = self._supervisor.parts.clock.monotonic()
        seen = self._seen.setdefault(agent_id, Stillness())
        order = seen.look(_marks(replicas.paths(agent_id)), now, rests=replicas.rests(agent_id))
        if order is Order.NOTHING:
            return
        work = self._rest(agent_id, seen) if order is Order.REST else self._follow(agent_id)
        task = self._supervisor.tasks.start(work, f"{order.name.lower()} {agent_id}")
        self._turning[agent_id] = task
        task.add_done_callback(lambda _: self._turning.pop(agent_id, None))

    async def _rest(self, agent_id: str, seen: Stillness) -> None:
        replicas = self._replication.replicas
        assert replicas is not None
        try:
            async with self._at_once:
                await replicas.rest(agent_id, REST_SECONDS)
        except ReplicaUnavailableError:
            seen.again(self._supervisor.parts.clock.monotonic())

    async def before_close(self, agent_id: str) -> None:
        """Call it before databases are closed, perhaps by the last who has them open: it would move their write-ahead logs into the
        files, and who follows them again would have to bring all of the files outside."""
        replicas = self._replication.replicas
        if replicas is not None and replicas.rests(agent_id):
            with suppress(ReplicaUnavailableError):
                await replicas.sync(agent_id, BEFORE_CLOSE_SECONDS)

    async def _follow(self, agent_id: str) -> None:
        replicas = self._replication.replicas
        assert replicas is not None
        self._replication.is_behind(agent_id)
        while agent_id in self._replication.attached():
            try:
                await replicas.follow(agent_id)
            except ReplicaUnavailableError as error:
                _log.warning("not_replicated", extra={"agent_id": agent_id, "reason": str(error)})
                await asyncio.sleep(FOLLOW_PAUSE_SECONDS)
                continue
            self._replication.is_behind(agent_id, behind=False)
            try:
                await replicas.sync(agent_id, OUTSIDE_SECONDS)
            except ReplicaUnavailableError as error:
                _log.warning("not_replicated", extra={"agent_id": agent_id, "reason": str(error)})
            return


def _marks(databases: list[Path]) -> Hashable:
    """What differs after a commit: every commit is written to the write-ahead log, or has moved one into its file."""
    return tuple(_mark(database) for database in databases)


def _mark(database: Path) -> tuple[int, int]:
    for path in (f"{database}-wal", database):
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            continue
        return found.st_mtime_ns, found.st_size
    return 0, 0
