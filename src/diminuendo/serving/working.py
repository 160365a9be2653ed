"""A session at work: its machine, its database, its instance and its readers, put together."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, NamedTuple

from diminuendo.domain import events, life
from diminuendo.domain.following import follow, shown
from diminuendo.domain.life import SessionLife
from diminuendo.domain.mapper import map_podium_event, said_by_person
from diminuendo.domain.sessions import SETTLED, SessionState
from diminuendo.protocol.answers import StateSnapshot
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.serving.audience import Audience
from diminuendo.serving.pages import HISTORY_RECENT, fitting, session_of
from diminuendo.serving.port import Reader, Seat
from diminuendo.serving.refusals import sentence
from diminuendo.storage.errors import StorageError
from diminuendo.storage.places import Places
from diminuendo.storage.registry import Registry, SessionRecord
from diminuendo.storage.session_store import SessionStore
from podium.base.clock import Clock
from podium.base.tasks import TaskOwner
from podium.client import PodiumClient, PodiumConnection, PodiumConnectionError, PodiumEvent

LEAVE_SECONDS: Final = 75.0
"""How long a session may take to let its instance go: what making one and stopping it may take, and a little more."""

EVENTS_AT_ONCE: Final = 100
"""Events of one agent that are taken in before others have their turn."""

PROBE_SECONDS: Final = 60.0
"""How long an instance is looked for after a restart while Podium itself does not answer; then it counts as gone."""

PROBE_PAUSE_SECONDS: Final = 1.0
"""Between two such tries."""

_log = logging.getLogger(__name__)


class Parts(NamedTuple):
    """What all sessions stand on. `probes` bounds how many instances are asked after at the same time."""

    podium: PodiumClient
    places: Places
    clock: Clock
    owner: TaskOwner
    idle_ms: int
    probes: asyncio.Semaphore


class SessionAtWork:
    """One session. Made when somebody needs it, closed when nobody does and its instance is gone.

    `failed` is told when the session's database can't be written any more: whoever holds this drops it then, and opens it anew.
    Everything happens on the event loop's thread; what has no `await` in it is one step for all others.
    """

    def __init__(
        self, record: SessionRecord, registry: Registry, parts: Parts, failed: Callable[["SessionAtWork"], None]
    ) -> None:
        """Opens the session's database. Raises `StorageError`."""
        self.record = record
        self.users = 0
        """How many requests need it to stay open just now."""
        self._registry = registry
        self._parts = parts
        self._failed = failed
        path = parts.places.session(record.session_id)
        loop = asyncio.get_running_loop()
        self.store = SessionStore.open(path, record.session_id, parts.clock, loop.call_later, self._broken)
        resume = self.store.resume()
        self._said_state: str = record.state
        """What clients were told last: a state, or `terminated`."""
        self._life = SessionLife(record.state, record.instance_id, resume.turn_id, resume.asked, parts.idle_ms)
        self._audience = Audience(self.store)
        self._connection: PodiumConnection | None = None
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._idle: asyncio.TimerHandle | None = None
        self._moved = asyncio.Event()
        self._leaving: str | None = None
        self._closed = False

    # ── what is known of it ──────────────────────────────────────────────────────────────────────────────────

    @property
    def session_id(self) -> str:
        """Its id."""
        return self.record.session_id

    @property
    def tenant_id(self) -> str:
        """Whose it is."""
        return self._registry.tenant_id

    @property
    def state(self) -> SessionState:
        """Where it is."""
        return self._life.state

    @property
    def instance_id(self) -> str | None:
        """The instance that is there for it."""
        return self._life.instance_id

    @property
    def is_free(self) -> bool:
        """Whether nothing is lost when it is closed now."""
        return not self.users and not self._audience and not self._waiters and self.state in SETTLED

    @property
    def podium(self) -> PodiumClient:
        """Where its agent is."""
        return self._parts.podium

    def snapshot(self) -> StateSnapshot:
        """The session as clients see it now: what is durable. Raises `StorageError`."""
        self.store.flush()
        return StateSnapshot(
            session=session_of(self.record),
            recent_history=fitting(self.store.history(None, HISTORY_RECENT)),
            last_seq=self.store.last_seq,
            pending=list(self.store.pending()),
        )

    # ── what clients do ──────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Takes up what an earlier process left behind."""
        self._deciding(self._life.recover)

    def join(self, reader: Reader, after_seq: int | None) -> Seat:
        """A place for `reader`. Raises `StorageError`."""
        return self._audience.seat(reader, self.snapshot(), after_seq)

    async def connected(self) -> PodiumConnection:
        """The connection to the session's instance, which is made when there is none; in the order of the calls.

        Raises:
            ProtocolError: it can't be had.
        """
        if self._leaving is not None or self._closed:
            raise ProtocolError(Code.PODIUM_UNAVAILABLE, self._leaving or "the session is being put away; try again")
        waiter = f"w{next(self._numbers)}"
        waiting = self._waiters[waiter] = asyncio.get_running_loop().create_future()
        try:
            self._tell(life.Needed(waiter, self._parts.clock.now_ms()))
            if waiting.done() and len(self._waiters) > 1:
                await asyncio.sleep(0)  # others got it just before and have not run yet: they go first
            await waiting
        finally:
            del self._waiters[waiter]
        if self._connection is None:
            raise ProtocolError(Code.PODIUM_UNAVAILABLE, "the agent's instance was lost; try again")
        return self._connection

    async def resumed(self) -> None:
        """Waits while an instance is looked for that was there before a restart.

        Raises:
            ProtocolError: it can't be had.
        """
        if self.state is SessionState.ACTIVATING and self._life.instance_id is not None:
            await self.connected()

    async def let_go(self, reason: str, *, for_good: bool = False) -> None:
        """Stops the instance, if there is one; returns when it is gone. `for_good`: nobody gets another one.

        Raises:
            ProtocolError: it takes too long.
        """
        if for_good:
            self._leaving = reason
        self._tell(life.LetGo(reason))
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                while self.state is not SessionState.INACTIVE and not self._closed:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError as error:
            raise ProtocolError(Code.PODIUM_UNAVAILABLE, "the agent's instance can't be stopped now") from error

    def remain(self) -> None:
        """It stays, after all: `let_go` for good did not lead to its end."""
        self._leaving = None

    @property
    def audience(self) -> Audience:
        """Who follows it."""
        return self._audience

    async def close(self, reason: str) -> None:
        """Ends its readers and drops its connection; the instance stays as it is. Never raises."""
        if self._closed:
            return
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        try:
            self.store.flush()
        except StorageError as error:
            _log.warning("session_not_written", extra={"session_id": self.session_id}, exc_info=error)
        self._audience.end(reason)
        self._refuse_waiters(reason)
        self._moved.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        try:
            self.store.close()
        except StorageError as error:
            _log.warning("session_not_closed", extra={"session_id": self.session_id}, exc_info=error)

    # ── the machine ──────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, event: life.Event) -> None:
        """Tells the machine."""
        if not self._closed:
            self._deciding(lambda: self._life.handle(event))

    def _deciding(self, decide: Callable[[], list[life.Decision]]) -> None:
        """Does what the machine decides. What can't be written ends the session's work."""
        try:
            self._do(decide())
        except StorageError as error:
            self._broken(error)

    def _do(self, decided: Iterable[life.Decision]) -> None:
        for decision in decided:
            match decision:
                case life.Enter():
                    self._enter(decision.state, decision.instance_id)
                case life.Create():
                    self._start(self._create(), "create")
                case life.Connect():
                    self._start(self._connect(decision.instance_id), "connect")
                case life.Probe():
                    self._start(self._probe(decision.instance_id), "probe")
                case life.Stop():
                    self._start(self._stop(decision.instance_id), "stop")
                case life.Proceed():
                    if (waiting := self._waiters.get(decision.waiter)) is not None and not waiting.done():
                        waiting.set_result(None)
                case life.Refuse():
                    self._refuse(decision)
                case life.CutTurn():
                    cut = events.TurnError(
                        session_id=self.session_id,
                        turn_id=decision.turn_id,
                        code=decision.code,
                        message=decision.message,
                    )
                    self.store.append([cut], self._audience.tell)
                case life.IdleAt():
                    self._expect_idleness(decision.at_ms)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._parts.owner.start(work, f"{name}-{self.session_id}")

    def _enter(self, state: SessionState, instance_id: str | None) -> None:
        self.record = self._registry.enter(self.session_id, state, instance_id)
        if state != self._said_state:
            told = events.SessionStateChanged(session_id=self.session_id, turn_id=self._life.turn_id, state=state.value)
            self.store.append([told], self._audience.tell)
            self._said_state = state
        if state in SETTLED:
            self._disconnect()
        self._moved.set()

    def _refuse(self, refusal: life.Refuse) -> None:
        waiting = self._waiters.get(refusal.waiter)
        if waiting is not None and not waiting.done():
            waiting.set_exception(ProtocolError(Code(refusal.code), refusal.message))

    def _refuse_waiters(self, reason: str) -> None:
        for waiting in self._waiters.values():
            if not waiting.done():
                waiting.set_exception(ProtocolError(Code.PODIUM_UNAVAILABLE, reason))

    def _expect_idleness(self, at_ms: int) -> None:
        if self._idle is not None:
            self._idle.cancel()
        seconds = max(0.0, (at_ms - self._parts.clock.now_ms()) / 1000)
        self._idle = asyncio.get_running_loop().call_later(seconds, self._check_idleness)

    def _check_idleness(self) -> None:
        self._idle = None
        self._tell(life.IdleCheck(self._parts.clock.now_ms()))

    def _broken(self, error: StorageError) -> None:
        """Nothing can be written any more."""
        _log.error("session_broken", extra={"session_id": self.session_id}, exc_info=error)
        self._failed(self)

    # ── Podium ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _create(self) -> None:
        try:
            made = await self._parts.podium.create_instance(self.record.agent_type, self.record.agent_id)
        except PodiumConnectionError as error:
            self._tell(life.ActivationFailed(None, sentence(error)))
        else:
            self._tell(life.Created(made.instance_id))

    async def _connect(self, instance_id: str) -> None:
        try:
            connection = await self._parts.podium.connect(instance_id, after=self.store.taken)
        except PodiumConnectionError as error:
            self._tell(life.ActivationFailed(instance_id, sentence(error)))
            return
        if self._closed or self.state is not SessionState.ACTIVATING or self._life.instance_id != instance_id:
            await connection.close()  # let go of in the meantime
            return
        self._connection = connection
        self._tell(life.Attached(instance_id, self._parts.clock.now_ms()))
        await self._read(connection)

    async def _read(self, connection: PodiumConnection) -> None:
        taken = 0
        try:
            async for event in connection.events:
                if self._connection is not connection:
                    return
                self._take(event)
                taken += 1
                if taken % EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except PodiumConnectionError as error:
            if self._connection is connection:
                self._tell(life.Lost(connection.instance_id, sentence(error)))

    def _take(self, event: PodiumEvent) -> None:
        """Takes an event in: to the database, from there to the readers, and to the machine."""
        if event.seq <= self.store.taken:  # known already, or of one connection alone
            return
        instance_id = self._life.instance_id or ""
        mapped = map_podium_event(self.session_id, event.turn_id, event)
        told = shown(event, mapped, instance_id)
        try:
            if told and event.instance_id != instance_id and event.turn_id is not None:
                told = self._without_second_end(told, event.turn_id)
            target = _rewound_to(event)
            self.store.append(told, self._audience.tell, event.seq, said_by_person(event), target)
            for made in told:
                if isinstance(made, events.SessionStateChanged):
                    self._said_state = made.state
            if target is not None:
                self._audience.inform(self.snapshot())
        except StorageError as error:
            self._broken(error)
            return
        for happened in follow(event, mapped, instance_id, self._parts.clock.now_ms()):
            self._tell(happened)

    def _without_second_end(self, told: list[events.ClientEvent], turn_id: str) -> list[events.ClientEvent]:
        """What an earlier instance said about a turn that was cut off here: its end was told already."""
        self.store.flush()
        ends = (events.TurnComplete, events.TurnError)
        return [made for made in told if not isinstance(made, ends) or not self.store.is_over(turn_id)]

    async def _probe(self, instance_id: str) -> None:
        """That nobody answers says something about an instance only while Podium does: it may be restarting, too."""
        deadline = self._parts.clock.monotonic() + PROBE_SECONDS
        while True:
            async with self._parts.probes:
                alive = await self.podium.is_alive(instance_id)
                certain = alive or await self.podium.is_reachable()
            if certain or self._closed or self._parts.clock.monotonic() >= deadline:
                break
            await asyncio.sleep(PROBE_PAUSE_SECONDS)
        self._tell(life.Probed(instance_id, alive))

    async def _stop(self, instance_id: str) -> None:
        self._disconnect()
        try:
            await self._parts.podium.stop_instance(instance_id)
        except PodiumConnectionError as error:
            facts = {"session_id": self.session_id, "instance_id": instance_id, "code": error.code.value}
            _log.warning("instance_not_stopped", extra=facts)
        self._tell(life.Stopped(instance_id))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._start(connection.close(), "disconnect")


def _rewound_to(event: PodiumEvent) -> int | None:
    """The number behind which nothing counts any more, if the event says that the agent was taken back."""
    target = (event.content or {}).get("seq") if event.message_type == "agent.rewound" else None
    return target if type(target) is int and 0 <= target < event.seq else None
