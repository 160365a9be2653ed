"""What a step shows: acknowledgements, events, ends of turns. On a host that replicates, somebody keeps count of it.

With `durability = "default"` a step is shown at once, and discovery is told how far it came, so that whoever goes on with the
agent never gives a number again that a client has seen. With `sync` it waits, in order, until one sync of the replica covers it;
what comes meanwhile is covered by the next. Frames to the agent go on at once in both cases.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.adapters.store import AgentStore
from podium.coordinator.adapters.store.batch import Heads
from podium.coordinator.supervisor.step import Step
from podium.wire.envelope import EventRow
from podium.wire.errors import ErrorCode, PodiumError

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)

SYNC_SECONDS: Final = 10.0
"""How long one sync may take; then the replica counts as away, and it is tried again."""

FIRST_PAUSE_SECONDS: Final = 0.2
LAST_PAUSE_SECONDS: Final = 5.0
"""Pauses before the next try while the replica is away: from the first, doubled, up to the last."""

ANSWER_SECONDS: Final = 30.0
"""How long a REST call waits until what it caused may be shown."""

LAST_WORDS_SECONDS: Final = 5.0
"""How long the end of an instance waits until its last events may be shown."""

HELD_MAX_EVENTS: Final = 10_000
HELD_MAX_BYTES: Final = 8 * 1024 * 1024
"""More than this waits to be shown: messages are refused and the agent is not read until it has become less."""


class _Held(NamedTuple):
    """A step that waits. `heads`: where the agent stands with it."""

    acknowledge: Sequence[Callable[[], None]]
    rows: Sequence[EventRow]
    told: Sequence[Callable[[], None]]
    heads: Heads


class Showing:
    """Shows the steps of one instance of a host that replicates."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self.heads = Heads(0, 0, None)
        """Up to where everything is shown; of databases that were not opened yet: nothing is known."""
        self.is_certain = True
        """Whether `heads` is known. Databases that a crash left are replicated first: nobody knows what of them is."""
        self._held: deque[_Held] = deque()
        self._events = 0
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._covering: asyncio.Task[None] | None = None
        self._is_away = False

    @property
    def is_sync(self) -> bool:
        """Whether what is shown must be replicated before."""
        return self._instance.facts.limits.durability == "sync"

    @property
    def waits(self) -> bool:
        """Whether something waits to be shown."""
        return bool(self._held)

    @property
    def is_full(self) -> bool:
        """Whether too much waits."""
        return self._events >= HELD_MAX_EVENTS or self._bytes >= HELD_MAX_BYTES

    def admit(self) -> None:
        """Refuses a message while too much waits.

        Raises:
            PodiumError: `quota_exceeded`.
        """
        if self.is_full:
            raise PodiumError(
                ErrorCode.QUOTA_EXCEEDED, "the replica does not keep up; send it again in a moment", retry_after=1.0
            )

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, store: AgentStore, *, at_rest: bool) -> None:
        """The databases are open. `at_rest`: they were closed in order, so that everything in them was shown."""
        heads = Heads(store.head_seq, store.state_version, store.state_schema)
        if not self.is_sync or at_rest or heads.seq == 0:
            self.heads = heads
            return
        self.is_certain = False
        self._hold(_Held((), (), (), heads))

    def closed(self) -> None:
        """The databases are closed, in order or because they must be: what still waits is never shown here."""
        self._held.clear()
        self._events = self._bytes = 0
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_exception(PodiumError(ErrorCode.DRAINING, "the agent leaves this host", retry_after=1.0))
                future.exception()  # seen: whoever waited may be gone

    def committed(self, step: Step) -> None:
        """A step is committed: it is shown, now or later."""
        rows = step.batch.events
        if not self.is_sync:
            self._instance.tell(step.acknowledge, rows, step.told)
            if rows:
                self.heads = step.batch.heads
                self._instance.around.shown(self._instance)
            return
        if rows or step.acknowledge or step.told or self._held:
            self._hold(_Held(step.acknowledge, rows, step.told, step.batch.heads))
        else:
            self.heads = step.batch.heads  # a change of the state alone, which the next that is shown brings along

    def after_all(self, tell: Callable[[], None]) -> None:
        """Calls `tell` when everything that was committed so far is shown."""
        if self._held:
            self._hold(_Held((tell,), (), (), self._held[-1].heads))
        else:
            tell()

    async def settled(self, seconds: float = ANSWER_SECONDS) -> None:
        """Returns when everything that was committed so far is shown.

        Raises:
            PodiumError: `workspace_unavailable`: the replica is away for longer than `seconds`; `draining`.
        """
        if not self._held:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self.after_all(lambda: _resolve(future))
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            raise PodiumError(
                ErrorCode.WORKSPACE_UNAVAILABLE, "the agent's replica is away; ask again in a moment", retry_after=1.0
            ) from None
        finally:
            self._waiting.discard(future)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────

    def _hold(self, held: _Held) -> None:
        self._held.append(held)
        self._events += len(held.rows)
        self._bytes += sum(len(row.content) for row in held.rows)
        if self.is_full and (process := self._instance.life.process) is not None:
            process.pause_reading()
        if self._covering is None:
            around, agent_id = self._instance.around, self._instance.facts.agent_id
            self._covering = around.tasks.start(self._cover(), f"show what is replicated of {agent_id}")

    async def _cover(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        try:
            while self._held:
                covered = len(self._held)
                if await self._is_synced():
                    pause = FIRST_PAUSE_SECONDS
                    self._show(covered)
                elif self._held:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LAST_PAUSE_SECONDS)
        finally:
            self._covering = None
            self._instance.rest()

    async def _is_synced(self) -> bool:
        """Whether everything that was committed before the call is in the replica, and no other host can have gone on without it:
        as long as this one may write, nobody has restored the agent since."""
        instance = self._instance
        try:
            await instance.around.synced(instance.facts.agent_id, SYNC_SECONDS)
        except (ReplicaUnavailableError, PodiumError) as error:
            self._tell_away(str(error))
            return False
        self._tell_away(None)
        return not instance.lost and instance.around.may_write()

    def _show(self, count: int) -> None:
        instance = self._instance
        was_full = self.is_full
        for _ in range(min(count, len(self._held))):
            held = self._held.popleft()
            self._events -= len(held.rows)
            self._bytes -= sum(len(row.content) for row in held.rows)
            self.heads = held.heads
            self.is_certain = True
            instance.tell(held.acknowledge, held.rows, held.told)
        instance.around.shown(instance)
        if was_full and not self.is_full and (process := instance.life.process) is not None:
            process.resume_reading()

    def _tell_away(self, why: str | None) -> None:
        if (why is not None) is self._is_away:
            return
        self._is_away = why is not None
        facts = {"agent_id": self._instance.facts.agent_id, "steps": len(self._held)}
        if why is not None:
            _log.warning("showing_waits_for_replica", extra={**facts, "reason": why})
        else:
            _log.warning("showing_goes_on", extra=facts)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def visible(instance: "Instance", store: AgentStore) -> Heads:
    """How far a reader may see: up to the newest event and state, or, with `sync`, the newest that is replicated."""
    showing = instance.showing
    if showing is None or not showing.is_sync or not instance.is_open:
        return Heads(store.head_seq, store.state_version, store.state_schema)
    return showing.heads


async def certain(instance: "Instance") -> None:
    """Returns when it is known how far a reader may see; what a crash left is replicated first.

    Raises:
        PodiumError: as `Showing.settled`.
    """
    if instance.showing is not None and not instance.showing.is_certain:
        await instance.showing.settled()


async def settled(instance: "Instance", seconds: float = ANSWER_SECONDS) -> None:
    """Returns when everything that was committed so far may be shown; at once where nothing waits for a replica.

    Raises:
        PodiumError: as `Showing.settled`.
    """
    if instance.showing is not None:
        await instance.showing.settled(seconds)
