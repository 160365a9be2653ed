"""From Podium's events to the client's: one table, and a function that looks things up in it.

The name of an event is `content.event_type` where that is a name of the table, and `messageType` otherwise. What no row
knows is passed on as text if it has any, and is dropped if it has none. What an agent sends is not trusted to have the
right shape: a field that is missing or of another type takes the row's default, and nothing raises.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from diminuendo.domain import events, reading
from diminuendo.domain.events import ClientEvent
from diminuendo.domain.reading import INTEGER_MAX, MISSING
from podium.wire.events import CONTENT_TYPES, LOCAL_FRAMES


class PodiumEventLike(Protocol):
    """What the mapper reads of an event; `podium.client.PodiumEvent` is one."""

    @property
    def message_type(self) -> str:
        """Name of the event."""
        ...

    @property
    def content(self) -> dict[str, Any] | None:
        """What it carries."""
        ...

    @property
    def instance_id(self) -> str | None:
        """Instance it comes from."""
        ...

    @property
    def turn_id(self) -> str | None:
        """Turn it belongs to."""
        ...

    @property
    def ts(self) -> int:
        """Epoch milliseconds at which Podium recorded it."""
        ...


class Said(NamedTuple):
    """What a person said to the agent. `ts` is epoch milliseconds, 0 where it is not known."""

    text: str
    turn_id: str | None
    ts: int


class Field(NamedTuple):
    """A field of a client event: where in the content it may lie (the first that can be read counts), how it is read, and
    what it is otherwise."""

    name: str
    keys: tuple[str, ...]
    read: Callable[[Any], Any]
    default: Any


class Row(NamedTuple):
    """A line of the table. `needs`: a field without which there is nothing to say, and no event."""

    names: tuple[str, ...]
    event: type[ClientEvent]
    fields: tuple[Field, ...] = ()
    needs: str = ""


_TEXT: Final = ("text", "delta", "content")
_CALL: Final = Field("tool_call_id", ("tool_call_id", "toolCallId", "call_id", "id"), reading.identifier, "")
_TOOL: Final = Field("tool_name", ("tool_name", "toolName", "name", "tool"), reading.text, "")
_ARGS: Final = Field("args", ("arguments", "args", "input"), reading.anything, None)
_REQUEST: Final = Field("request_id", ("request_id", "requestId", "id"), reading.identifier, "")
_TERMINAL: Final = Field("terminal_id", ("terminal_id", "terminalId", "id"), reading.identifier, "")
_REASON: Final = Field("reason", ("reason", "message"), reading.text, "")


def _message(default: str) -> Field:
    return Field("message", ("message", "error", "text"), reading.failure, default)


def _count(name: str, *keys: str) -> Field:
    return Field(name, (name, *keys), reading.count, 0)


TABLE: Final[tuple[Row, ...]] = (
    # The turn.
    Row(("created", "stream_start"), events.TurnStarted),
    Row(("update", "stream_update"), events.TextDelta, (Field("text", _TEXT, reading.text, ""),)),
    Row(
        ("complete", "stream_end", "stream_complete"),
        events.TurnComplete,
        (
            Field("final_text", ("text", "final_text", "finalText", "content"), reading.text, ""),
            Field("stop_reason", ("stop_reason", "stopReason"), reading.stop_reason, "end_turn"),
        ),
    ),
    Row(
        ("error",),
        events.TurnError,
        (Field("code", ("code", "error_code"), reading.identifier, "agent_error"), _message("the agent failed")),
    ),
    # Tools.
    Row(("tool.call_start",), events.ToolCallStart, (_CALL, _TOOL)),
    Row(
        ("tool.call_delta",),
        events.ToolCallDelta,
        (_CALL, Field("delta", ("arguments_delta", "delta", "text"), reading.text, "")),
    ),
    Row(("tool.call",), events.ToolCall, (_CALL, _TOOL, _ARGS)),
    Row(
        ("tool.result",),
        events.ToolResult,
        (_CALL, Field("output", ("result", "output", "content"), reading.anything, None)),
    ),
    Row(("tool.error",), events.ToolError, (_CALL, _message("the tool failed"))),
    # What waits for a person.
    Row(
        ("tool.question_requested",),
        events.QuestionRequested,
        (_REQUEST, Field("questions", ("questions", "question", "text"), reading.questions, [])),
    ),
    Row(
        ("tool.permission_requested",),
        events.PermissionRequested,
        (
            _REQUEST,
            Field("tool_call_id", ("tool_call_id", "toolCallId"), reading.identifier, None),
            _TOOL,
            _ARGS,
            Field("options", ("options",), reading.options, []),
        ),
    ),
    Row(
        ("tool.approval_resolved",),
        events.ApprovalResolved,
        (_REQUEST, Field("outcome", ("outcome",), reading.outcome, "answered")),
    ),
    # Reasoning.
    Row(("thinking.start",), events.ThinkingStart),
    Row(
        ("thinking.progress", "thinking_update"),
        events.ThinkingProgress,
        (Field("text", (*_TEXT, "thinking"), reading.text, ""),),
        needs="text",
    ),
    Row(("thinking.complete",), events.ThinkingComplete),
    # Commands the agent runs.
    Row(
        ("terminal.stream",),
        events.TerminalStream,
        (
            _TERMINAL,
            Field("data", ("data", "text", "output"), reading.text, ""),
            Field("stream", ("stream",), reading.stream, "stdout"),
        ),
    ),
    Row(
        ("terminal.complete",),
        events.TerminalComplete,
        (_TERMINAL, Field("exit_code", ("exit_code", "exitCode"), reading.exit_code, None)),
    ),
    # The place it runs in.
    Row(
        ("sandbox.provisioning",),
        events.SandboxProvisioning,
        (Field("message", ("message", "phase"), reading.text, ""),),
    ),
    Row(("sandbox.init",), events.SandboxReady),
    Row(("sandbox.removed",), events.SandboxRemoved, (_REASON,)),
    # Its end.
    Row(("terminating", "terminated"), events.SessionStateChanged, (Field("state", (), reading.text, "terminated"),)),
    # What it cost.
    Row(
        ("usage", "usage.update"),
        events.UsageUpdate,
        (
            Field("model", ("model",), reading.text, ""),
            Field("provider", ("provider",), reading.text, ""),
            _count("input_tokens", "inputTokens"),
            _count("output_tokens", "outputTokens"),
            _count("cached_tokens", "cachedTokens"),
            _count("cost_micro_dollars", "costMicroDollars"),
        ),
    ),
    Row(
        ("context", "usage.context"),
        events.UsageContext,
        (
            _count("total_tokens", "totalTokens"),
            _count("max_tokens", "maxTokens"),
            Field("percent_used", ("percent_used", "percentUsed"), reading.percent, 0.0),
        ),
    ),
)
"""Podium's 31 names, and the 23 client events they become."""

ROWS: Final[dict[str, Row]] = {name: row for row in TABLE for name in row.names}
"""The table by name."""

SILENT: Final = (frozenset(CONTENT_TYPES) | LOCAL_FRAMES) - frozenset(ROWS)
"""Events of the platform that are not for people: dropped even if they have a text. `message.user` above all, whose text
is the person's own and whose content is whatever the person's program put there."""


def map_podium_event(session_id: str, turn_id: str | None, event: PodiumEventLike) -> list[ClientEvent]:
    """What a client is told of an event of Podium: one client event, or none.

    Not numbered yet (`events.stamped` does it). Never raises, whatever `event` is.
    """
    message_type = getattr(event, "message_type", None)
    content = getattr(event, "content", None)
    if type(content) is str:
        content = {"text": content}
    elif type(content) is not dict:
        content = {}
    row = _row(message_type if type(message_type) is str else "", content)
    if row is None:
        return []
    values: dict[str, Any] = {}
    for name, keys, read, default in row.fields:
        values[name] = default
        for key in keys:
            if key in content and (found := read(content[key])) is not MISSING:
                values[name] = found
                break
    if row.needs and not values[row.needs]:
        return []
    return [row.event(session_id=session_id, turn_id=turn_id, ts=_ts(event), **values)]


def said_by_person(event: PodiumEventLike) -> Said | None:
    """What a person said, if that is what the event tells: for the conversation, not for the stream. Never raises."""
    content = getattr(event, "content", None)
    if getattr(event, "message_type", None) != "message.user" or type(content) is not dict:
        return None
    words, turn_id = content.get("text"), getattr(event, "turn_id", None)
    return Said(words, turn_id if type(turn_id) is str else None, _ts(event)) if type(words) is str else None


def _ts(event: object) -> int:
    moment = getattr(event, "ts", 0)
    return moment if type(moment) is int and 0 < moment <= INTEGER_MAX else 0


_FALLBACK: Final = Row((), events.TextDelta, (Field("text", _TEXT, reading.text, ""),), needs="text")


def _row(message_type: str, content: dict[Any, Any]) -> Row | None:
    """The row for an event, `_FALLBACK` for a name nobody knows, None for what is not for people."""
    if "event_type" in content:
        kind = content["event_type"]
        if type(kind) is str and kind in ROWS and message_type not in SILENT:
            return ROWS[kind]
    if (row := ROWS.get(message_type)) is not None:
        return row
    return None if message_type in SILENT else _FALLBACK
