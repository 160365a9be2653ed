"""What clients tell an instance. Every command with an id is done once: its answer is kept with it and given again."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from podium.base import telemetry
from podium.coordinator.adapters.store import InboxRow
from podium.coordinator.domain import configuration
from podium.coordinator.domain.lifecycle import Change, allows
from podium.coordinator.domain.turns import Ending, Entry, Placement
from podium.coordinator.supervisor.course import Accepted
from podium.coordinator.supervisor.step import Step
from podium.wire.commands import Ack, AnswerContent, OnBusy
from podium.wire.envelope import EventRow
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import FRAME_MAX_BYTES
from podium.wire.link import ConfigChanged, Origin, SteerTurn
from podium.wire.status import InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from podium.coordinator.supervisor.instance import Instance

    Acknowledge = Callable[[Ack], None]

ENVELOPE_MAX_BYTES: Final = 512
"""What the envelope adds to the content of an event, at most."""

_ACK = msgspec.json.Decoder(Ack)


class Incoming(NamedTuple):
    """A message as it came in. `data` is `{text, …metadata}` with `messages` and `attachments` beside them."""

    data: dict[str, Any]
    origin: Origin
    command_id: str | None = None
    on_busy: OnBusy = "queue"


class Commands:
    """Acts on the commands of clients.

    Each method gives the acknowledgement to `acknowledge` after the commit and before any event of it is shown,
    and returns it as well.
    """

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance

    def send_message(self, message: Incoming, acknowledge: "Acknowledge | None" = None) -> Ack:
        """A message for the agent: durable when this returns.

        Raises:
            PodiumError: `busy`, `quota_exceeded`, `message_too_large`, `instance_stopping`, `instance_failed`,
                `workspace_unavailable` while the host's disk is full.
        """
        if (known := self._known(message.command_id)) is not None:
            return self._told(known, acknowledge)
        self._instance.around.check_disk()
        instance = self._instance
        if instance.showing is not None:
            instance.showing.admit()
        placement = instance.queue.place(message.on_busy)
        message_id = instance.around.new_id("msg")
        content = msgspec.json.encode({**message.data, "message_id": message_id, "text": message.data.get("text", "")})
        if len(content) + ENVELOPE_MAX_BYTES > FRAME_MAX_BYTES:
            raise PodiumError(
                ErrorCode.MESSAGE_TOO_LARGE, f"a message may have {FRAME_MAX_BYTES - ENVELOPE_MAX_BYTES} bytes"
            )
        if placement is Placement.STEERING:
            return self._join(message, message_id, content, acknowledge)
        turn_id = instance.around.new_id("turn")
        with instance.course.accepting(turn_id), instance.step() as step:
            event = step.event("message.user", content, turn_id)
            row = _inbox_row(message, message_id, event)
            step.batch.accept(row)
            ack = self._remember(step, message.command_id, Ack(None, turn_id, message_id, event.seq), acknowledge)
            instance.queue.add(Entry(message_id, turn_id, message.on_busy), placement)
            if placement is Placement.INTERRUPTING:
                instance.turns.ask_end(step, Ending.CANCELLED)
            instance.turns.go_on(step, row)
            instance.settle(step)
        instance.around.metrics.add("messages_total")
        instance.life.wake_if_wanted()
        return ack

    def steer(self, text: str, command_id: str | None, acknowledge: "Acknowledge | None" = None) -> Ack:
        """Text for the running turn.

        Raises:
            PodiumError: `no_turn`.
        """
        if (known := self._known(command_id)) is not None:
            return self._told(known, acknowledge)
        running = self._instance.queue.running
        if running is None or not running.can_be_steered:
            raise PodiumError(ErrorCode.NO_TURN, "no turn is running that could be steered")
        message = Incoming({"text": text}, Origin(self._instance.facts.tenant_id), command_id)
        message_id = self._instance.around.new_id("msg")
        content = msgspec.json.encode({"message_id": message_id, "text": text, "steer": True})
        return self._join(message, message_id, content, acknowledge)

    def cancel(self, command_id: str | None, acknowledge: "Acknowledge | None" = None) -> Ack:
        """The running turn is to end.

        Raises:
            PodiumError: `no_turn`.
        """
        if (known := self._known(command_id)) is not None:
            return self._told(known, acknowledge)
        running = self._instance.queue.running
        if running is None:
            raise PodiumError(ErrorCode.NO_TURN, "no turn is running")
        with self._instance.step() as step:
            ack = self._remember(step, command_id, Ack(None, running.entry.turn_id), acknowledge)
            self._instance.turns.ask_end(step, Ending.CANCELLED)
            self._instance.settle(step)
        self._instance.life.wake_if_wanted()
        return ack

    def cancel_turn(self, turn_id: str) -> None:
        """A turn, running or waiting, is to end.

        Raises:
            PodiumError: `turn_not_found`, or `no_turn` when it is over.
        """
        self._check_going()
        instance = self._instance
        row = instance.store.turn(turn_id)
        running = instance.queue.running
        if running is not None and running.entry.turn_id == turn_id:
            self.cancel(None)
            return
        if row is None:
            raise PodiumError(ErrorCode.TURN_NOT_FOUND, "the agent has no such turn")
        if row.state not in {"queued", "running"}:
            raise PodiumError(ErrorCode.NO_TURN, "the turn is over")
        with instance.step() as step:
            instance.turns.cancel_waiting(step, turn_id)

    def answer(self, answer: AnswerContent, command_id: str | None, acknowledge: "Acknowledge | None" = None) -> Ack:
        """The answer to a question or permission.

        Raises:
            PodiumError: `request_not_found`, `already_resolved`, `invalid_request`.
        """
        if (known := self._known(command_id)) is not None:
            return self._told(known, acknowledge)
        instance = self._instance
        instance.requests.check(answer)
        with instance.step() as step:
            seq = instance.requests.answer(step, answer)
            ack = self._remember(step, command_id, Ack(None, seq=seq), acknowledge)
            instance.settle(step)
        instance.life.wake_if_wanted()
        return ack

    def update_config(
        self, changes: dict[str, Any], command_id: str | None, acknowledge: "Acknowledge | None" = None
    ) -> Ack:
        """Changes to the agent's own layer of the configuration."""
        if (known := self._known(command_id)) is not None:
            return self._told(known, acknowledge)
        instance = self._instance
        nested = configuration.nested(changes)
        before = instance.config()
        instance.facts.config = configuration.merge(instance.facts.config, nested)
        instance.around.save_config(instance.facts)
        after = instance.config()
        with instance.step() as step:
            ack = self._remember(step, command_id, Ack(), acknowledge)
            step.send(ConfigChanged(changes=configuration.differences(before, after), config=after, source="client"))
        instance.touch()
        return ack

    # ── parts ───────────────────────────────────────────────────────────────────────────────────────────────

    def _join(self, message: Incoming, message_id: str, content: bytes, acknowledge: "Acknowledge | None") -> Ack:
        """A message that becomes part of the running turn; after a crash the turn gets it again from the journal."""
        instance = self._instance
        running = instance.queue.running
        if running is None:
            raise PodiumError(ErrorCode.NO_TURN, "no turn is running that could be steered")
        turn_id = running.entry.turn_id
        with instance.step() as step:
            event = step.event("message.user", content, turn_id)
            ack = self._remember(step, message.command_id, Ack(None, turn_id, message_id, event.seq), acknowledge)
            if running.delivered:
                step.send(SteerTurn(turn_id=turn_id, text=str(message.data.get("text", ""))))
        instance.touch()
        return ack

    def _known(self, command_id: str | None) -> Ack | None:
        """What the same command was answered with; opens the databases, and refuses when the instance takes no commands."""
        self._check_going()
        store = self._instance.store
        if command_id is None:
            return None
        answer = store.command(command_id)
        return None if answer is None else msgspec.structs.replace(_ACK.decode(answer), id=command_id)

    def _remember(self, step: Step, command_id: str | None, ack: Ack, acknowledge: "Acknowledge | None") -> Ack:
        if command_id is not None:
            step.batch.remember_command(command_id, msgspec.json.encode(ack))
            ack = msgspec.structs.replace(ack, id=command_id)
        if acknowledge is not None:
            step.acknowledge.append(lambda: acknowledge(ack))
        return ack

    def _told(self, ack: Ack, acknowledge: "Acknowledge | None") -> Ack:
        """The answer again; not before the first one may be known."""
        showing = self._instance.showing
        if acknowledge is not None and showing is not None:
            showing.after_all(lambda: acknowledge(ack))
        elif acknowledge is not None:
            acknowledge(ack)
        return ack

    def _check_going(self) -> None:
        status, reason = self._instance.status, self._instance.facts.reason
        if status is InstanceStatus.FAILED:
            raise PodiumError(ErrorCode.INSTANCE_FAILED, f"the instance has failed: {reason or 'no reason is known'}")
        if not allows(status, Change.STOP):
            raise PodiumError(ErrorCode.INSTANCE_STOPPING, f"the instance is {status.value}")
        if self._instance.refusing:
            raise PodiumError(
                ErrorCode.BUSY, "the agent is being taken back; send it again in a moment", retry_after=1.0
            )


def _inbox_row(message: Incoming, message_id: str, event: EventRow) -> InboxRow:
    return InboxRow(
        message_id=message_id,
        turn_id=event.turn_id,
        content=msgspec.json.encode(message.data),
        origin=msgspec.json.encode(
            Accepted(**msgspec.structs.asdict(message.origin), traceparent=telemetry.current.get())
        ),
        accepted_seq=event.seq,
        command_id=message.command_id,
        on_busy=message.on_busy,
    )
