"""The open questions and permissions of one instance."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from podium.coordinator.adapters.store import RequestRow
from podium.coordinator.domain import requests as rules
from podium.coordinator.domain import turns as turn_rules
from podium.coordinator.domain.requests import KIND_OF_EVENT, Resolution
from podium.coordinator.supervisor.step import Step
from podium.wire.commands import AnswerContent
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import ApprovalResolved, PermissionRequested, QuestionRequested
from podium.wire.link import AnswerRequest

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance


class Requests:
    """Opens, answers, expires and cancels requests; holds the open ones."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._open: dict[str, RequestRow] = {}

    def __len__(self) -> int:
        return len(self._open)

    def restore(self, rows: Iterable[RequestRow]) -> None:
        """Takes over what the databases hold."""
        self._open = {row.request_id: row for row in rows}

    def of_running_turn(self) -> list[RequestRow]:
        """What the running turn waits for."""
        running = self._instance.queue.running
        if running is None or not self._open:
            return []
        return [row for row in self._open.values() if row.turn_id == running.entry.turn_id]

    def next_deadline(self) -> int | None:
        """The earliest deadline of an open request, epoch ms."""
        return min((row.expires_at for row in self._open.values() if row.expires_at is not None), default=None)

    def opened(
        self, step: Step, event_type: str, content: bytes, asked: QuestionRequested | PermissionRequested, turn_id: str
    ) -> None:
        """The agent asks. What it asked before (it was started again since) is not told twice; what was answered
        meanwhile is answered at once."""
        if asked.request_id in self._open:
            return
        known = self._instance.store.request(asked.request_id)
        if known is not None:
            step.send(_answer_frame(known.request_id, _resolution_of(known)))
            return
        row = step.event(event_type, content, turn_id)
        request = RequestRow(
            asked.request_id, KIND_OF_EVENT[event_type], turn_id, row.seq, content, row.ts, asked.expires_at
        )
        step.batch.open_request(request)
        self._open[request.request_id] = request
        self._clock_stands(standing=True)

    def answer(self, step: Step, answer: AnswerContent) -> int:
        """A client answers; returns the number of the event that tells of it. Check with `check` before the step."""
        row = self._open[answer.request_id]
        return self._close(step, row, rules.resolve(row.kind, row.content, answer))

    def check(self, answer: AnswerContent) -> None:
        """Whether a request waits for this answer.

        Raises:
            PodiumError: `request_not_found`, `already_resolved`, or `invalid_request` when it does not fit.
        """
        row = self._open.get(answer.request_id)
        if row is not None:
            rules.resolve(row.kind, row.content, answer)
            return
        if self._instance.store.request(answer.request_id) is None:
            raise PodiumError(ErrorCode.REQUEST_NOT_FOUND, "the agent asked nothing under this request_id")
        raise PodiumError(ErrorCode.ALREADY_RESOLVED, "someone answered first, or its time or its turn is over")

    def expire(self) -> None:
        """Takes the defaults of all requests whose deadline has come."""
        now = self._instance.around.clock.now_ms()
        due = [row for row in self._open.values() if row.expires_at is not None and row.expires_at <= now]
        if not due:
            return
        with self._instance.step() as step:
            for row in due:
                self._close(step, row, rules.expired(row.kind, row.content))
            self._instance.settle(step)
        self._instance.life.wake_if_wanted()

    def cancel_of_turn(self, step: Step, turn_id: str) -> None:
        """The turn is over: nobody needs its answers any more."""
        for row in [row for row in self._open.values() if row.turn_id == turn_id]:
            self._close(step, row, rules.cancelled())

    def _close(self, step: Step, row: RequestRow, resolution: Resolution) -> int:
        del self._open[row.request_id]
        content = ApprovalResolved(
            request_id=row.request_id,
            outcome=resolution.outcome,
            by=resolution.by,
            option_id=resolution.option_id,
            answers=resolution.answers,
        )
        event = step.event("tool.approval_resolved", content, row.turn_id)
        step.batch.resolve_request(
            row.request_id, resolution.outcome, resolution.option_id, resolution.answers, resolution.by, event.seq
        )
        step.send(_answer_frame(row.request_id, resolution))
        if not self.of_running_turn():
            self._clock_stands(standing=False)
        self._instance.touch()
        return event.seq

    def _clock_stands(self, *, standing: bool) -> None:
        running = self._instance.queue.running
        if running is None:
            return
        now = self._instance.around.clock.monotonic()
        if standing:
            turn_rules.waiting_began(running, now)
        else:
            turn_rules.waiting_ended(running, now)


def _answer_frame(request_id: str, resolution: Resolution) -> AnswerRequest:
    return AnswerRequest(
        request_id=request_id,
        outcome=resolution.outcome,
        option_id=resolution.option_id,
        answers=resolution.answers,
    )


def _resolution_of(row: RequestRow) -> Resolution:
    return Resolution(row.outcome or "cancelled", row.by or "turn", row.option_id, row.answers)
