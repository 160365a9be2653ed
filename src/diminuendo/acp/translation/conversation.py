"""An agent's journal, event by event, in the words of ACP.

Events that have a client event are read by Diminuendo's mapper, which forgives whatever an agent sends; what ACP wants to know
beyond it (title, kind, places, plan, the end of a turn) is read from the event itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from diminuendo.acp.rpc.messages import INTERNAL_ERROR, RpcError
from diminuendo.acp.translation import asking, updates
from diminuendo.acp.translation.asking import Asking
from diminuendo.acp.translation.params import ClientCapabilities
from diminuendo.acp.translation.paths import Paths
from diminuendo.acp.translation.prompts import blocks_of
from diminuendo.acp.translation.terminals import Terminals
from diminuendo.acp.translation.toolcalls import ToolCalls
from diminuendo.acp.translation.updates import Update
from diminuendo.domain import events
from diminuendo.domain.mapper import PodiumEventLike, map_podium_event
from diminuendo.domain.rewinds import Rewind, hidden
from podium.wire.events import PlanEntry, canonical


class JournalEvent(PodiumEventLike, Protocol):
    """What is read of an event; `podium.client.PodiumEvent` is one."""

    @property
    def seq(self) -> int:
        """Its number in the agent's journal."""
        ...


class Show(NamedTuple):
    """The client is told this."""

    update: Update


class Ask(NamedTuple):
    """A person is to be asked."""

    asked: Asking
    turn_id: str


class Resolved(NamedTuple):
    """What was asked is answered, by whomever, or not wanted any more. `said`: questions and answers as one who comes later is
    shown them."""

    request_id: str
    said: list[Update]


class Chosen(NamedTuple):
    """Options have these values now."""

    settings: dict[str, Any]


class Over(NamedTuple):
    """A turn is over: `stop_reason` is ACP's, or `failure` says what went wrong."""

    turn_id: str
    stop_reason: str
    failure: RpcError | None


Step = Show | Ask | Resolved | Chosen | Over

_STOP_REASONS: Final = frozenset({"end_turn", "max_tokens", "refusal", "cancelled"})
"""Podium's reasons that are ACP's word for word; the fifth is `error`."""


class Conversation:
    """The state of one conversation that the next event is read in. `own` says which turns this client began: it knows what
    the person said there."""

    def __init__(self, cwd: str, client: ClientCapabilities, own: Callable[[str], bool]) -> None:
        self._paths = Paths(cwd)
        self._client = client
        self._own = own
        self._calls = ToolCalls()
        self._terminals = Terminals(self._calls, shown_live=client.terminals)
        self._attempt = 1
        self._reason = "end_turn"
        self._failure: RpcError | None = None
        self._message_id = ""
        self._thought_id = ""
        self._streamed = False
        self._cost = 0
        self._questions: dict[str, events.QuestionRequested] = {}

    def take(self, event: JournalEvent) -> list[Step]:
        """What follows from the next event. Never raises for what an agent may have put into it."""
        content = event.content or {}
        handler = _BY_NAME.get(canonical(event.message_type))
        if handler is not None:
            return handler(self, event, content)
        steps: list[Step] = []
        for mapped in map_podium_event("", event.turn_id, event):
            by_type = _BY_TYPE.get(type(mapped))
            if by_type is not None:
                steps += by_type(self, mapped, content, event)
        return steps

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────

    def _user(self, event: JournalEvent, content: dict[str, Any]) -> list[Step]:
        steps: list[Step] = []
        if isinstance(content.get("settings"), dict):
            steps.append(Chosen(content["settings"]))
        if content.get("steer") is True or not self._own(event.turn_id or ""):
            message_id = f"user-{event.seq}"
            steps += [
                Show(updates.block_chunk("user_message_chunk", block, message_id)) for block in blocks_of(content)
            ]
        return steps

    def _begun(self, _: events.TurnStarted, content: dict[str, Any], event: JournalEvent) -> list[Step]:
        attempt = content.get("attempt")
        again = type(attempt) is int and attempt > self._attempt
        self._attempt = attempt if type(attempt) is int else 1
        self._message_id, self._streamed = f"agent-{event.seq}", False
        self._reason, self._failure = "end_turn", None
        return self._cut("the agent was started again") if again else []

    def _text(self, mapped: events.TextDelta, _: dict[str, Any], event: JournalEvent) -> list[Step]:
        if not mapped.text:
            return []
        self._streamed = True
        return [Show(updates.chunk("agent_message_chunk", mapped.text, self._message_id or f"agent-{event.turn_id}"))]

    def _complete(self, mapped: events.TurnComplete, _: dict[str, Any], event: JournalEvent) -> list[Step]:
        self._reason = mapped.stop_reason
        if self._streamed or not mapped.final_text:
            return []
        return [Show(updates.chunk("agent_message_chunk", mapped.final_text, self._message_id or f"agent-{event.seq}"))]

    def _failed(self, mapped: events.TurnError, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        facts = {"code": mapped.code, "retryable": content.get("retryable") is True}
        self._failure = RpcError(INTERNAL_ERROR, mapped.message, facts)
        return []

    def _over(self, event: JournalEvent, content: dict[str, Any]) -> list[Step]:
        turn_id = content.get("turn_id") or event.turn_id
        if not isinstance(turn_id, str):
            return []
        reason, failure = self._reason, self._failure
        self._reason, self._failure, self._message_id, self._attempt = "end_turn", None, "", 1
        steps = self._cut("the turn ended before")
        if failure is None and reason not in _STOP_REASONS:
            failure = RpcError(INTERNAL_ERROR, "the agent failed")
        return [*steps, Over(turn_id, reason, failure)]

    def _thinking(self, _: events.ThinkingStart, __: dict[str, Any], event: JournalEvent) -> list[Step]:
        self._thought_id = f"thought-{event.seq}"
        return []

    def _thought(self, mapped: events.ThinkingProgress, _: dict[str, Any], event: JournalEvent) -> list[Step]:
        return [Show(updates.chunk("agent_thought_chunk", mapped.text, self._thought_id or f"thought-{event.turn_id}"))]

    # ── tools and commands ───────────────────────────────────────────────────────────────────────────────────

    def _call_start(self, mapped: events.ToolCallStart, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        return _shown(self._calls.begin(mapped.tool_call_id, mapped.tool_name, content))

    def _call(self, mapped: events.ToolCall, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        begun = self._calls.begin(mapped.tool_call_id, mapped.tool_name, content)
        return _shown([*begun, self._calls.arguments(mapped, content.get("locations"), self._paths)])

    def _result(self, mapped: events.ToolResult, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        begun = self._calls.begin(mapped.tool_call_id, str(content.get("tool_name") or ""), content)
        chosen = self._calls.switched(mapped.tool_call_id)
        steps = _shown([*begun, self._calls.end(mapped.tool_call_id, mapped.output, self._paths)])
        return [*steps, Chosen(chosen)] if chosen else steps

    def _tool_error(self, mapped: events.ToolError, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        begun = self._calls.begin(mapped.tool_call_id, str(content.get("tool_name") or ""), content)
        return _shown([*begun, self._calls.fail(mapped.tool_call_id, mapped.message)])

    def _output(self, mapped: events.TerminalStream, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        return _shown(self._terminals.output(mapped, content.get("command"), self._paths))

    def _exit(self, mapped: events.TerminalComplete, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        return _shown(self._terminals.exit(mapped, content.get("signal")))

    def _cut(self, reason: str) -> list[Step]:
        """What a turn left open ends with it."""
        self._terminals.forget()
        return _shown(self._calls.fail_all(reason))

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────

    def _permission(self, mapped: events.PermissionRequested, _: dict[str, Any], event: JournalEvent) -> list[Step]:
        told = self._calls.for_permission(mapped, self._paths)
        return [Ask(asking.Permission(mapped, told), event.turn_id or "")]

    def _question(self, mapped: events.QuestionRequested, _: dict[str, Any], event: JournalEvent) -> list[Step]:
        if not mapped.questions:
            return []
        self._questions[mapped.request_id] = mapped
        return [Ask(asking.asking(mapped, forms=self._client.forms), event.turn_id or "")]

    def _resolved(self, mapped: events.ApprovalResolved, content: dict[str, Any], _: JournalEvent) -> list[Step]:
        asked = self._questions.pop(mapped.request_id, None)
        answers = content.get("answers")
        said = asking.transcript(asked, answers) if asked is not None and isinstance(answers, dict) else []
        return [Resolved(mapped.request_id, said)]

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────

    def _plan(self, _: JournalEvent, content: dict[str, Any]) -> list[Step]:
        try:
            entries = msgspec.convert(content.get("entries"), list[PlanEntry])
        except msgspec.ValidationError:
            return []
        told = [
            {"content": entry.content, "status": entry.status, "priority": entry.priority or "medium"}
            for entry in entries
        ]
        return [Show(updates.plan(told))]

    def _usage(self, mapped: events.UsageUpdate, _: dict[str, Any], __: JournalEvent) -> list[Step]:
        self._cost += mapped.cost_micro_dollars
        return []

    def _context(self, mapped: events.UsageContext, _: dict[str, Any], __: JournalEvent) -> list[Step]:
        return [Show(updates.usage(mapped.total_tokens, mapped.max_tokens, self._cost))]

    def _place(self, _: JournalEvent, content: dict[str, Any]) -> list[Step]:
        workspace = content.get("workspace")
        if isinstance(workspace, str) and workspace:
            self._paths = self._paths._replace(workspace=workspace)
        return []

    def _rewound(self, event: JournalEvent, _: dict[str, Any]) -> list[Step]:
        said = "*The agent was taken back to an earlier moment. Load the session again to see it as it is now.*\n"
        steps = self._cut("the agent was taken back")
        return [*steps, Show(updates.chunk("agent_message_chunk", said, f"agent-{event.seq}"))]


def surviving(journal: Sequence[JournalEvent]) -> list[JournalEvent]:
    """What of a journal still counts: without what the agent was taken back from, and without the words that say so."""
    rewinds = [Rewind(event.seq, target) for event in journal if (target := _target(event)) is not None]
    spans = hidden(rewinds)
    gone = {rewind.seq for rewind in rewinds}
    return [
        event
        for event in journal
        if event.seq not in gone and not any(span.after < event.seq < span.before for span in spans)
    ]


def _target(event: JournalEvent) -> int | None:
    target = (event.content or {}).get("seq") if event.message_type == "agent.rewound" else None
    return target if type(target) is int and 0 <= target < event.seq else None


def _shown(given: Sequence[Update | None]) -> list[Step]:
    return [Show(update) for update in given if update is not None]


_BY_NAME: Final[dict[str, Callable[[Conversation, JournalEvent, dict[str, Any]], list[Step]]]] = {
    "message.user": Conversation._user,
    "plan.updated": Conversation._plan,
    "checkpoint": Conversation._over,
    "sandbox.init": Conversation._place,
    "agent.rewound": Conversation._rewound,
}
"""Events that have no client event, or say more than it does."""

_BY_TYPE: Final[
    dict[type[events.ClientEvent], Callable[[Conversation, Any, dict[str, Any], JournalEvent], list[Step]]]
] = {
    events.TurnStarted: Conversation._begun,
    events.TextDelta: Conversation._text,
    events.TurnComplete: Conversation._complete,
    events.TurnError: Conversation._failed,
    events.ThinkingStart: Conversation._thinking,
    events.ThinkingProgress: Conversation._thought,
    events.ToolCallStart: Conversation._call_start,
    events.ToolCall: Conversation._call,
    events.ToolResult: Conversation._result,
    events.ToolError: Conversation._tool_error,
    events.TerminalStream: Conversation._output,
    events.TerminalComplete: Conversation._exit,
    events.PermissionRequested: Conversation._permission,
    events.QuestionRequested: Conversation._question,
    events.ApprovalResolved: Conversation._resolved,
    events.UsageUpdate: Conversation._usage,
    events.UsageContext: Conversation._context,
}
"""Client events that ACP has words for."""
