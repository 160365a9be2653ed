"""One instance: its databases, its status, its turns, its process and those who follow it.

Everything here runs on the event loop. A *step* (`Instance.step`) is the unit of change: what happens in it is
committed as one batch and shown to anyone only after that. There is no `await` inside a step.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from podium.coordinator.adapters.store import AgentStore, StoreError
from podium.coordinator.domain import configuration, idle, turns
from podium.coordinator.domain.lifecycle import Change, after
from podium.coordinator.domain.turns import TurnQueue
from podium.coordinator.supervisor.audience import Audience
from podium.coordinator.supervisor.budget import Budget
from podium.coordinator.supervisor.commands import Commands
from podium.coordinator.supervisor.course import Course
from podium.coordinator.supervisor.facts import Facts, Surroundings
from podium.coordinator.supervisor.files import Files
from podium.coordinator.supervisor.life import Life
from podium.coordinator.supervisor.requests import Requests
from podium.coordinator.supervisor.showing import Showing
from podium.coordinator.supervisor.step import Step
from podium.coordinator.supervisor.turns import Turns
from podium.coordinator.supervisor.voice import Voice
from podium.wire.close import CloseCode
from podium.wire.envelope import EventRow
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import StateStatus
from podium.wire.link import LinkError
from podium.wire.manifest import Limits, LimitsTable, Manifest, apply_limits
from podium.wire.status import OVER, InstanceStatus
from podium.wire.units import money

_log = logging.getLogger(__name__)


class Instance:
    """One instance of an agent on this host."""

    def __init__(self, facts: Facts, around: Surroundings) -> None:
        self.facts = facts
        self.around = around
        self.audience = Audience(facts.agent_id)
        self.queue = TurnQueue()
        self.manifest: Manifest | None = None
        self.limits = apply_limits(Limits(), facts.limits)
        self.last_active = around.clock.monotonic()
        self.course = Course(self)
        self.budget = Budget(self)
        self.requests = Requests(self)
        self.turns = Turns(self)
        self.voice = Voice(self)
        self.commands = Commands(self)
        self.files = Files(self)
        self.life = Life(self)
        self.lost = False
        self.leaving = False  # it is given to another host: no turn begins and no process is started
        self.rewinding = (
            False  # it is being taken back: no turn begins and no process is started until its files are back
        )
        self.refusing = False  # and nothing is taken on before it is, for that would be taken back as well
        self.log_news: set[asyncio.Event] = set()
        self.showing = (
            Showing(self) if around.replicated else None
        )  # None: everything is shown at once, and nobody counts
        self.workspace = ""
        self._store: AgentStore | None = None
        self._stepping: Step | None = None
        self._loaded = False
        self._maintained = False
        self._had_work = False
        self.birth: asyncio.Task[PodiumError | None] | None = None
        self.ending: asyncio.Task[None] | None = None
        self._alarm = around.timers.alarm(self._alarm_rang)

    # ── what it is ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def status(self) -> InstanceStatus:
        """The state it is in."""
        return self.facts.status

    @property
    def is_over(self) -> bool:
        """Whether it is terminated or failed."""
        return self.facts.status in OVER

    @property
    def has_work(self) -> bool:
        """Whether something in its databases must happen by itself, wherever it is. Of databases that are closed and were not
        looked into: no."""
        return self.rewinding or self.life.wants_process or self.requests.next_deadline() is not None

    @property
    def directory(self) -> Path:
        """The agent's directory on this host."""
        return self.around.directory / self.facts.agent_id

    @property
    def idle_timeout_ms(self) -> int:
        """How long it may be idle before it is put to sleep; 0 = for ever."""
        return self.limits.idle_timeout_ms

    def config(self) -> dict[str, Any]:
        """The configuration in force: all layers merged."""
        manifest = self.manifest.config if self.manifest is not None else {}
        return configuration.merge(manifest, self.around.runtime_config(), self.facts.config)

    def use_manifest(self, manifest: Manifest) -> None:
        """Takes limits and defaults from the deployment's manifest, the create call's over them.

        Raises:
            PodiumError: `invalid_request`: everything is to be replicated before it is shown, and this host has no replicas.
        """
        self.manifest = manifest
        limits = apply_limits(manifest.limits, self.facts.limits)
        if self.facts.idle_timeout is not None:
            limits = apply_limits(limits, LimitsTable(idle_timeout=self.facts.idle_timeout))
        if limits.durability == "sync" and self.showing is None:
            raise PodiumError(
                ErrorCode.INVALID_REQUEST,
                'limits.durability = "sync" needs a host with replicas (LITESTREAM_REPLICA_URL)',
            )
        self.limits = limits
        # These are needed when there is no manifest at hand yet.
        self.facts.limits = msgspec.structs.replace(
            self.facts.limits,
            durability=limits.durability,
            budget=money(limits.budget_micro_dollars) if limits.budget_micro_dollars else self.facts.limits.budget,
        )

    # ── databases ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def store(self) -> AgentStore:
        """The agent's databases, opened when they are not; what is held in memory is built at the first opening.
        Whoever needs them for a moment calls `rest` after."""
        if self._store is None:
            self._store = self._open_store()
            self.around.opened(self)
            if not self._loaded:
                self._loaded = True
                self.turns.restore(self._store.inbox_open())
                self.requests.restore(self._store.open_requests())
        return self._store

    @property
    def is_open(self) -> bool:
        """Whether the databases are open."""
        return self._store is not None

    @contextmanager
    def reading(self) -> Iterator[AgentStore]:
        """The databases for reading; those of a sleeping agent are opened for this moment, and nobody is woken."""
        if self._store is not None:
            yield self._store
            return
        store = AgentStore.open(self.directory, self.facts.agent_id, self.around.clock, self.around.store_options)
        try:
            yield store
        finally:
            self.around.retire(store)

    def rest(self) -> None:
        """Closes the databases if nothing needs them now."""
        if self._store is None or self._stepping is not None or len(self.audience) or self.life.busy:
            return
        if self.showing is None or not self.showing.waits:
            self.close_store()

    def close_store(self) -> None:
        """Closes the databases. The catalog learns whether anything in them must happen by itself."""
        store, self._store = self._store, None
        if store is None:
            return
        if self.showing is not None:
            self.showing.closed()
        self.around.closed(self)
        self.around.retire(store)
        if not self.lost and not self.is_over and not self.has_work:
            self.facts.at_rest = True
            self.around.note(self.facts)

    def _open_store(self) -> AgentStore:
        self._check_held()
        at_rest = self.facts.at_rest
        if at_rest:
            self._leave_rest()
        around = self.around
        store = AgentStore.open(self.directory, self.facts.agent_id, around.clock, around.store_options)
        if self.showing is not None:
            self.showing.opened(store, at_rest=at_rest)
        return store

    def _leave_rest(self) -> None:
        """The catalog knows before anything is written, or nothing is."""
        self.facts.at_rest = False
        try:
            self.around.save(self.facts)
        except StoreError:
            self.facts.at_rest = True
            raise

    def _check_held(self) -> None:
        if self.lost or not self.around.may_write():
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "the agent is not held by this host now")

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def step(self) -> Iterator[Step]:
        """One step. Steps don't nest: inside one, pass it on.

        Raises:
            PodiumError: raised by the body: nothing was kept. `internal` when the databases refuse; the instance has
                failed then.
        """
        self._check_held()
        try:
            with self.store.batch() as batch:
                step = self._stepping = Step(batch, self.facts.instance_id)
                yield step
                began = self.around.clock.monotonic()
        except StoreError as error:
            self._stepping = None
            self.around.metrics.add("storage_failures_total")
            self.life.storage_failed(error)
            raise PodiumError(ErrorCode.INTERNAL, "the agent's databases can't be written") from error
        finally:
            self._stepping = None
        self.course.committed(self.around.clock.monotonic() - began)
        self._committed(step)

    def change(self, step: Step, change: Change) -> None:
        """The instance goes to the state that `change` leads to, with its event."""
        previous = self.facts.status
        self.facts.status = after(previous, change)
        if self.facts.status is not previous:
            step.event("state.status", StateStatus(status=self.facts.status, previous=previous))
            step.after.append(self._status_changed)

    def settle(self, step: Step) -> None:
        """Brings the status in line with the turn and its requests."""
        if self.status is InstanceStatus.READY and self.queue.running is not None:
            self.change(step, Change.TURN_STARTED)
        asking = self.requests.of_running_turn()
        if self.status is InstanceStatus.RUNNING and asking:
            self.change(step, Change.REQUEST_OPENED)
        if self.status is InstanceStatus.WAITING and not asking:
            self.change(step, Change.REQUESTS_CLOSED)
        if self.status is InstanceStatus.RUNNING and self.queue.running is None:
            self.change(step, Change.TURN_ENDED)

    def note(self, step: Step, level: str, message: str, **fields: Any) -> None:
        """A record of the platform in the agent's log."""
        running = self.queue.running
        turn_id = running.entry.turn_id if running is not None else ""
        now = self.around.clock.now_ms()
        step.batch.log(level, message, "podium", "platform", now, turn_id=turn_id, fields=fields or None)

    def touch(self) -> None:
        """Something happened that keeps the agent awake."""
        self.last_active = self.around.clock.monotonic()

    def tell(
        self,
        acknowledge: Sequence[Callable[[], None]],
        rows: Sequence[EventRow],
        told: Sequence[Callable[[], None]],
    ) -> None:
        """Shows what was committed: who sent something hears of it first."""
        for each in acknowledge:
            each()
        self.audience.publish(rows)
        for each in told:
            each()

    def _committed(self, step: Step) -> None:
        if self.showing is None:
            self.tell(step.acknowledge, step.batch.events, step.told)
        else:
            self.showing.committed(step)
        if step.batch.logs:
            for news in self.log_news:
                news.set()
        self.around.metrics.add("events_total", len(step.batch.events))
        self.around.metrics.add("batches_total")
        if step.to_agent:
            self.life.send(b"".join(step.to_agent))
        for effect in step.after:
            effect()
        if self._had_work is not self.has_work:
            self._had_work = not self._had_work
            if not self.is_over:
                self._status_changed()
        if self._store is not None and self._store.maintenance_due and not self._maintained:
            self._maintained = True
            self.around.tasks.start(self._maintain(self._store), f"upkeep of {self.facts.agent_id}")
        self.set_alarm()

    async def _maintain(self, store: AgentStore) -> None:
        try:
            await asyncio.to_thread(store.maintenance)
        except StoreError as error:
            _log.warning("upkeep_failed", extra={"agent_id": self.facts.agent_id, "error": str(error)})
        finally:
            self._maintained = False

    def _status_changed(self) -> None:
        self.around.status_changed(self)

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────

    def set_alarm(self) -> None:
        """Sees to it that the next thing that happens by itself happens."""
        self._alarm.set(self._next_deadline())

    def _next_deadline(self) -> float | None:
        if self.is_over or self.lost:
            return None
        moments = [self._turn_deadline(), self._request_deadline(), self._idle_deadline()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _turn_deadline(self) -> float | None:
        running = self.queue.running
        if running is None or not self.life.linked:
            return None
        return turns.must_act_at(running, self.limits.turn_timeout_ms / 1000)

    def _request_deadline(self) -> float | None:
        deadline_ms = self.requests.next_deadline()
        if deadline_ms is None:
            return None
        clock = self.around.clock
        return (
            clock.monotonic() + (deadline_ms - clock.now_ms()) / 1000
        )  # in the past once it is over, or it never rings

    def _idle_deadline(self) -> float | None:
        if not self.life.linked or self.life.is_closing:
            return None
        asked = self.life.idle_asked_at
        if asked is not None:
            return asked + self.around.timings.idle_reply
        return idle.sleep_due(self.status, self.idle_timeout_ms, self.last_active)

    def _alarm_rang(self) -> None:
        now = self.around.clock.monotonic()
        for deadline, act in self._deadlines():
            moment = deadline()
            if moment is not None and moment <= now:
                self._guarded(act)
        self.set_alarm()

    def _deadlines(self) -> list[tuple[Callable[[], float | None], Callable[[], None]]]:
        return [
            (self._turn_deadline, self.turns.overdue),
            (self._request_deadline, self.requests.expire),
            (self._idle_deadline, self.life.idle_due),
        ]

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (PodiumError, StoreError, LinkError) as error:
            _log.error("alarm_failed", extra={"instance_id": self.facts.instance_id, "error": str(error)})

    # ── checks ──────────────────────────────────────────────────────────────────────────────────────────────

    def differences(self, store: AgentStore) -> list[str]:
        """Where what is held in memory differs from the databases, in words."""
        if not self._loaded:
            return []
        findings = []
        rows = store.inbox_open()
        running = [row.message_id for row in rows if row.state == "running"]
        held = self.queue.running
        if len(running) > 1:
            findings.append(f"{len(running)} turns run at once")
        if held is not None and held.attempt and running != [held.entry.message_id]:
            findings.append(f"the running turn of {held.entry.message_id} is not running in the journal")
        if held is None and running:
            findings.append(f"the turn of {running[0]} runs only in the journal")
        waiting = len(self.queue) + (1 if held is not None and not held.attempt else 0)
        if waiting != len(rows) - len(running):
            findings.append(f"{waiting} messages wait, {len(rows) - len(running)} in the journal")
        if len(self.requests) != len(store.open_requests()):
            findings.append(f"{len(self.requests)} requests are open, {len(store.open_requests())} in the journal")
        return findings

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────

    def dismiss(self, code: CloseCode, reason: str) -> None:
        """Sends everyone away who follows the agent or waits for a turn."""
        moves = code is CloseCode.MOVING
        self.course.over(reason)
        self.turns.release_waiters(reason, ErrorCode.DRAINING if moves else ErrorCode.INSTANCE_STOPPING)
        self.audience.end(code, reason)
