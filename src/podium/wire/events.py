"""Every event of the stream: its canonical name, the aliases a reader accepts, and the type of its content."""

from typing import Any, Final, Literal

import msgspec

from podium.wire.status import InstanceStatus

StopReason = Literal["end_turn", "cancelled", "max_tokens", "refusal", "error"]
"""Why an answer ended."""

Outcome = Literal["selected", "answered", "dismissed", "cancelled", "expired"]
"""How a question or permission was resolved."""

PermissionKind = Literal["allow_once", "allow_always", "reject_once", "reject_always"]
"""What an option of a permission means."""


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the typed contents; unknown fields are kept out, absent ones take their default."""


class Empty(Content, frozen=True):
    """No content."""


class StreamStart(Content, frozen=True):
    """An answer begins. `attempt` above 1: the turn is run again after a crash."""

    message_id: str
    attempt: int


class Text(Content, frozen=True):
    """Text to append (`stream_update`, `thinking.progress`)."""

    text: str


class StreamEnd(Content, frozen=True):
    """An answer is whole. `text` is all of it."""

    text: str
    stop_reason: StopReason


class ErrorContent(Content, frozen=True):
    """The turn failed and is over."""

    code: str
    message: str
    retryable: bool


class ToolCallStart(Content, frozen=True):
    """A tool call begins."""

    tool_call_id: str
    tool_name: str
    title: str | None = None
    kind: str | None = None


class ToolCallDelta(Content, frozen=True):
    """Arguments of a tool call as they stream."""

    tool_call_id: str
    arguments_delta: str


class ToolCall(Content, frozen=True):
    """A tool call with its whole arguments."""

    tool_call_id: str
    tool_name: str
    arguments: Any
    locations: list[dict[str, Any]] | None = None


class ToolResult(Content, frozen=True):
    """A tool call succeeded."""

    tool_call_id: str
    tool_name: str
    result: Any


class ToolError(Content, frozen=True):
    """A tool call failed."""

    tool_call_id: str
    tool_name: str
    message: str


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question put to a person."""

    id: str
    question: str
    options: list[str] | None = None
    multiple: bool = False


class QuestionRequested(Content, frozen=True):
    """The agent asks; a durable row until answered, dismissed, cancelled or expired."""

    request_id: str
    questions: list[Question]
    expires_at: int | None = None
    default: dict[str, Any] | None = None


class PermissionOption(msgspec.Struct, frozen=True):
    """One way to answer a permission."""

    option_id: str
    name: str
    kind: PermissionKind


class PermissionRequested(Content, frozen=True):
    """The agent wants leave to act; a durable row. At `expires_at` (epoch ms) the option `default` is taken."""

    request_id: str
    tool_name: str
    options: list[PermissionOption]
    tool_call_id: str | None = None
    arguments: Any = None
    expires_at: int | None = None
    default: str | None = None


class ApprovalResolved(Content, frozen=True):
    """A question or permission was resolved, by whom (`client`, `deadline`, `turn`)."""

    request_id: str
    outcome: Outcome
    by: str
    option_id: str | None = None
    answers: dict[str, Any] | None = None


class TerminalStream(Content, frozen=True):
    """Output of a command the agent runs."""

    terminal_id: str
    stream: Literal["stdout", "stderr"]
    data: str
    command: str | None = None


class TerminalComplete(Content, frozen=True):
    """A command ended. `signal` is its name (`SIGKILL`) when one ended it."""

    terminal_id: str
    exit_code: int | None
    signal: str | None = None


class SandboxProvisioning(Content, frozen=True):
    """The place an agent runs in is being made."""

    phase: str
    message: str | None = None


class SandboxInit(Content, frozen=True):
    """The place is ready: which isolation was used, where the workspace is, what keeps it (`fuse`, `watch`, `directory`)."""

    isolation: str
    workspace: str
    backend: str = ""


class Reason(Content, frozen=True):
    """Why (`sandbox.removed`, `terminating`)."""

    reason: str


class OutOfMemory(Content, frozen=True):
    """The kernel killed `killed` processes because all together had reached their limit of memory. `peak_bytes`: the most they used."""

    limit_bytes: int
    peak_bytes: int | None = None
    killed: int = 1


class Terminated(Content, frozen=True):
    """The process is gone. `out_of_memory`: it, or a process it had started, was killed for memory."""

    reason: str
    exit_code: int | None = None
    signal: str | None = None
    out_of_memory: OutOfMemory | None = None


class UsageUpdate(Content, frozen=True):
    """What a model call cost. Tokens are counts; cost is millionths of a dollar."""

    model: str
    provider: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_dollars: int


class UsageContext(Content, frozen=True):
    """How full the model's context window is."""

    total_tokens: int
    max_tokens: int
    percent_used: float


class PlanEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a plan."""

    content: str
    status: Literal["pending", "in_progress", "completed"]
    priority: Literal["high", "medium", "low"] | None = None


class PlanUpdated(Content, frozen=True):
    """The whole plan as it now stands."""

    entries: list[PlanEntry]


class FileChanged(Content, frozen=True):
    """A path of the workspace changed. With `omitted`: so many more changes, up to `iteration`, are not told one by one;
    `path` is empty then, the whole workspace."""

    path: str
    kind: Literal["created", "modified", "deleted", "renamed"]
    iteration: int
    size: int | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    omitted: int | None = None


class AgentForked(Content, frozen=True):
    """The agent begins here, as `agent_id` was at its event `seq` (everything before this event is its past)."""

    agent_id: str
    seq: int
    state_version: int
    iteration: int
    turn_id: str | None = None


class AgentRewound(Content, frozen=True):
    """The agent was taken back to event `seq`: conversation, state and files go on from there. `state_version` is the number
    that state has now, `iteration` the one whose files are back. What lies between is kept, and no longer counts."""

    seq: int
    state_version: int
    iteration: int
    turn_id: str | None = None


class BudgetUpdated(Content, frozen=True):
    """What the agent may spend (0: no limit) and has spent, in micro-dollars; `paused`: no turn goes on until there is more."""

    budget_micro_dollars: int
    spent_micro_dollars: int
    paused: bool


class EventLost(Content, frozen=True):
    """This number was, or may have been, shown before the agent's host was lost; what it told is gone."""


class Checkpoint(Content, frozen=True):
    """Last event of a turn: the triple that names this moment of the agent."""

    turn_id: str
    seq: int
    state_version: int
    iteration: int


class StateStatus(Content, frozen=True):
    """The instance went from one state to another."""

    status: InstanceStatus
    previous: InstanceStatus


CONTENT_TYPES: Final[dict[str, type[msgspec.Struct] | None]] = {
    "stream_start": StreamStart,
    "stream_update": Text,
    "stream_end": StreamEnd,
    "error": ErrorContent,
    "thinking.start": Empty,
    "thinking.progress": Text,
    "thinking.complete": Empty,
    "tool.call_start": ToolCallStart,
    "tool.call_delta": ToolCallDelta,
    "tool.call": ToolCall,
    "tool.result": ToolResult,
    "tool.error": ToolError,
    "tool.question_requested": QuestionRequested,
    "tool.permission_requested": PermissionRequested,
    "tool.approval_resolved": ApprovalResolved,
    "terminal.stream": TerminalStream,
    "terminal.complete": TerminalComplete,
    "sandbox.provisioning": SandboxProvisioning,
    "sandbox.init": SandboxInit,
    "sandbox.removed": Reason,
    "terminating": Reason,
    "terminated": Terminated,
    "usage.update": UsageUpdate,
    "usage.context": UsageContext,
    "plan.updated": PlanUpdated,
    "file.changed": FileChanged,
    "checkpoint": Checkpoint,
    "agent.forked": AgentForked,
    "agent.rewound": AgentRewound,
    "event.lost": EventLost,
    "budget.updated": BudgetUpdated,
    "message.user": None,
    "state.status": StateStatus,
}
"""Canonical event → type of its content. `message.user` is open: `{message_id, text, …metadata}`."""

ALIASES: Final[dict[str, str]] = {
    "created": "stream_start",
    "update": "stream_update",
    "complete": "stream_end",
    "stream_complete": "stream_end",
    "thinking_update": "thinking.progress",
    "usage": "usage.update",
    "context": "usage.context",
}
"""Names a reader must accept beside the canonical ones."""

AGENT_EVENTS: Final = frozenset(
    {name for name in CONTENT_TYPES if name.split(".")[0] in {"thinking", "tool", "terminal", "usage", "plan"}}
    | {"stream_start", "stream_update", "stream_end", "error"}
) - {"tool.approval_resolved"}
"""Events an agent may emit; the others are the platform's own word and are refused from an agent."""

LOCAL_FRAMES: Final = frozenset({"connected", "pong", "ack", "nack"})
"""Frames without a number."""


def canonical(name: str) -> str:
    """The canonical name behind `name`; a name that is no alias is returned as it is."""
    return ALIASES.get(name, name)
