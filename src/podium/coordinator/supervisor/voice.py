"""What the agent says: every frame of one read becomes one step."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podium.coordinator.domain.requests import KIND_OF_EVENT
from podium.coordinator.supervisor.step import Step
from podium.coordinator.supervisor.turns import TurnEnd
from podium.wire import events
from podium.wire.limits import FRAME_MAX_BYTES, PAGE_DEFAULT, PAGE_MAX
from podium.wire.link import (
    LINK_PROTOCOL,
    Complete,
    Failed,
    FromAgent,
    IdleReply,
    LinkError,
    LinkPong,
    Log,
    Ready,
    Request,
    Response,
    StateDelta,
    StateReplaced,
    StreamUpdate,
)

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)

CONTENT_MAX_BYTES: Final = FRAME_MAX_BYTES - 4096
"""Largest content of an event: with its envelope it must fit a WebSocket frame."""

LOG_MESSAGE_MAX_CHARS: Final = 64 * 1024
"""A longer log message is cut."""

_EMPTY: Final = b""
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    name: msgspec.json.Decoder(events.CONTENT_TYPES[name] or dict[str, Any]) for name in events.AGENT_EVENTS
}
_BARE: Final = frozenset(name for name in events.AGENT_EVENTS if events.CONTENT_TYPES[name] is events.Empty)


class MisbehaviourError(Exception):
    """The agent did what ends its process: the text says what."""


class Voice:
    """Acts on the frames of one agent."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._acts: dict[type[Any], Callable[[Step, Any], None]] = {
            StreamUpdate: self._event,
            StateDelta: self._delta,
            StateReplaced: self._state,
            Log: self._record,
            Complete: self._complete,
            Failed: self._failed,
            Ready: self._ready,
            IdleReply: self._idle_reply,
            Request: self._request,
            LinkPong: self._pong,
        }

    def hear(self, frames: list[FromAgent]) -> None:
        """Handles all frames of one read in one step; those before a misbehaving one count.

        Raises:
            MisbehaviourError: the agent must be ended; what it said before is committed.
        """
        wrong: MisbehaviourError | None = None
        with self._instance.step() as step:
            for frame in frames:
                try:
                    self._acts[type(frame)](step, frame)
                except MisbehaviourError as error:
                    wrong = error
                    break
            self._instance.settle(step)
        if wrong is not None:
            raise wrong

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────

    def _event(self, step: Step, frame: StreamUpdate) -> None:
        name = frame.element.type
        content = bytes(frame.element.content)
        decoder = _DECODERS.get(name)
        if decoder is None:
            self._refuse(step, name, "an agent may not emit this event")
            return
        try:
            if len(content) > CONTENT_MAX_BYTES:
                raise ValueError(f"its content has {len(content)} bytes, {CONTENT_MAX_BYTES} are allowed")
            if not content.isascii():
                content.decode("utf-8")
            typed = decoder.decode(content)
        except ValueError as error:
            self._refuse(step, name, str(error))
            return
        turn_id = self._turn_of(frame.message_id)
        if turn_id and self._interrupted:
            return
        if turn_id:
            self._instance.course.heard(name, typed)
        if name in KIND_OF_EVENT:
            self._instance.requests.opened(step, name, content, typed, turn_id)
            return
        if turn_id:
            self._follow(name)
        step.event(name, _EMPTY if name in _BARE else content, turn_id)
        if name == "usage.update":
            self._instance.budget.spend(step, typed.cost_micro_dollars)

    def _follow(self, name: str) -> None:
        running = self._instance.queue.running
        if running is None:
            return
        if name == "stream_start":
            running.stream_open = True
        elif name == "stream_end":
            running.stream_open, running.stream_ended = False, True
        elif name == "error":
            running.errored = True

    def _turn_of(self, message_id: str) -> str:
        running = self._instance.queue.running
        if running is None or running.entry.message_id != message_id:
            return ""
        return running.entry.turn_id

    def _refuse(self, step: Step, name: str, why: str) -> None:
        self._instance.around.metrics.add("events_refused_total")
        self._instance.note(step, "warning", f"the event {name[:80]!r} was dropped: {why[:500]}")
        _log.warning("event_refused", extra={"instance_id": self._instance.facts.instance_id, "event": name[:80]})

    # ── state, logs ─────────────────────────────────────────────────────────────────────────────────────────

    def _delta(self, step: Step, frame: StateDelta) -> None:
        for delta in frame.deltas:
            self._follows(step, delta.version)
            step.batch.delta(delta.version, bytes(delta.ops), self._turn_id())

    def _state(self, step: Step, frame: StateReplaced) -> None:
        self._follows(step, frame.version)
        step.batch.replace_state(frame.version, frame.state_schema, bytes(frame.data), self._turn_id())

    def _follows(self, step: Step, version: int) -> None:
        held = step.batch.heads.version
        if version != held + 1:
            raise MisbehaviourError(f"a state delta with version {version} after version {held}")

    def _turn_id(self) -> str:
        running = self._instance.queue.running
        return running.entry.turn_id if running is not None else ""

    def _record(self, step: Step, frame: Log) -> None:
        message = frame.message[:LOG_MESSAGE_MAX_CHARS]
        step.batch.log(
            frame.level, message, frame.module, "agent", frame.timestamp, turn_id=self._turn_id(), fields=frame.fields
        )

    # ── turns and life ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _interrupted(self) -> bool:
        """Whether the process is ending under a turn that will be run again: what it still says of it is not its end."""
        running = self._instance.queue.running
        return self._instance.life.is_closing and running is not None and running.ending is None

    def _complete(self, step: Step, frame: Complete) -> None:
        if self._interrupted:
            return
        if self._turn_of(frame.message_id):
            self._instance.turns.completed(step, frame.stop_reason)
        else:
            self._instance.note(step, "warning", "the agent completed a turn that does not run")

    def _failed(self, step: Step, frame: Failed) -> None:
        message = f"{frame.error.type}: {frame.error.message}"
        if not frame.message_id:
            self._instance.note(step, "error", f"on_init failed: {message}")
            step.after.append(lambda: self._instance.life.init_failed(message))
        elif self._turn_of(frame.message_id) and not self._interrupted:
            error = events.ErrorContent(code="agent_error", message=message, retryable=False)
            self._instance.turns.end(step, TurnEnd("failed", "error", error))

    def _ready(self, step: Step, frame: Ready) -> None:
        if frame.protocol != LINK_PROTOCOL:
            raise MisbehaviourError(f"the agent speaks version {frame.protocol} of the link, not {LINK_PROTOCOL}")
        self._instance.life.agent_ready(step)

    def _idle_reply(self, step: Step, frame: IdleReply) -> None:
        step.after.append(lambda: self._instance.life.idle_replied(allow=frame.allow))

    def _request(self, step: Step, frame: Request) -> None:
        if frame.method == "messages":
            step.after.append(lambda: self._send_messages(frame))
        elif frame.method in {"checkpoint", "history", "restore"}:
            self._instance.files.asked(step, frame)
        else:
            step.send(Response(id=frame.id, error=f"there is no method {frame.method[:80]!r}"))

    def _send_messages(self, frame: Request) -> None:
        instance = self._instance
        limit = frame.params.get("limit")
        wanted = limit if isinstance(limit, int) and not isinstance(limit, bool) else PAGE_DEFAULT
        head = instance.store.head_seq
        items = instance.store.conversation(min(max(wanted, 1), PAGE_MAX), before=head + 1)
        try:
            instance.life.send_frame(Response(id=frame.id, result=items))
        except LinkError:
            told = f"{len(items)} messages are too large for one answer; ask for fewer"
            instance.life.send_frame(Response(id=frame.id, error=told))

    def _pong(self, step: Step, frame: LinkPong) -> None:
        """Nothing: that it came is enough."""
