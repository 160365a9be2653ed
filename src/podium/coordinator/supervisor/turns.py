"""The turns of one instance, from the journal's inbox to the agent and to their end."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from podium.coordinator.adapters.store import InboxRow, TurnOutcome
from podium.coordinator.domain.turns import Ending, Entry, Fate, Running
from podium.coordinator.supervisor.step import Step
from podium.wire.commands import COMMAND_ID_MAX_CHARS
from podium.wire.envelope import EventRow
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import Checkpoint, ErrorContent, StopReason, StreamEnd
from podium.wire.link import CancelTurn, Message, Origin, SteerTurn

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ORIGIN = msgspec.json.Decoder(Origin)

TIMED_OUT_CODE = "turn_timeout"
"""`error` code of a turn that ran longer than `limits.turn_timeout`."""


class TurnEnd(NamedTuple):
    """How a turn ends."""

    outcome: TurnOutcome
    stop_reason: StopReason
    error: ErrorContent | None = None


CANCELLED = TurnEnd("cancelled", "cancelled")


class Turns:
    """Starts, delivers and ends turns; holds who waits for the end of one."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}

    def restore(self, rows: Iterable[InboxRow]) -> None:
        """Takes over the open messages of the journal."""
        running: InboxRow | None = None
        waiting: list[Entry] = []
        for row in sorted(rows, key=lambda row: row.started_at or 0):
            if row.state == "running":
                running = row
            else:
                waiting.append(_entry(row))
        interrupted = _entry(running) if running is not None else None
        queue = self._instance.queue
        queue.restore(interrupted, running.attempt if running is not None else 0, waiting)
        self._end_cancelled()

    # ── to the agent ────────────────────────────────────────────────────────────────────────────────────────

    def go_on(self, step: Step, fresh: InboxRow | None = None) -> None:
        """Delivers the turn that is next, if the agent is there and has none. `fresh` saves reading what was just accepted."""
        instance = self._instance
        if not instance.life.linked or instance.rewinding or instance.leaving or instance.budget.is_spent:
            return
        if instance.queue.start_next() is not None:
            self._end_cancelled()
        clock = instance.around.clock
        running = instance.queue.deliver(clock.monotonic(), clock.now_ms())
        if running is None:
            return
        if fresh is None or fresh.message_id != running.entry.message_id:
            fresh = instance.store.inbox(running.entry.message_id)
        if fresh is None:
            raise PodiumError(ErrorCode.INTERNAL, "a message in the queue is missing in the journal")
        step.batch.start_turn(fresh.message_id, running.attempt)
        instance.files.begin_turn(step, running.entry.turn_id)
        step.send(_message(fresh, running.attempt, instance.course.delivered(fresh, running.attempt)))
        if running.attempt > 1:
            self._steer_again(step, running)
        if running.ending is not None:
            step.send(CancelTurn(turn_id=running.entry.turn_id))
        instance.touch()

    def _end_cancelled(self) -> None:
        """The running turn was cancelled before its process, or its host, was lost: it need not run again to its end."""
        running, instance = self._instance.queue.running, self._instance
        if running is not None and running.attempt and instance.store.command(_cancel_mark(running.entry.turn_id)):
            instance.queue.ask_end(Ending.CANCELLED, instance.around.clock.monotonic())

    def _steer_again(self, step: Step, running: Running) -> None:
        for row in self._instance.store.turn_events(running.entry.turn_id):
            if row.type != "message.user":
                continue
            content = _OBJECT.decode(row.content)
            if content["message_id"] != running.entry.message_id:
                step.send(SteerTurn(turn_id=row.turn_id, text=str(content.get("text", ""))))

    # ── to the end ──────────────────────────────────────────────────────────────────────────────────────────

    def ask_end(self, step: Step, ending: Ending) -> None:
        """The running turn is to end. One whose process is not there ends at once."""
        instance = self._instance
        running = instance.queue.running
        if running is None or not instance.queue.ask_end(ending, instance.around.clock.monotonic()):
            return
        if running.delivered:
            if ending is Ending.CANCELLED:
                step.batch.remember_command(_cancel_mark(running.entry.turn_id), b"{}")
            step.send(CancelTurn(turn_id=running.entry.turn_id))
        else:
            self.end(step, _forced(ending))

    def completed(self, step: Step, stop_reason: StopReason) -> None:
        """The agent says its turn is over."""
        running = self._instance.queue.running
        if running is not None and running.ending is Ending.TIMED_OUT:
            self.end(step, _forced(Ending.TIMED_OUT))
        elif stop_reason == "cancelled":
            self.end(step, CANCELLED)
        else:
            self.end(step, TurnEnd("failed" if stop_reason == "error" else "done", stop_reason))

    def process_lost(self, step: Step) -> None:
        """The process is gone: a turn that was to end ends, another waits to be run again."""
        self._instance.course.process_lost()
        fate = self._instance.queue.process_lost()
        if fate is Fate.CANCELLED:
            self.end(step, CANCELLED)
        elif fate is Fate.TIMED_OUT:
            self.end(step, _forced(Ending.TIMED_OUT))

    def end(self, step: Step, how: TurnEnd) -> None:
        """Ends the running turn: its last events, its checkpoint; then the next turn starts."""
        instance = self._instance
        running = instance.queue.running
        if running is None:
            return
        entry = running.entry
        instance.requests.cancel_of_turn(step, entry.turn_id)
        if how.error is not None and not running.errored:
            step.event("error", how.error, entry.turn_id)
        elif not running.errored and (running.stream_open or not running.stream_ended):
            text = self._streamed(step, entry.turn_id) if running.stream_open else ""
            step.event("stream_end", StreamEnd(text=text, stop_reason=how.stop_reason), entry.turn_id)
        instance.files.end_turn(step, entry.turn_id)
        self._finish(step, entry, how)
        instance.queue.end()
        instance.touch()
        self.go_on(step)

    def cancel_waiting(self, step: Step, turn_id: str) -> bool:
        """Ends a turn that has not begun; False when it does not wait."""
        entry = self._instance.queue.remove(turn_id)
        if entry is None:
            return False
        step.event("stream_end", StreamEnd(text="", stop_reason="cancelled"), turn_id)
        self._finish(step, entry, CANCELLED)
        return True

    def overdue(self) -> None:
        """The running turn's time is over, or it ignored its cancel for the whole grace."""
        instance = self._instance
        running = instance.queue.running
        if running is None:
            return
        if running.ending is not None:
            instance.life.kill("the turn did not end within the grace after it was cancelled")
            return
        with instance.step() as step:
            instance.note(step, "error", "the turn ran longer than limits.turn_timeout")
            self.ask_end(step, Ending.TIMED_OUT)
            instance.settle(step)

    def _finish(self, step: Step, entry: Entry, how: TurnEnd) -> None:
        instance = self._instance
        heads = step.batch.heads
        seq = heads.seq + 1
        iteration = instance.files.iteration
        step.event(
            "checkpoint",
            Checkpoint(turn_id=entry.turn_id, seq=seq, state_version=heads.version, iteration=iteration),
            entry.turn_id,
        )
        step.batch.checkpoint(entry.turn_id, seq, heads.version, iteration)
        step.batch.finish_turn(entry.message_id, how.outcome, how.stop_reason)
        step.told.append(lambda: instance.course.ended(entry.turn_id, how.outcome, how.stop_reason))
        step.told.append(lambda: self._release(entry.turn_id))

    def _streamed(self, step: Step, turn_id: str) -> str:
        """The text of the answer that was begun last and not ended."""
        rows: list[EventRow] = self._instance.store.turn_events(turn_id)
        rows += [row for row in step.batch.events if row.turn_id == turn_id]
        text: list[str] = []
        for row in rows:
            if row.type == "stream_start":
                text.clear()
            elif row.type == "stream_update":
                text.append(str(_OBJECT.decode(row.content).get("text", "")))
        return "".join(text)

    # ── who waits ───────────────────────────────────────────────────────────────────────────────────────────

    def wait(self, turn_id: str) -> "asyncio.Future[None]":
        """Resolves when the turn is over; fails when the instance is. Give it back with `forget`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(turn_id, []).append(future)
        return future

    def forget(self, turn_id: str, future: "asyncio.Future[None]") -> None:
        """Nobody waits on this future any more."""
        waiters = self._waiters.get(turn_id, [])
        if future in waiters:
            waiters.remove(future)
        if not waiters:
            self._waiters.pop(turn_id, None)

    def release_waiters(self, reason: str, code: ErrorCode = ErrorCode.INSTANCE_STOPPING) -> None:
        """Nobody's turn will end here any more: the instance is over, or goes elsewhere (`draining`: ask again)."""
        waiters, self._waiters = self._waiters, {}
        for future in [future for futures in waiters.values() for future in futures if not future.done()]:
            future.set_exception(PodiumError(code, reason))

    def _release(self, turn_id: str) -> None:
        for future in self._waiters.pop(turn_id, []):
            if not future.done():
                future.set_result(None)


def _cancel_mark(turn_id: str) -> str:
    """Under this name the journal's memory of commands keeps that a running turn was cancelled, so that the coordinator
    does not run it again if it dies before the agent has ended it. Longer than any id a client may give."""
    return f"cancelled {turn_id}".ljust(COMMAND_ID_MAX_CHARS + 1, ".")


def _entry(row: InboxRow) -> Entry:
    return Entry(row.message_id, row.turn_id, row.on_busy, row.attempt)


def _message(row: InboxRow, attempt: int, traceparent: str) -> Message:
    data = _OBJECT.decode(row.content)
    data.setdefault("role", "user")
    return Message(
        id=row.message_id,
        turn_id=row.turn_id,
        data=data,
        origin=_ORIGIN.decode(row.origin),
        attempt=attempt,
        traceparent=traceparent,
    )


def _forced(ending: Ending) -> TurnEnd:
    if ending is Ending.CANCELLED:
        return CANCELLED
    error = ErrorContent(code=TIMED_OUT_CODE, message="the turn ran longer than limits.turn_timeout", retryable=True)
    return TurnEnd("failed", "error", error)
