"""The workspace of one instance, as its turns see it: whose changes are whose, when they are recorded, what is told of them.

Nothing here waits on the event loop's hot path: the message of a turn is held back (in the outlet, not in the loop) until
the workspace knows the turn, and the end of a turn comes when the workspace has recorded what the turn did.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chronicle.model.iterations import Iteration
from podium.coordinator.adapters.link import AgentLink
from podium.coordinator.domain.file_changes import Telling
from podium.coordinator.domain.ports import PreparedDeployment
from podium.coordinator.domain.turns import Running
from podium.coordinator.supervisor import asking
from podium.coordinator.supervisor.step import Step
from podium.wire.errors import PodiumError
from podium.wire.link import Complete, Failed, FromAgent, LinkError, Request, Response

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)

RECORD_SECONDS: Final = 5.0
"""How long the end of a turn waits until everything before it is recorded; its checkpoint then names what is known."""

NOTE_SECONDS: Final = 2.0
"""How long a message waits until the workspace knows its turn; after that its changes may be counted to no turn."""

NEEDS_VERSIONS: Final = "needs a versioned workspace (Chronicle), which this host does not have"

FORGET_SECONDS: Final = 0.02
"""A turn is over for the workspace this much after its end, unless the next has begun by then: that is one call less a turn."""

TELL_SECONDS: Final = 0.05
"""Changes are collected for this long before they are told."""


class Files:
    """What an instance knows of its workspace."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._heard: list[Iteration] = []
        self._recorded = 0
        self._noted: str | None = None
        self._wanted: str | None = None
        self._noting: asyncio.Task[None] | None = None
        self._recording: set[asyncio.Task[None]] = set()
        self._held: list[FromAgent] | None = None
        self.outside = 0  # of an agent that is replicated before it is shown: up to this iteration all of it is outside
        self._unfollow: Callable[[], None] | None = None
        self._of_turn = Telling()
        self._of_others = Telling()
        self._alarm = instance.around.timers.alarm(self._tell)
        self._note_alarm = instance.around.timers.alarm(self._note)

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def are_versioned(self) -> bool:
        """Whether the workspace has a history."""
        return self._instance.around.workspaces.backend != "directory"

    @property
    def iteration(self) -> int:
        """The newest iteration known here."""
        return max(self._recorded, self._instance.around.workspaces.head_iteration(self._agent_id))

    @property
    def _agent_id(self) -> str:
        return self._instance.facts.agent_id

    async def open(self, prepared: PreparedDeployment) -> Path:
        """The workspace, ready for a process. What a rewind left to do is done first."""
        instance = self._instance
        workspaces = instance.around.workspaces
        with instance.course.opening_workspace():
            path = await workspaces.open(self._agent_id, prepared, owner=None)
        instance.workspace = str(path)
        self._noted = None if self._noted is None else ""  # whoever serves it now has been told of no turn
        if self.are_versioned and self._unfollow is None:
            self._unfollow = workspaces.follow(self._agent_id, self._hear)
        await self.arrive()
        return path

    def leave(self) -> None:
        """The instance is not here any more: nothing of its workspace is told to it."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None

    async def arrive(self) -> None:
        """Takes the files back as a rewind that was cut off had promised.

        Raises:
            PodiumError: they can't be taken back now; the rewind stays pending.
        """
        instance = self._instance
        pending = instance.store.moments.pending()
        if pending is None:
            return
        await instance.around.workspaces.restore(self._agent_id, pending.iteration, None, turn_id=None)
        instance.around.store_options.fault("rewind.restored")
        with instance.step() as step:
            step.batch.files_arrived(pending.seq)

    # ── turns ───────────────────────────────────────────────────────────────────────────────────────────────

    def begin_turn(self, step: Step, turn_id: str) -> None:
        """The turn's message goes out with this step, and what is changed from then on is the turn's."""
        if not self.are_versioned:
            return
        for event in self._of_others.end():
            step.event("file.changed", event)
        self._wanted = turn_id
        if self._noted != turn_id and not self._note_at_once():
            self._instance.life.outlet.hold()
            step.after.append(self._note)

    def end_turn(self, step: Step, turn_id: str) -> None:
        """The turn ends with this step: what it changed is told before its checkpoint."""
        if not self.are_versioned:
            return
        self._tell_in(step, turn_id)
        for event in self._of_turn.end():
            step.event("file.changed", event, turn_id)
        self._wanted = None
        self._note_alarm.set(self._instance.around.clock.monotonic() + FORGET_SECONDS)

    def holds(self, link: AgentLink, frames: list[FromAgent]) -> bool:
        """Whether these frames wait. Those that end the running turn do, and what comes after them, until everything the turn
        did to the workspace is recorded; then they are received again. So the turn ends in one step with its last words, and its
        checkpoint names a moment of the files too. A crash until then runs it again, as if its end had not been heard.
        """
        if self._held is not None:
            self._held += frames
            return True
        running = self._instance.queue.running
        if running is None or running.concluding or not self.are_versioned:
            return False
        message_id = running.entry.message_id
        if not any(isinstance(frame, Complete | Failed) and frame.message_id == message_id for frame in frames):
            return False
        quiet = self._instance.around.workspaces.quiet(self._agent_id)
        if quiet is not None:
            self._recorded = quiet
            return False
        running.concluding = True
        self._held = frames
        task = self._instance.around.tasks.start(self._record(link, running), f"record the files of {self._agent_id}")
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        return True

    async def settled(self, *, close: bool) -> None:
        """The process is gone: what it changed is recorded and told, and no end of a turn waits for that any more; bounded.
        `close`: there will not be another one soon."""
        while self._recording:
            await asyncio.wait(set(self._recording))
        if self.are_versioned:
            await self._barrier()
            self._tell()
        if close:
            await self._instance.around.workspaces.close(self._agent_id)

    async def _record(self, link: AgentLink, running: Running) -> None:
        try:
            await self._barrier()
        finally:
            held, self._held = self._held, None
        self._instance.life.frames_received(link, held or [])
        running.concluding = False  # it is over, unless its end does not count, for the process is ending under it

    async def _barrier(self) -> None:
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                self._recorded = await self._instance.around.workspaces.barrier(self._agent_id)
        except (TimeoutError, PodiumError) as error:
            _log.warning("files_not_recorded", extra={"agent_id": self._agent_id, "error": str(error)})

    def _note(self) -> None:
        if self._instance.is_over or self._instance.lost:
            return
        if self._noting is None and self._noted != self._wanted and not self._note_at_once():
            self._noting = self._instance.around.tasks.start(self._note_turns(), f"note the turn of {self._agent_id}")
        elif self._noting is None:
            self._instance.life.outlet.release()

    def _note_at_once(self) -> bool:
        """Tells the workspace of the turn without asking it, if it may be; not while it is being asked."""
        if self._noting is not None or not self._instance.around.workspaces.begin_turn(self._agent_id, self._wanted):
            return False
        self._noted = self._wanted
        return True

    async def _note_turns(self) -> None:
        try:
            while self._noted != self._wanted:
                wanted = self._wanted
                async with asyncio.timeout(NOTE_SECONDS):
                    await self._instance.around.workspaces.annotate(self._agent_id, wanted)
                self._noted = wanted
        except (TimeoutError, PodiumError) as error:
            _log.warning("turn_not_noted", extra={"agent_id": self._agent_id, "error": str(error)})
        finally:
            self._noting = None
            self._instance.life.outlet.release()

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────────

    def _hear(self, changes: Sequence[Iteration]) -> None:
        self._heard += changes
        self._alarm.set(self._instance.around.clock.monotonic() + TELL_SECONDS)

    def _tell(self) -> None:
        instance = self._instance
        if not self._heard or instance.is_over or instance.lost:
            return
        running = instance.queue.running
        try:
            with instance.step() as step:
                self._tell_in(step, running.entry.turn_id if running is not None else "")
        except PodiumError as error:
            _log.error("file_changes_not_told", extra={"agent_id": self._agent_id, "error": str(error)})
        instance.rest()

    def _tell_in(self, step: Step, turn_id: str) -> None:
        """Tells what was heard, in order: changes of the running turn as its events, others as nobody's."""
        heard, self._heard = self._heard, []
        at = 0
        while at < len(heard):
            whose = self._whose(heard[at], turn_id)
            upto = at
            while upto < len(heard) and self._whose(heard[upto], turn_id) == whose:
                upto += 1
            telling = self._of_turn if whose else self._of_others
            for event in telling.take(heard[at:upto]):
                step.event("file.changed", event, whose)
            at = upto

    @staticmethod
    def _whose(change: Iteration, turn_id: str) -> str:
        return turn_id if turn_id and change.turn_id == turn_id else ""

    # ── what the agent asks ─────────────────────────────────────────────────────────────────────────────────

    def asked(self, step: Step, frame: Request) -> None:
        """The agent asks something of its workspace; it gets its answer when there is one."""
        if not self.are_versioned:
            step.send(Response(id=frame.id, error=f"{frame.method} {NEEDS_VERSIONS}"))
            return
        step.after.append(lambda: self._start_answer(frame))

    def _start_answer(self, frame: Request) -> None:
        self._instance.around.tasks.start(self._answer(frame), f"{frame.method} of {self._agent_id}")

    async def _answer(self, frame: Request) -> None:
        running = self._instance.queue.running
        turn_id = running.entry.turn_id if running is not None else None
        response: Response
        try:
            result: Any = await asking.answer(
                self._instance.around.workspaces, self._agent_id, frame.method, frame.params, turn_id
            )
            response = Response(id=frame.id, result=result)
        except PodiumError as error:
            response = Response(id=frame.id, error=error.detail)
        try:
            self._instance.life.send_frame(response)
        except LinkError:
            self._instance.life.send_frame(Response(id=frame.id, error="the answer is too large; ask for less"))
