"""The process of one instance: started, watched, put to sleep, restarted by policy, ended. One task while it is awake.

```
wake ──► start ──► ready ──► … ──► ended by itself ──► policy ──► start again | failed
                             └──► told to end (stop, idle, drain) ──► asleep | left to who told it
```
Cancelling the task ends the process by SIGKILL before the task is done.
"""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from podium.coordinator.adapters.link import AgentLink, Stream
from podium.coordinator.adapters.store import StoreConflictError, StoreDamagedError, StoreError
from podium.coordinator.domain.lifecycle import Change, allows
from podium.coordinator.domain.ports import AgentProcess, ExitStatus, ProcessStartError
from podium.coordinator.supervisor.endings import Endings, told
from podium.coordinator.supervisor.launch import init_frame, process_spec
from podium.coordinator.supervisor.outlet import Outlet
from podium.coordinator.supervisor.output import Output
from podium.coordinator.supervisor.step import Step
from podium.coordinator.supervisor.voice import MisbehaviourError
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import SandboxInit, SandboxProvisioning
from podium.wire.link import FromAgent, IdleCheck, LinkError, Shutdown, ToAgent, pack
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)

ShutdownReason = Literal["stop", "idle", "drain", "restart"]

SLOW_STEP_SECONDS: Final = 0.05
"""An agent whose frames took longer than this to commit and publish is not read for as long again."""


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
        self.outlet = Outlet()
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
        self._endings = Endings(instance)
        self._output = Output(instance)
        self._resume_alarm = instance.around.timers.alarm(self._resume_reading)
        self.idle_asked_at: float | None = None

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
    def restarts(self) -> int:
        """How often the process was started again after it ended by itself."""
        return self._endings.restarts

    @property
    def process(self) -> AgentProcess | None:
        """The process, while there is one."""
        return self.outlet.process

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
        self.outlet.send(data)

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
        if self._endings.first is None:
            self._endings.first = asyncio.get_running_loop().create_future()
            self._launch()
        await asyncio.shield(self._endings.first)

    def wake(self) -> None:
        """Sees to it that the process runs; a sleeping instance's is started."""
        instance = self._instance
        if instance.is_over or instance.lost or instance.rewinding or instance.leaving:
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
        """Whether there is work that needs the process. A turn that waits for a person does not, nor does an agent without budget."""
        queue = self._instance.queue
        return queue.has_work and not self._instance.requests.of_running_turn() and not self._instance.budget.is_spent

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
        """Ends the process by SIGKILL, without a word; nothing uses its workspace then."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=self._instance.around.timings.kill)
        await self._instance.around.workspaces.close(self._instance.facts.agent_id)

    def storage_failed(self, error: StoreError) -> None:
        """The databases refuse. Damaged ones: the instance has failed. Else (a full disk) it is put aside for a while."""
        instance = self._instance
        _log.error("storage_failed", extra={"instance_id": instance.facts.instance_id, "error": str(error)})
        if not allows(instance.status, Change.GAVE_UP) or instance.lost:
            return
        if isinstance(error, StoreDamagedError | StoreConflictError):
            instance.facts.status = InstanceStatus.FAILED
            instance.facts.reason = "its databases can't be used; see `podium doctor`"
            instance.around.status_changed(instance)
            instance.dismiss(CloseCode.STOPPED, "the instance has failed")
            if self._task is not None:
                self._task.cancel()
        else:
            instance.around.put_aside(instance)

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
        if self._instance.files.holds(link, frames):
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
        if took > SLOW_STEP_SECONDS and self.process is not None:
            self.process.pause_reading()
            self._resume_alarm.set(clock.monotonic() + took)

    def link_broken(self, link: AgentLink, why: str) -> None:
        """The agent broke the protocol."""
        if link is self._link:
            self._instance.around.metrics.add("agents_misbehaved_total")
            self.kill(f"the agent broke the protocol of its link: {why}")

    def lines_printed(self, _link: AgentLink, stream: Stream, lines: list[str]) -> None:
        """Printed lines: into the log, a little later."""
        self._output.printed(stream, lines)

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
        backend = instance.around.workspaces.backend
        step.event("sandbox.init", SandboxInit(isolation=isolation, workspace=instance.workspace, backend=backend))
        instance.change(step, Change.READY)
        instance.touch()
        instance.turns.go_on(step)
        step.after.append(self._attention.set)

    def init_failed(self, message: str) -> None:
        """`on_init` raised."""
        self._init_error = f"on_init failed: {message}"
        self._attention.set()

    def _resume_reading(self) -> None:
        if self.process is not None:
            self.process.resume_reading()

    # ── the task ────────────────────────────────────────────────────────────────────────────────────────────

    def _order(self, reason: ShutdownReason) -> None:
        if self._shutdown is None and self._task is not None:
            self._shutdown = reason
            self._attention.set()

    def _launch(self) -> None:
        self._shutdown = None
        self._starting = True
        task = self._instance.around.tasks.start(self._live(), f"life of {self._instance.facts.instance_id}")
        self._task = task
        task.add_done_callback(partial(_over, self))

    async def _live(self) -> None:
        try:
            while await self._once():
                pass
        except PodiumError as error:
            self._endings.fail(error.detail, error)
        except Exception:  # noqa: BLE001 - a bug of ours must end this instance visibly, not leave it half alive
            _log.exception("life_broke", extra={"instance_id": self._instance.facts.instance_id})
            self._endings.fail("something is wrong on our side", None)
        finally:
            await self._leave_nothing()
            self._task = None
            self._endings.refuse(PodiumError(ErrorCode.INSTANCE_STOPPING, "it was stopped while it started"))
            if self._shutdown != "stop":
                self._instance.rest()

    async def _leave_nothing(self) -> None:
        """Whatever ended the task: no process outlives it."""
        process = self.process
        self.outlet.connect(None)
        if process is not None:
            await process.kill()
        self._instance.around.broker.close(self._instance.facts.instance_id)
        self._output.flush()
        self._ready = False
        self._link = None

    async def _once(self) -> bool:
        """One process, from its start to its end; True: start another."""
        failure: str | None = None
        self._starting = True
        self._reset()
        try:
            with self._instance.course.starting():
                await self._start()
        except (StartFailure, ProcessStartError) as error:
            failure = error.reason
        except PodiumError as error:
            failure, self._start_error = error.detail, error
        self._starting = False
        if failure is None:
            self._endings.ready()
            await self._watch()
        elif self.process is not None:
            await self.process.kill()
        self.outlet.connect(None)
        self._instance.around.broker.close(self._instance.facts.instance_id)
        self._ready = False
        self._output.flush()
        await self._instance.files.settled(close=self._shutdown in {"idle", "drain", "restart"})
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
        self._link = AgentLink(self)
        workspace = around.workspaces.place(facts.agent_id)
        brokered = await around.broker.open(
            facts.instance_id, facts.agent_id, facts.secrets, prepared.manifest.brokered
        )
        spec = process_spec(instance, prepared, workspace, brokered)
        opening = around.tasks.start(instance.files.open(prepared), f"workspace of {facts.agent_id}", awaited=True)
        try:
            self.outlet.connect(await around.processes.start(spec, self._link, opening))
        finally:
            opening.cancel()  # unless the process is there: then it is done
            await asyncio.wait({opening})
        around.changed(facts.agent_id)
        self.send(_packed_init(instance, workspace, brokered.secrets))
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
                raise StartFailure(f"the process ended before it was ready ({told(self._exit)})")
            if (why := self._init_error or self._kill_why) is not None:
                raise StartFailure(why)

    async def _watch(self) -> None:
        """Until the process is gone."""
        while self._exit is None and self.process is not None:
            if self._kill_why is not None:
                await self.process.kill()
                return
            if self._shutdown is not None:
                await self._end_gracefully(self.process, self._shutdown)
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
        """What follows the end of a process; True: another one."""
        instance = self._instance
        if self._shutdown == "stop":
            with instance.step() as step:
                instance.turns.process_lost(step)
            return False
        if failure is None and self._shutdown is not None:
            self._endings.slept(self._shutdown, self._exit)
            return self._shutdown == "idle" and (self._wake_again or self.wants_process)
        why = failure or self._kill_why or f"the process ended by itself ({told(self._exit)})"
        wait = self._endings.by_policy(why, self._exit if failure is None else None, error=self._start_error)
        if wait is None:
            return False
        self._starting = True
        await asyncio.sleep(wait)
        return True


def _packed_init(instance: "Instance", workspace: Path, secrets: dict[str, str]) -> bytes:
    try:
        return pack(init_frame(instance, workspace, secrets))
    except LinkError as error:
        raise StartFailure(f"its state and configuration are too large to be handed over: {error}") from error


def _over(life: Life, task: "asyncio.Task[None]") -> None:
    """A task that is cancelled before its first step never gets to its own `finally`."""
    if life._task is task:
        life._task = None
        life._endings.refuse(PodiumError(ErrorCode.INSTANCE_STOPPING, "it was stopped while it started"))
