"""The 23 events a client of Diminuendo gets from an agent, as they appear on the wire.

Each is one JSON object `{"type", "sessionId", "turnId", "seq", "ts", …}`; every field is always there.
"""

from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from podium.wire.events import Outcome, PermissionKind, StopReason


class ClientEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """What all events say. `seq` counts per session from 1 (0: not numbered yet); `ts` is epoch milliseconds (0: not known
    yet); `turn_id` is None outside of a turn."""

    session_id: str
    turn_id: str | None
    seq: int = 0
    ts: int = 0


class TurnStarted(ClientEvent, frozen=True, tag="turn_started"):
    """The agent begins to answer."""


class TextDelta(ClientEvent, frozen=True, tag="text_delta"):
    """Text to append to the answer."""

    text: str


class TurnComplete(ClientEvent, frozen=True, tag="turn_complete"):
    """The answer is whole; `final_text` is all of it."""

    final_text: str
    stop_reason: StopReason


class TurnError(ClientEvent, frozen=True, tag="turn_error"):
    """The turn failed and is over."""

    code: str
    message: str


class ToolCallStart(ClientEvent, frozen=True, tag="tool_call_start"):
    """A tool call begins."""

    tool_call_id: str
    tool_name: str


class ToolCallDelta(ClientEvent, frozen=True, tag="tool_call_delta"):
    """A piece of a tool call's arguments, as text."""

    tool_call_id: str
    delta: str


class ToolCall(ClientEvent, frozen=True, tag="tool_call"):
    """A tool call with its whole arguments."""

    tool_call_id: str
    tool_name: str
    args: Any


class ToolResult(ClientEvent, frozen=True, tag="tool_result"):
    """A tool call succeeded."""

    tool_call_id: str
    output: Any


class ToolError(ClientEvent, frozen=True, tag="tool_error"):
    """A tool call failed."""

    tool_call_id: str
    message: str


class Question(msgspec.Struct, frozen=True):
    """One question put to a person; without `options` the answer is free text."""

    id: str
    question: str
    options: list[str] | None = None
    multiple: bool = False


class QuestionRequested(ClientEvent, frozen=True, tag="question_requested"):
    """The agent asks; answered by `answer_question`."""

    request_id: str
    questions: list[Question]


class PermissionOption(msgspec.Struct, frozen=True, rename="camel"):
    """One way to answer a permission. `kind` is None when the agent did not say what the option means."""

    option_id: str
    name: str
    kind: PermissionKind | None = None


class PermissionRequested(ClientEvent, frozen=True, tag="permission_requested"):
    """The agent wants leave to act; answered by `answer_question` with an `optionId`."""

    request_id: str
    tool_call_id: str | None
    tool_name: str
    args: Any
    options: list[PermissionOption]


class ApprovalResolved(ClientEvent, frozen=True, tag="approval_resolved"):
    """A question or permission was resolved, by whomever."""

    request_id: str
    outcome: Outcome


class ThinkingStart(ClientEvent, frozen=True, tag="thinking_start"):
    """The agent begins to reason."""


class ThinkingProgress(ClientEvent, frozen=True, tag="thinking_progress"):
    """Text to append to the reasoning; never empty."""

    text: str


class ThinkingComplete(ClientEvent, frozen=True, tag="thinking_complete"):
    """The reasoning is over."""


class TerminalStream(ClientEvent, frozen=True, tag="terminal_stream"):
    """Output of a command. `stream` is `stdout` or `stderr`."""

    terminal_id: str
    data: str
    stream: str


class TerminalComplete(ClientEvent, frozen=True, tag="terminal_complete"):
    """A command ended; `exit_code` is None when a signal ended it."""

    terminal_id: str
    exit_code: int | None


class SandboxProvisioning(ClientEvent, frozen=True, tag="sandbox_provisioning"):
    """The place the agent runs in is being made; `message` says how far it is."""

    message: str


class SandboxReady(ClientEvent, frozen=True, tag="sandbox_ready"):
    """The place the agent runs in is ready."""


class SandboxRemoved(ClientEvent, frozen=True, tag="sandbox_removed"):
    """The place the agent ran in is gone."""

    reason: str


class SessionStateChanged(ClientEvent, frozen=True, tag="session_state"):
    """The session is now in `state`: a `SessionState`, or `terminated` when the agent's process ended."""

    state: str


class UsageUpdate(ClientEvent, frozen=True, tag="usage_update"):
    """What a model call took. Tokens are counts; the cost is millionths of a dollar."""

    model: str
    provider: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_dollars: int


class UsageContext(ClientEvent, frozen=True, tag="usage_context"):
    """How full the model's context window is. `percent_used` is 0 to 100."""

    total_tokens: int
    max_tokens: int
    percent_used: float


EVENT_TYPES: Final[tuple[type[ClientEvent], ...]] = (
    TurnStarted, TextDelta, TurnComplete, TurnError,
    ToolCallStart, ToolCallDelta, ToolCall, ToolResult, ToolError,
    QuestionRequested, PermissionRequested, ApprovalResolved,
    ThinkingStart, ThinkingProgress, ThinkingComplete,
    TerminalStream, TerminalComplete,
    SandboxProvisioning, SandboxReady, SandboxRemoved,
    SessionStateChanged,
    UsageUpdate, UsageContext,
)  # fmt: skip
"""All of them, in the order of the contract."""


def type_of(event: ClientEvent) -> str:
    """The `type` an event has on the wire."""
    tag = type(event).__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def stamped(event: ClientEvent, seq: int, now_ms: int) -> ClientEvent:
    """The event with its number in the session; one that has no time yet gets `now_ms`."""
    return msgspec.structs.replace(event, seq=seq, ts=event.ts or now_ms)


def encode(event: ClientEvent) -> bytes:
    """The JSON text of an event."""
    return _ENCODER.encode(event)


def decode(frame: bytes) -> ClientEvent:
    """The event in the JSON text `encode` made."""
    return _DECODER.decode(frame)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[ClientEvent]] = msgspec.json.Decoder(reduce(or_, EVENT_TYPES))
