"""The coordinator's part of the link, in memory: keeps state, conversation, questions and turns over restarts."""

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec

from podium.testing.errors import AgentHarnessError, StateBypassedError
from podium.testing.turn import HarnessEvent, HarnessTurn
from podium.wire import link, patch
from podium.wire.events import PermissionRequested, QuestionRequested
from podium.wire.ids import ENTROPY_BYTES, Kind, make_id

if TYPE_CHECKING:
    from podium.agent.instance import Instance
    from podium.testing.versions import HarnessVersions

REQUEST_TYPES = {
    "tool.permission_requested": PermissionRequested,
    "tool.question_requested": QuestionRequested,
}


class MemoryCoordinator(asyncio.Protocol):
    """What a coordinator keeps of one agent. `connect` gives it the next process's link."""

    def __init__(self, answer: Callable[[HarnessEvent], dict[str, Any] | None]) -> None:
        self.state: dict[str, Any] | None = None
        self.version = 0
        self.schema: int | None = None
        self.events: list[HarnessEvent] = []
        self.logs: list[link.Log] = []
        self.conversation: list[dict[str, Any]] = []
        self.idle_replies: list[bool] = []
        self.pongs = 0
        self.ready: link.Ready | None = None
        self.init_error: str | None = None
        self.instance: Instance | None = None
        self.versions: HarnessVersions | None = None
        self._answer = answer
        self._turns: list[HarnessTurn] = []
        self._running: HarnessTurn | None = None
        self._asked: dict[str, link.AnswerRequest | None] = {}
        self._transport: asyncio.Transport | None = None
        self._frames = link.FrameBuffer()
        self._changed = asyncio.Event()
        self._acts: dict[type[Any], Callable[[Any], None]] = {
            link.Ready: self._ready,
            link.StreamUpdate: self._event,
            link.StateDelta: self._delta,
            link.StateReplaced: self._replaced,
            link.Log: self.logs.append,
            link.Request: self._request,
            link.IdleReply: lambda frame: self.idle_replies.append(frame.allow),
            link.Complete: lambda frame: self._turn_ended(frame.message_id, frame.stop_reason, None),
            link.Failed: self._failed,
            link.LinkPong: self._pong,
        }

    # ── the link ────────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new process."""
        self._transport = cast("asyncio.Transport", transport)
        self._frames = link.FrameBuffer()
        self.ready = self.init_error = None

    def data_received(self, data: bytes) -> None:
        """Frames of the agent."""
        for body in self._frames.feed(data):
            frame = link.read_from_agent(body)
            self._acts[type(frame)](frame)
        self._tell()

    def connection_lost(self, _error: Exception | None) -> None:
        """The process is gone. A turn it did not end waits to be run again."""
        self._transport = None
        if self._running is not None:
            turn, self._running = self._running, None
            turn.message = msgspec.structs.replace(turn.message, attempt=turn.message.attempt + 1)
            self._turns.insert(0, turn)
        self._tell()

    @property
    def connected(self) -> bool:
        """Whether a process has the link."""
        return self._transport is not None

    def send(self, frame: link.ToAgent) -> None:
        """Sends a frame.

        Raises:
            AgentHarnessError: no process runs.
        """
        if self._transport is None:
            raise AgentHarnessError("the agent does not run")
        self._transport.write(link.pack(frame))

    def abort(self) -> None:
        """Cuts the link, as a crash does."""
        if self._transport is not None:
            self._transport.abort()

    async def changed(self) -> None:
        """Waits until anything happened. Cancellation just ends the wait."""
        self._changed.clear()
        await self._changed.wait()

    # ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, turn: HarnessTurn) -> None:
        """Queues a turn; turns run one at a time."""
        self.conversation.append({**turn.message.data, "role": "user", "message_id": turn.message.id})
        self._turns.append(turn)
        self._next()

    def steer(self, turn_id: str, text: str) -> None:
        """Text for the running turn."""
        self.send(link.SteerTurn(turn_id, text))

    def cancel(self, turn_id: str) -> None:
        """The turn is to end."""
        self.send(link.CancelTurn(turn_id))

    def resolve(self, request_id: str, outcome: str, option_id: str | None, answers: dict[str, Any] | None) -> None:
        """Answers a question or permission; kept when no process runs.

        Raises:
            AgentHarnessError: nobody asked it, or it was answered.
        """
        if request_id not in self._asked:
            raise AgentHarnessError(f"the agent asked nothing under {request_id!r}")
        if self._asked[request_id] is not None:
            raise AgentHarnessError(f"{request_id} was answered already")
        answer = self._asked[request_id] = link.AnswerRequest(request_id, outcome, option_id, answers)
        if self._transport is not None:
            self.send(answer)

    def check_state(self) -> None:
        """Compares the agent's state with the one its operations led to.

        Raises:
            StateBypassedError: they differ.
        """
        state = self.instance.state if self.instance is not None else None
        journal = state._journal if state is not None else None
        if state is not None and journal is not None and not journal.ops and state.to_dict() != self.state:
            raise StateBypassedError(f"the agent has {state.to_dict()!r}, its operations led to {self.state!r}")

    def _next(self) -> None:
        if self.ready is not None and self._running is None and self._turns and self._transport is not None:
            self._running = self._turns.pop(0)
            self.send(self._running.message)

    def _turn_ended(self, message_id: str, stop_reason: str | None, error: str | None) -> None:
        turn = self._running
        if turn is None or turn.message.id != message_id:
            raise AgentHarnessError(f"the agent ended a turn that does not run ({message_id!r})")
        if self.versions is not None:
            self.versions.record()
        turn.stop_reason, turn.error, self._running = stop_reason, error, None
        self.conversation.append({"role": "agent", "text": turn.text, "message_id": message_id})
        turn.over.set()
        self._next()

    # ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self) -> None:
        self._changed.set()

    def _pong(self, _: link.LinkPong) -> None:
        self.pongs += 1

    def _ready(self, frame: link.Ready) -> None:
        self.ready = frame
        self._next()

    def _failed(self, frame: link.Failed) -> None:
        message = f"{frame.error.type}: {frame.error.message}"
        if frame.message_id:
            self._turn_ended(frame.message_id, "error", message)
        else:
            self.init_error = message

    def _event(self, frame: link.StreamUpdate) -> None:
        turn = self._running if self._running and self._running.message.id == frame.message_id else None
        event = HarnessEvent(
            frame.element.type, msgspec.json.decode(frame.element.content), turn.id if turn is not None else ""
        )
        if event.type in REQUEST_TYPES:
            request_id = event["request_id"]
            if request_id in self._asked:
                answer = self._asked[request_id]
                if answer is not None:
                    self.send(answer)
                return
            self._asked[request_id] = None
        self.events.append(event)
        if turn is not None:
            turn.events.append(event)
        if event.type in REQUEST_TYPES and (given := self._answer(event)) is not None:
            self.resolve(event["request_id"], given["outcome"], given.get("option_id"), given.get("answers"))

    def _delta(self, frame: link.StateDelta) -> None:
        for delta in frame.deltas:
            self._follows(delta.version)
            self.state = patch.apply(self.state, patch.decode_ops(bytes(delta.ops)))

    def _replaced(self, frame: link.StateReplaced) -> None:
        self._follows(frame.version)
        self.state, self.schema = msgspec.json.decode(frame.data), frame.state_schema

    def _follows(self, version: int) -> None:
        if version != self.version + 1:
            raise AgentHarnessError(f"state version {version} after {self.version}")
        self.version = version

    def _request(self, frame: link.Request) -> None:
        if frame.method == "messages":
            self.send(link.Response(frame.id, self.conversation[-int(frame.params["limit"]) :]))
        else:
            self.send(self._versioned(frame))

    def _versioned(self, frame: link.Request) -> link.Response:
        turn_id = self._running.id if self._running is not None else None
        if self.versions is None or frame.method not in {"checkpoint", "history", "restore"}:
            return link.Response(frame.id, error=f"there is no method {frame.method!r}")
        try:
            return link.Response(frame.id, self.versions.answer(frame.method, frame.params, turn_id))
        except AgentHarnessError as error:
            return link.Response(frame.id, error=str(error))


def new_id(kind: Kind) -> str:
    """An id of its own."""
    return make_id(kind, os.urandom(ENTROPY_BYTES))
