"""What becomes of an instance when its process has ended: it sleeps, gets another process, or has failed."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from podium.coordinator.domain import restarts
from podium.coordinator.domain.lifecycle import Change, allows
from podium.coordinator.domain.ports import ExitStatus
from podium.coordinator.supervisor.turns import TurnEnd
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import ErrorContent, OutOfMemory, Reason, Terminated
from podium.wire.limits import START_FAILURE_LOG_LINES
from podium.wire.manifest import Restart
from podium.wire.units import size

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)


class Endings:
    """Acts on the ends of one instance's processes; remembers how many there were.

    `first` is what the creator of the instance waits for: the first process to be ready.
    """

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._history: tuple[float, ...] = ()
        self.restarts = 0
        self.first: asyncio.Future[None] | None = None

    @property
    def is_first(self) -> bool:
        """Whether someone waits for the first process to be ready."""
        return self.first is not None and not self.first.done()

    def ready(self) -> None:
        """The process is ready."""
        if self.first is not None and not self.first.done():
            self.first.set_result(None)

    def refuse(self, error: PodiumError) -> None:
        """The first process will not be ready."""
        if self.first is not None and not self.first.done():
            self.first.set_exception(error)
            self.first.exception()  # seen, though nobody may wait any more

    def slept(self, reason: str, status: ExitStatus | None) -> None:
        """The process ended because it was told to, and the instance goes on without one."""
        instance = self._instance
        with instance.step() as step:
            instance.turns.process_lost(step)
            if status is not None and status.out_of_memory is not None:
                instance.note(step, "warning", memory_told(status.out_of_memory), **_fields(status))
            step.event("terminated", terminated(reason, status))
            change = Change.SLEPT if reason == "idle" else Change.HOST_LOST
            if allows(instance.status, change):
                instance.change(step, change)

    def by_policy(self, why: str, status: ExitStatus | None, *, error: PodiumError | None) -> float | None:
        """The process ended by itself (`status`) or did not start (None): the seconds until the next one, or None when
        the instance has failed."""
        instance = self._instance
        if not allows(instance.status, Change.GAVE_UP):
            return None
        if self.is_first:
            lines = instance.store.last_log_lines(START_FAILURE_LOG_LINES) or [why]
            self.fail(why, error or PodiumError(ErrorCode.AGENT_START_FAILED, why, logs=lines))
            return None
        policy = instance.manifest.restart if instance.manifest is not None else Restart()
        decision = restarts.decide(policy, self._history, instance.around.clock.monotonic())
        if isinstance(decision, restarts.GiveUp):
            self.fail(f"{why}; {decision.reason}", None, **_fields(status))
            return None
        self._history = decision.history
        self.restarts += 1
        instance.around.metrics.add("restarts_total")
        _log.warning("agent_restarts", extra={"instance_id": instance.facts.instance_id, "why": why})
        with instance.step() as step:
            instance.note(step, "error", f"{why}; it is started again in {decision.wait:g} s", **_fields(status))
            if status is not None:
                step.event("terminated", terminated("crashed", status))
            instance.turns.process_lost(step)
            instance.change(step, Change.PROCESS_LOST)
        return decision.wait

    def fail(self, why: str, error: PodiumError | None, **fields: Any) -> None:
        """The instance has failed for good; `error` is for its creator, if it was never ready; `fields` are for its log."""
        instance = self._instance
        if not allows(instance.status, Change.GAVE_UP):
            return
        _log.error("instance_failed", extra={"instance_id": instance.facts.instance_id, "why": why})
        instance.facts.reason = why
        try:
            with instance.step() as step:
                told = ErrorContent(code="agent_failed", message=why, retryable=False)
                instance.turns.end(step, TurnEnd("failed", "error", told))
                instance.note(step, "error", f"the instance has failed: {why}", **fields)
                step.event("sandbox.removed", Reason(reason="failed"))
                instance.change(step, Change.GAVE_UP)
        except PodiumError:
            return  # the databases refuse; the instance has failed for that reason now
        self.refuse(error or PodiumError(ErrorCode.AGENT_START_FAILED, why))
        instance.dismiss(CloseCode.STOPPED, "the instance has failed")


def told(status: ExitStatus | None) -> str:
    """How a process ended, for people."""
    if status is None:
        return "killed"
    how = f"signal {status.signal}" if status.signal else f"exit code {status.code}"
    return f"{how}; {memory_told(status.out_of_memory)}" if status.out_of_memory is not None else how


def memory_told(found: OutOfMemory) -> str:
    """That the limit of memory was reached, for people."""
    peak = f", peak {size(found.peak_bytes)}" if found.peak_bytes is not None else ""
    return f"out of memory: limit {size(found.limit_bytes)}{peak}"


def terminated(reason: str, status: ExitStatus | None) -> Terminated:
    """The content of `terminated`."""
    if status is None:
        return Terminated(reason=reason)
    return Terminated(reason=reason, exit_code=status.code, signal=status.signal, out_of_memory=status.out_of_memory)


def _fields(status: ExitStatus | None) -> dict[str, Any]:
    """What a log record tells of an end beside its words."""
    found = status.out_of_memory if status is not None else None
    return {} if found is None else {"memory_limit_bytes": found.limit_bytes, "memory_peak_bytes": found.peak_bytes}
