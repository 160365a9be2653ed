"""The process of one instance: started, watched, put to sleep, restarted by policy, ended. One task while it is awake.

```
wake ──► start ──► ready ──► … ──► ended by itself ──► policy ──► start again | failed
                             └──► told to end (stop, idle, drain) ──► asleep | left to who told it
```
Cancelling the task ends the process by SIGKILL before the task is done.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Literal

from podium.coordinator.adapters.link import AgentLink, Stream
from podium.coordinator.adapters.store import StoreError
from podium.coordinator.domain import restarts
from podium.coordinator.domain.lifecycle import Change, allows
from podium.coordinator.domain.ports import AgentProcess, ExitStatus, ProcessStartError
from podium.coordinator.supervisor.launch import init_frame, process_spec
from podium.coordinator.supervisor.step import Step
from podium.coordinator.supervisor.turns import TurnEnd
from podium.coordinator.supervisor.voice import MisbehaviourError
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import ErrorContent, Reason, SandboxInit, SandboxProvisioning, Terminated
from podium.wire.limits import START_FAILURE_LOG_LINES
from podium.wire.link import FromAgent, IdleCheck, Shutdown, ToAgent, pack
from podium.wire.manifest import Restart
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)

ShutdownReason = Literal["stop", "idle", "drain"]

OUTPUT_DELAY_SECONDS: Final = 0.05
"""Printed lines are collected for this long, so that a chatty agent costs few transactions."""

OUTPUT_HELD_MAX_LINES: Final = 500
"""More collected lines than this are written at once."""

SLOW_STEP_SECONDS: Final = 0.05
"""An agent whose frames took longer than this to commit and publish is not read for as long again."""

_LEVEL_OF: Final[dict[Stream, str]] = {"stdout": "info", "stderr": "error"}


class StartFailure(Exception):
    """The process did not become ready; `reason` is for the author."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Life:
    """Owns the process of one instance, and hears it (a `LinkOwner`)."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None
        self._process: AgentProcess | None = None
        self._link: AgentLink | None = None
        self._attention = asyncio.Event()
        self._starting = False
        self._ready = False
        self._exit: ExitStatus | None = None
        self._shutdown: ShutdownReason | None = None
        self._wake_again = False
        self._kill_why: str | None = None
        self._init_error: str | None = None
        self._start_error: PodiumError | None = None
        self._history: tuple[float, ...] = ()
        self._lines: list[tuple[Stream, str, int]] = []
        self._flush_alarm = instance.around.timers.alarm(self._flush_lines)
        self._resume_alarm = instance.around.timers.alarm(self._resume_reading)
        self.idle_asked_at: float | None = None
        self.restarts = 0

    # ── what it is ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def busy(self) -> bool:
        """Whether the instance is awake, or on its way there or back."""
        return self._task is not None

    @property
    def linked(self) -> bool:
        """Whether an agent is there to take turns."""
        return self._ready and self._exit is None and self._shutdown is None and self._kill_why is None

    @property
    def is_closing(self) -> bool:
        """Whether the process has been told to end."""
        return self._shutdown is not None

    @property
    def process(self) -> AgentProcess | None:
        """The process, while there is one."""
        return self._process

    @property
    def exit_status(self) -> ExitStatus | None:
        """How the last process ended; None while it has not."""
        return self._exit

    async def settled(self) -> None:
        """Returns when the process is gone and the task with it."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def send(self, data: bytes) -> None:
        """Packed frames for the agent; dropped when there is none."""
        if self._process is not None and self._ready:
            self._process.send(data)

    def send_frame(self, frame: ToAgent) -> None:
        """A frame for the agent; dropped when there is none."""
        self.send(pack(frame))

    # ── orders ──────────────────────────────────────────────────────────────────────────────────────────────

    async def start_first(self) -> None:
        """Starts the process of a new instance, and waits until it is ready.

        Cancelling the wait lets the start go on.

        Raises:
            PodiumError: `agent_start_failed` with the last lines of the log; the instance has failed.
        """
        if self._first is None:
            self._first = asyncio.get_running_loop().create_future()
            self._launch()
        await asyncio.shield(self._first)

    def wake(self) -> None:
        """Sees to it that the process runs; a sleeping instance's is started."""
        instance = self._instance
        if instance.is_over or instance.lost:
            return
        if self._task is not None:
            self._wake_again = self._shutdown == "idle"
        elif allows(instance.status, Change.WOKEN):
            self._launch()

    def wake_if_wanted(self) -> None:
        """Wakes a sleeping instance that has something to do."""
        if self.wants_process:
            self.wake()

    @property
    def wants_process(self) -> bool:
        """Whether there is work that needs the process. A turn that waits for a person does not."""
        queue = self._instance.queue
        return queue.has_work and not self._instance.requests.of_running_turn()

    def sleep(self) -> None:
        """Ends the process; the instance sleeps then."""
        self._order("idle")

    def kill(self, why: str) -> None:
        """Ends the process at once; the restart policy decides what follows."""
        if self._kill_why is None:
            self._kill_why = why
            self._attention.set()

    async def stop(self, reason: ShutdownReason) -> None:
        """Ends the process in bounded time; on return nothing of it is left and nothing starts it again."""
        task = self._task
        if task is None:
            return
        self._shutdown = reason
        if self._starting:
            task.cancel()
        else:
            self._attention.set()
        timings = self._instance.around.timings
        bound = timings.shutdown + timings.terminate + timings.kill
        await asyncio.wait({task}, timeout=bound)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=timings.kill)

    async def end_now(self) -> None:
        """Ends the process by SIGKILL, without a word."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=self._instance.around.timings.kill)

    def storage_failed(self, error: StoreError) -> None:
        """The databases refuse: the instance has failed and nothing more is written."""
        instance = self._instance
        _log.error("storage_failed", extra={"instance_id": instance.facts.instance_id, "error": str(error)})
        if allows(instance.status, Change.GAVE_UP):
            instance.facts.status = InstanceStatus.FAILED
            instance.facts.reason = "its databases can't be written"
            instance.around.save(instance.facts)
            instance.around.status_changed(instance)
            instance.dismiss(CloseCode.STOPPED, "the instance has failed")
        if self._task is not None:
            self._task.cancel()

    # ── sleep ───────────────────────────────────────────────────────────────────────────────────────────────

    def idle_due(self) -> None:
        """Idle for long enough: asks the agent; one that does not answer is busy, and asked again later."""
        if self.idle_asked_at is not None:
            self.idle_asked_at = None
            self._instance.touch()
            return
        self.idle_asked_at = self._instance.around.clock.monotonic()
        self.send_frame(IdleCheck())

    def idle_replied(self, *, allow: bool) -> None:
        """The agent answered; it sleeps if it may and nothing happened since it was asked."""
        asked, self.idle_asked_at = self.idle_asked_at, None
        if asked is None or not self.linked:
            return
        sleepable = self._instance.status in {InstanceStatus.READY, InstanceStatus.WAITING}
        if allow and sleepable and self._instance.last_active <= asked:
            self.sleep()
        elif not allow:
            self._instance.touch()

    # ── what the process says ───────────────────────────────────────────────────────────────────────────────

    def frames_received(self, link: AgentLink, frames: list[FromAgent]) -> None:
        """Frames of the agent."""
        if link is not self._link or self._instance.is_over or self._instance.lost:
            return
        clock = self._instance.around.clock
        began = clock.monotonic()
        try:
            self._instance.voice.hear(frames)
        except MisbehaviourError as error:
            link.give_up(str(error))
        except PodiumError as error:
            _log.error("frames_lost", extra={"instance_id": self._instance.facts.instance_id, "error": str(error)})
        took = clock.monotonic() - began
        if took > SLOW_STEP_SECONDS and self._process is not None:
            self._process.pause_reading()
            self._resume_alarm.set(clock.monotonic() + took)

    def link_broken(self, link: AgentLink, why: str) -> None:
        """The agent broke the protocol."""
        if link is self._link:
            self._instance.around.metrics.add("agents_misbehaved_total")
            self.kill(f"the agent broke the protocol of its link: {why}")

    def lines_printed(self, _link: AgentLink, stream: Stream, lines: list[str]) -> None:
        """Printed lines: into the log, a little later."""
        now = self._instance.around.clock.now_ms()
        self._lines += [(stream, line, now) for line in lines]
        if len(self._lines) > OUTPUT_HELD_MAX_LINES:
            self._flush_lines()
        else:
            self._flush_alarm.set(self._instance.around.clock.monotonic() + OUTPUT_DELAY_SECONDS)

    def process_ended(self, link: AgentLink, status: ExitStatus) -> None:
        """The process is gone."""
        if link is self._link:
            self._exit = status
            self._attention.set()

    def agent_ready(self, step: Step) -> None:
        """`on_init` returned: turns may go."""
        instance = self._instance
        if self._ready or not allows(instance.status, Change.READY):
            return
        self._ready = True
        isolation = instance.around.processes.isolation
        step.event("sandbox.init", SandboxInit(isolation=isolation, workspace=instance.workspace))
        instance.change(step, Change.READY)
        instance.touch()
        instance.turns.go_on(step)
        step.after.append(self._attention.set)

    def init_failed(self, message: str) -> None:
        """`on_init` raised."""
        self._init_error = f"on_init failed: {message}"
        self._attention.set()

    def _flush_lines(self) -> None:
        lines, self._lines = self._lines, []
        instance = self._instance
        if not lines or instance.is_over or instance.lost:
            return
        running = instance.queue.running
        turn_id = running.entry.turn_id if running is not None else ""
        try:
            with instance.step() as step:
                for stream, line, ts in lines:
                    step.batch.log(_LEVEL_OF[stream], line, "", stream, ts, turn_id=turn_id)
        except PodiumError as error:
            _log.error("output_lost", extra={"instance_id": instance.facts.instance_id, "error": str(error)})

    def _resume_reading(self) -> None:
        if self._process is not None:
            self._process.resume_reading()

    # ── the task ────────────────────────────────────────────────────────────────────────────────────────────

    def _order(self, reason: ShutdownReason) -> None:
        if self._shutdown is None and self._task is not None:
            self._shutdown = reason
            self._attention.set()

    def _launch(self) -> None:
        self._shutdown = None
        self._task = self._instance.around.tasks.start(self._live(), f"life of {self._instance.facts.instance_id}")

    async def _live(self) -> None:
        try:
            while await self._once():
                pass
        except PodiumError as error:
            self._fail(error.detail, error)
        except Exception:  # noqa: BLE001 - a bug of ours must end this instance visibly, not leave it half alive
            _log.exception("life_broke", extra={"instance_id": self._instance.facts.instance_id})
            self._fail("something is wrong on our side", None)
        finally:
            await self._leave_nothing()
            self._task = None
            if self._first is not None and not self._first.done():
                self._first.set_exception(PodiumError(ErrorCode.INSTANCE_STOPPING, "it was stopped while it started"))
                self._first.exception()
            if self._shutdown != "stop":
                self._instance.rest()

    async def _leave_nothing(self) -> None:
        """Whatever ended the task: no process outlives it."""
        process, self._process = self._process, None
        if process is not None:
            await process.kill()
        self._flush_lines()
        self._ready = False
        self._link = None

    async def _once(self) -> bool:
        """One process, from its start to its end; True: start another."""
        failure: str | None = None
        self._starting = True
        self._reset()
        try:
            await self._start()
        except (StartFailure, ProcessStartError) as error:
            failure = error.reason
        except PodiumError as error:
            failure, self._start_error = error.detail, error
        self._starting = False
        if failure is None:
            self._first_done()
            await self._watch()
        elif self._process is not None:
            await self._process.kill()
        self._process = None
        self._ready = False
        self._flush_lines()
        return await self._afterwards(failure)

    def _reset(self) -> None:
        self._attention.clear()
        self._ready = False
        self._exit = None
        self._shutdown = None
        self._wake_again = False
        self._kill_why = None
        self._init_error = None
        self._start_error = None
        self.idle_asked_at = None

    async def _start(self) -> None:
        instance = self._instance
        around, facts = instance.around, instance.facts
        with instance.step() as step:
            for change in (Change.PREPARED, Change.WOKEN):
                if allows(instance.status, change):
                    instance.change(step, change)
            step.event("sandbox.provisioning", SandboxProvisioning(phase="process"))
        prepared = await around.deployments.ensure(facts.deployment)
        instance.use_manifest(prepared.manifest)
        workspace = await around.workspaces.open(facts.agent_id, prepared, owner=None)
        instance.workspace = str(workspace)
        self._link = AgentLink(self)
        async with around.starts:
            self._process = await around.processes.start(process_spec(instance, prepared, workspace), self._link)
        self._process.send(pack(init_frame(instance, workspace)))
        try:
            async with asyncio.timeout(around.timings.ready):
                await self._until_ready()
        except TimeoutError:
            raise StartFailure(f"the agent was not ready within {around.timings.ready:g} s") from None

    async def _until_ready(self) -> None:
        while not self._ready:
            await self._attention.wait()
            self._attention.clear()
            if self._exit is not None:
                raise StartFailure(f"the process ended before it was ready ({_told(self._exit)})")
            if self._init_error is not None:
                raise StartFailure(self._init_error)
            if self._kill_why is not None:
                raise StartFailure(self._kill_why)

    def _first_done(self) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    async def _watch(self) -> None:
        """Until the process is gone."""
        while self._exit is None and self._process is not None:
            if self._kill_why is not None:
                await self._process.kill()
                return
            if self._shutdown is not None:
                await self._end_gracefully(self._process, self._shutdown)
                return
            await self._attention.wait()
            self._attention.clear()

    async def _end_gracefully(self, process: AgentProcess, reason: ShutdownReason) -> None:
        timings = self._instance.around.timings
        process.send(pack(Shutdown(reason=reason)))
        if await self._gone_within(timings.shutdown):
            return
        process.terminate()
        if not await self._gone_within(timings.terminate):
            await process.kill()

    async def _gone_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self._exit is None:
                    self._attention.clear()
                    await self._attention.wait()
        except TimeoutError:
            return False
        return True

    # ── after the end of a process ──────────────────────────────────────────────────────────────────────────

    async def _afterwards(self, failure: str | None) -> bool:
        if self._shutdown == "stop":
            with self._instance.step() as step:
                self._instance.turns.process_lost(step)
            return False
        if failure is None and self._shutdown is not None:
            return self._slept(self._shutdown)
        why = failure or self._kill_why or f"the process ended by itself ({_told(self._exit)})"
        return await self._by_policy(why, started=failure is None)

    def _slept(self, reason: ShutdownReason) -> bool:
        instance = self._instance
        with instance.step() as step:
            instance.turns.process_lost(step)
            step.event("terminated", _terminated(reason, self._exit))
            instance.change(step, Change.SLEPT if reason == "idle" else Change.HOST_LOST)
        return reason == "idle" and (self._wake_again or self.wants_process)

    async def _by_policy(self, why: str, *, started: bool) -> bool:
        instance = self._instance
        if not allows(instance.status, Change.GAVE_UP):
            return False
        if self._first is not None and not self._first.done():
            error = self._start_error
            self._fail(why, error or PodiumError(ErrorCode.AGENT_START_FAILED, why, logs=self._last_lines(why)))
            return False
        policy = instance.manifest.restart if instance.manifest is not None else Restart()
        decision = restarts.decide(policy, self._history, instance.around.clock.monotonic())
        if isinstance(decision, restarts.GiveUp):
            self._fail(f"{why}; {decision.reason}", None)
            return False
        self._history = decision.history
        self.restarts += 1
        instance.around.metrics.add("restarts_total")
        _log.warning("agent_restarts", extra={"instance_id": instance.facts.instance_id, "why": why})
        with instance.step() as step:
            instance.note(step, "error", f"{why}; it is started again in {decision.wait:g} s")
            if started:
                step.event("terminated", _terminated("crashed", self._exit))
            instance.turns.process_lost(step)
            instance.change(step, Change.PROCESS_LOST)
        self._starting = True
        await asyncio.sleep(decision.wait)
        return True

    def _last_lines(self, why: str) -> list[str]:
        lines = self._instance.store.last_log_lines(START_FAILURE_LOG_LINES)
        return lines or [why]

    def _fail(self, why: str, error: PodiumError | None) -> None:
        """The instance has failed for good."""
        instance = self._instance
        if not allows(instance.status, Change.GAVE_UP):
            return
        _log.error("instance_failed", extra={"instance_id": instance.facts.instance_id, "why": why})
        instance.facts.reason = why
        try:
            with instance.step() as step:
                told = ErrorContent(code="agent_failed", message=why, retryable=False)
                instance.turns.end(step, TurnEnd("failed", "error", told))
                instance.note(step, "error", f"the instance has failed: {why}")
                step.event("sandbox.removed", Reason(reason="failed"))
                instance.change(step, Change.GAVE_UP)
        except PodiumError:
            return  # the databases refuse; `storage_failed` has said so
        if self._first is not None and not self._first.done():
            self._first.set_exception(error or PodiumError(ErrorCode.AGENT_START_FAILED, why))
            self._first.exception()
        instance.dismiss(CloseCode.STOPPED, "the instance has failed")


def _told(status: ExitStatus | None) -> str:
    if status is None:
        return "killed"
    return f"signal {status.signal}" if status.signal else f"exit code {status.code}"


def _terminated(reason: str, status: ExitStatus | None) -> Terminated:
    if status is None:
        return Terminated(reason=reason)
    return Terminated(reason=reason, exit_code=status.code, signal=status.signal)
