"""Rewinds: an agent is taken back to a moment of its own.

```
no turn runs ─► process ended ─► everything recorded ─► COMMIT: event, old state as a new version, files pending
             ─► files taken back ─► pending cleared ─► process started again, if there was one
```
Before the commit nothing has happened. After it, whatever dies, the files are taken back before anything else is done with
the agent: at the next start of the coordinator, of the process, or by the rewind itself.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from podium.coordinator.adapters.store import Moment, MomentRow
from podium.coordinator.domain.lifecycle import Change, allows
from podium.coordinator.domain.turns import Ending
from podium.coordinator.supervisor import moments
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import settled
from podium.coordinator.supervisor.step import Step
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import AgentRewound
from podium.wire.limits import CANCEL_GRACE_SECONDS
from podium.wire.moments import MomentRef, Rewound
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

CANCEL_SECONDS: Final = 2 * CANCEL_GRACE_SECONDS
"""How long a cancelled turn may take to end: its grace, and the end of a process that ignored it."""


class Rewinds:
    """Takes agents of this host back."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    async def rewind(self, agent_id: str, at: MomentRef, *, cancel: bool, tenant_id: str | None) -> Rewound:
        """Takes the agent back. If the caller goes away, the rewind goes on.

        Raises:
            PodiumError: `agent_not_found`, `instance_not_found` when no instance of it is alive, `turn_not_found`,
                `busy` when a turn runs or waits and `cancel` is not asked for, `iteration_not_found` when the files of
                that moment can't be had.
        """
        instance = moments.resident(self._supervisor, agent_id, tenant_id)
        if instance.is_over or instance.birth is not None or instance.ending is not None:
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "no instance of the agent is alive; create one first")
        if instance.rewinding:
            raise PodiumError(ErrorCode.BUSY, "the agent is being taken back", retry_after=1.0)
        if not instance.files.are_versioned:
            raise PodiumError(ErrorCode.INVALID_REQUEST, "this host keeps no versions of files to go back to")
        moment = await moments.find(instance, at)
        self._check(instance, cancel=cancel)
        instance.rewinding = instance.refusing = True
        task = self._supervisor.tasks.start(
            self._rewind(instance, moment, cancel=cancel), f"rewind {agent_id}", awaited=True
        )
        return await asyncio.shield(task)

    def _check(self, instance: Instance, *, cancel: bool) -> None:
        with instance.reading() as store:
            open_rows = store.inbox_open()
        if instance.rewinding or (open_rows and not cancel):
            raise PodiumError(ErrorCode.BUSY, "a turn runs or waits; wait for its end, or cancel it with this call")

    async def _rewind(self, instance: Instance, moment: Moment, *, cancel: bool) -> Rewound:
        fault = self._supervisor.parts.store_options.fault
        was_awake = instance.life.busy
        try:
            if cancel:
                await self._cancel_all(instance)
            await self._end_process(instance)
            before = await moments.newest_iteration(instance)
            fault("rewind.stopped")
            self._check_alive(instance)
            if instance.queue.has_work:
                raise PodiumError(ErrorCode.BUSY, "the turn did not end when it was cancelled", retry_after=1.0)
            rewound = self._commit(instance, moment, before)
            instance.refusing = False
            fault("rewind.committed")
            await instance.files.arrive()
            fault("rewind.arrived")
            await settled(instance)
            self._supervisor.parts.metrics.add("rewinds_total")
            return rewound
        finally:
            self._go_on(instance, awake=was_awake)

    @staticmethod
    async def _end_process(instance: Instance) -> None:
        """Ends the process, and one that is only just being started as well: it may be what the agent is taken back from."""
        await instance.life.stop("restart")
        if instance.status is not InstanceStatus.ASLEEP and allows(instance.status, Change.HOST_LOST):
            with instance.step() as step:
                instance.turns.process_lost(step)
                instance.change(step, Change.HOST_LOST)

    def finish(self, instance: Instance) -> None:
        """The coordinator died before the files were back: they are taken back now, and then the instance goes on."""
        instance.rewinding = True
        self._supervisor.tasks.start(self._finish(instance), f"finish the rewind of {instance.facts.agent_id}")

    async def _finish(self, instance: Instance) -> None:
        try:
            await instance.files.arrive()
        except PodiumError as error:  # the next start of the process tries again, and fails when it can't be done
            _log.error("rewind_not_finished", extra={"agent_id": instance.facts.agent_id, "error": str(error)})
        finally:
            self._go_on(instance, awake=False)

    @staticmethod
    def _go_on(instance: Instance, *, awake: bool) -> None:
        instance.rewinding = instance.refusing = False
        if not instance.is_over and not instance.lost:
            if awake or instance.life.wants_process:
                instance.life.wake()
            instance.rest()

    @staticmethod
    def _check_alive(instance: Instance) -> None:
        if instance.is_over or instance.lost or instance.ending is not None:
            raise PodiumError(ErrorCode.INSTANCE_STOPPING, "the instance was stopped meanwhile")

    async def _cancel_all(self, instance: Instance) -> None:
        """Ends the running turn and all that wait."""
        with instance.reading() as store:
            waiting = [row.turn_id for row in store.inbox_open()]
        running = instance.queue.running
        over = instance.turns.wait(running.entry.turn_id) if running is not None else None
        with instance.step() as step:
            for turn_id in waiting:
                instance.turns.cancel_waiting(step, turn_id)
            instance.turns.ask_end(step, Ending.CANCELLED)
            instance.settle(step)
        if over is not None and running is not None:
            await asyncio.wait({over}, timeout=CANCEL_SECONDS)
            instance.turns.forget(running.entry.turn_id, over)

    def _commit(self, instance: Instance, moment: Moment, before: int) -> Rewound:
        versioned = instance.files.are_versioned
        with instance.step() as step:
            old, version = step.batch.heads, self._take_state_back(instance, step, moment)
            content = AgentRewound(
                seq=moment.seq,
                state_version=version,
                iteration=moment.iteration,
                turn_id=moment.turn_id or None,
            )
            event = step.event("agent.rewound", content)
            step.batch.turn_back(
                MomentRow(
                    event.seq, "rewind", moment.seq, version, moment.iteration, old.version, before, pending=versioned
                )
            )
            instance.note(step, "info", f"taken back to event {moment.seq}", undo=event.seq - 1)
        return Rewound(
            agent_id=instance.facts.agent_id,
            instance_id=instance.facts.instance_id,
            moment=moments.shown(moment),
            seq=event.seq,
            state_version=version,
            undo=event.seq - 1,
        )

    @staticmethod
    def _take_state_back(instance: Instance, step: Step, moment: Moment) -> int:
        """The old state as a new version; its number. The same state again makes none."""
        heads = step.batch.heads
        if moment.state_version == heads.version:
            return heads.version
        state = instance.store.state(moment.state_version)
        schema = state.schema if state.schema is not None else (heads.schema or 1)
        step.batch.replace_state(heads.version + 1, schema, state.data, moment.turn_id)
        return heads.version + 1
