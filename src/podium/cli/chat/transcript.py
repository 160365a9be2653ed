"""From events to what a person reads: a state machine without I/O and without a clock (events carry their time).

`feed` gives the pieces an event adds at the end of the screen. `status` is the one line below them that comes and goes
while the agent is busy and says nothing.
"""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from podium.cli.chat.pieces import Look, Piece, clean, count, seconds, shortened
from podium.client.event import PodiumEvent

SUMMARY_WIDTH: Final = 96
"""Most characters of a tool's arguments or result that are shown in its line."""

RESULT_LINES: Final = 4
"""Most lines of a tool's result that are shown."""

_MARKS: Final = {"completed": "☑", "in_progress": "◐", "pending": "☐"}


class Activity(NamedTuple):
    """What the agent is busy with since `since` (epoch ms)."""

    what: str
    since: int


class Usage(NamedTuple):
    """Sums of a turn."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_dollars: int = 0
    context: str = ""


class Transcript:
    """Renders one conversation. `show_thinking` prints thoughts instead of folding them into one line."""

    def __init__(self, *, show_thinking: bool = False, echo_user: bool = True) -> None:
        self._show_thinking = show_thinking
        self._echo_user = echo_user
        self._at_start = True
        self._streamed = ""
        self._thinking_since: int | None = None
        self._activity: Activity | None = None
        self._terminals: set[str] = set()
        self._turn_began: int | None = None
        self._usage = Usage()
        self._plan: list[str] = []
        self._own: list[str] = []
        self._handlers: dict[str, Callable[[PodiumEvent, dict[str, Any]], list[Piece]]] = {
            "message.user": self._user,
            "stream_start": self._start,
            "stream_update": self._text,
            "stream_end": self._end,
            "error": self._error,
            "thinking.start": self._think,
            "thinking.progress": self._thought,
            "thinking.complete": self._thought_over,
            "tool.call_start": self._tool_coming,
            "tool.call": self._tool,
            "tool.result": self._result,
            "tool.error": self._tool_error,
            "tool.approval_resolved": self._resolved,
            "terminal.stream": self._terminal,
            "terminal.complete": self._terminal_over,
            "usage.update": self._used,
            "usage.context": self._context,
            "plan.updated": self._planned,
            "file.changed": self._file,
            "checkpoint": self._checkpoint,
            "state.status": self._status,
            "terminated": self._terminated,
            "agent.rewound": self._rewound,
        }

    def expect_own(self, text: str) -> None:
        """The person has just typed `text` and sees it already: its event is not shown again."""
        self._own.append(text)

    def line_ended(self) -> None:
        """Something else was shown in between, and what comes next begins a line."""
        self._at_start = True

    def feed(self, event: PodiumEvent) -> list[Piece]:
        """What `event` adds to the screen."""
        handler = self._handlers.get(event.kind)
        if handler is not None:
            pieces = handler(event, event.content or {})
        else:
            pieces = self._text(event, event.content or {}) if event.kind not in _QUIET else []
        for piece in pieces:
            if piece.text:
                self._at_start = piece.text.endswith("\n")
        return pieces

    def status(self, now_ms: int) -> str | None:
        """The line to show while nothing else is said, None for none."""
        if self._activity is None:
            return None
        return f"{self._activity.what} {seconds(max(0, now_ms - self._activity.since))}"

    # ── turns and text ───────────────────────────────────────────────────────────────────────────────────────

    def _user(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        text = _string(content, "text")
        self._turn_began, self._usage = event.ts, Usage()
        self._activity = Activity("waiting", event.ts)
        if text in self._own:
            self._own.remove(text)
            return []
        if not self._echo_user:
            return []
        return [*self._fresh(), Piece(f"› {clean(text)}\n", Look.USER)]

    def _start(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._streamed = ""
        self._activity = Activity("working", event.ts)
        attempt = content.get("attempt", 1)
        if not isinstance(attempt, int) or attempt < 2:
            return []
        return self._line(f"↻ the agent was restarted; attempt {attempt}", Look.FAINT)

    def _text(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        text = _string(content, "text")
        if not text:
            return []
        folded = self._fold(event.ts)
        self._streamed += text
        self._activity = None
        return [*folded, Piece(clean(text))]

    def _end(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        whole, streamed = _string(content, "text"), self._streamed
        rest = whole[len(streamed) :] if whole.startswith(streamed) else ""
        self._streamed = ""
        self._activity = Activity("working", event.ts)
        pieces = [*self._fold(event.ts), *([Piece(clean(rest))] if rest else [])]
        if whole:
            pieces += self._fresh(after=pieces)
        reason = _string(content, "stop_reason")
        if reason not in ("", "end_turn"):
            pieces.append(Piece(f"⏹ {_REASONS.get(reason, reason)}\n", Look.FAINT))
        return pieces

    def _error(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = None
        hint = " (trying again may help)" if content.get("retryable") else ""
        text = f"✗ {_string(content, 'code')}: {clean(_string(content, 'message'))}{hint}"
        return [*self._fold(event.ts), *self._line(text, Look.BAD)]

    def _checkpoint(self, event: PodiumEvent, _content: dict[str, Any]) -> list[Piece]:
        self._activity = None
        parts = self._usage_parts()
        if self._turn_began is not None:
            parts.append(seconds(max(0, event.ts - self._turn_began)))
        self._turn_began = None
        return [*self._fold(event.ts), *(self._line(" · ".join(parts), Look.FAINT) if parts else self._fresh())]

    # ── thinking ─────────────────────────────────────────────────────────────────────────────────────────────

    def _think(self, event: PodiumEvent, _content: dict[str, Any]) -> list[Piece]:
        self._thinking_since = event.ts
        self._activity = Activity("✻ thinking", event.ts)
        return self._fresh() if self._show_thinking else []

    def _thought(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        begun = [] if self._thinking_since is not None else self._think(event, content)
        if not self._show_thinking:
            return begun
        return [*begun, Piece(clean(_string(content, "text")), Look.FAINT)]

    def _thought_over(self, event: PodiumEvent, _content: dict[str, Any]) -> list[Piece]:
        return self._fold(event.ts)

    def _fold(self, now: int) -> list[Piece]:
        """Ends a thought: one faint line instead of it."""
        if self._thinking_since is None:
            return []
        since, self._thinking_since = self._thinking_since, None
        self._activity = Activity("working", now)
        return self._line(f"✻ thought for {seconds(max(0, now - since))}", Look.FAINT)

    # ── tools ────────────────────────────────────────────────────────────────────────────────────────────────

    def _tool_coming(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = Activity(f"● {shortened(_tool_name(content), 40)}", event.ts)
        return self._fold_and_keep(event)

    def _tool(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        name = shortened(_tool_name(content), 40)
        folded = self._fold(event.ts)
        self._activity = Activity(f"● {name}", event.ts)
        arguments = summary(content.get("arguments"))
        return [
            *folded,
            *self._fresh(after=folded),
            Piece(f"● {name}", Look.TOOL),
            Piece(f"({arguments})\n" if arguments else "\n", Look.FAINT),
        ]

    def _result(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = Activity("working", event.ts)
        return [*self._fresh(), *_indented(_lines(content.get("result")), Look.FAINT)]

    def _tool_error(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = Activity("working", event.ts)
        return [*self._fresh(), *_indented(_lines(f"failed: {_string(content, 'message')}"), Look.BAD)]

    def _resolved(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = Activity("working", event.ts)
        outcome = _string(content, "outcome")
        chosen = _string(content, "option_id") or summary(content.get("answers"))
        by = "" if _string(content, "by") in ("", "client") else f" by {_string(content, 'by')}"
        return self._line(f"  ⎿ {outcome}{f': {chosen}' if chosen else ''}{by}", Look.FAINT)

    def _fold_and_keep(self, event: PodiumEvent) -> list[Piece]:
        activity = self._activity
        pieces = self._fold(event.ts)
        self._activity = activity
        return pieces

    # ── terminal, plan, files, usage ─────────────────────────────────────────────────────────────────────────

    def _terminal(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        terminal, pieces = _string(content, "terminal_id"), self._fold(event.ts)
        if terminal not in self._terminals:
            self._terminals.add(terminal)
            pieces = [*pieces, *self._fresh(after=pieces)]
            command = shortened(_string(content, "command"), SUMMARY_WIDTH) or "command"
            pieces.append(Piece(f"  $ {command}\n", Look.TOOL))
        self._activity = Activity("running", event.ts)
        look = Look.BAD if content.get("stream") == "stderr" else Look.FAINT
        at_start = pieces[-1].text.endswith("\n") if pieces else self._at_start
        return [*pieces, *_boxed(clean(_string(content, "data")), look, at_start=at_start)]

    def _terminal_over(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._terminals.discard(_string(content, "terminal_id"))
        self._activity = Activity("working", event.ts)
        code, ended = content.get("exit_code"), content.get("signal")
        text = f"  ╰ {ended}" if ended else f"  ╰ exit {code}"
        return self._line(text, Look.GOOD if code == 0 else Look.BAD)

    def _planned(self, event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        entries = [entry for entry in _list(content, "entries") if isinstance(entry, dict)]
        lines = [
            f"{_MARKS.get(str(entry.get('status')), '☐')} {shortened(str(entry.get('content', '')), SUMMARY_WIDTH)}"
            for entry in entries
        ]
        changed = [line for line in lines if line not in self._plan] if len(lines) == len(self._plan) else lines
        self._plan = lines
        pieces = self._fold_and_keep(event)
        return [*pieces, *self._fresh(after=pieces), *(Piece(f"  {line}\n", Look.HEAD) for line in changed)]

    def _file(self, _event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        if omitted := _number(content, "omitted"):
            return self._line(f"  ✎ and {omitted} more changes", Look.FAINT)
        return self._line(f"  ✎ {_string(content, 'kind')} {shortened(_string(content, 'path'), 80)}", Look.FAINT)

    def _used(self, _event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        used = self._usage
        self._usage = used._replace(
            input_tokens=used.input_tokens + _number(content, "input_tokens"),
            output_tokens=used.output_tokens + _number(content, "output_tokens"),
            cost_micro_dollars=used.cost_micro_dollars + _number(content, "cost_micro_dollars"),
        )
        return []

    def _context(self, _event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._usage = self._usage._replace(context=f"context {_number(content, 'percent_used')} %")
        return []

    def _usage_parts(self) -> list[str]:
        used = self._usage
        parts = []
        if used.input_tokens or used.output_tokens:
            parts.append(f"{count(used.input_tokens)} in, {count(used.output_tokens)} out")
        if used.cost_micro_dollars:
            parts.append(f"${used.cost_micro_dollars / 1_000_000:.4f}")
        return [*parts, *([used.context] if used.context else [])]

    # ── the instance ─────────────────────────────────────────────────────────────────────────────────────────

    def _status(self, _event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        if content.get("status") != "failed":
            return []
        self._activity = None
        return self._line("✗ the instance has failed; `podium logs` tells why", Look.BAD)

    def _terminated(self, _event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = None
        reason = _string(content, "reason")
        if reason in ("idle", "restart"):
            # It sleeps, and wakes by itself, or was taken back: nothing a person must know of its process.
            return []
        if reason == "crashed":
            how = _string(content, "signal") or f"exit code {content.get('exit_code')}"
            how += ", out of memory" if content.get("out_of_memory") else ""
            return self._line(f"✗ the agent's process crashed ({how})", Look.BAD)
        return self._line(f"■ ended: {reason}", Look.FAINT)

    def _rewound(self, _event: PodiumEvent, content: dict[str, Any]) -> list[Piece]:
        self._activity = None
        return self._line(f"↶ taken back to event {_number(content, 'seq')}: what came after it is undone", Look.HEAD)

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────────

    def _fresh(self, after: list[Piece] | None = None) -> list[Piece]:
        """A newline, unless we are at the start of a line (after `after`, if it says anything)."""
        said = [piece for piece in after or [] if piece.text]
        at_start = said[-1].text.endswith("\n") if said else self._at_start
        return [] if at_start else [Piece("\n")]

    def _line(self, text: str, look: Look) -> list[Piece]:
        return [*self._fresh(), Piece(text + "\n", look)]


def summary(value: Any) -> str:
    """A tool's arguments or an answer in one short line."""
    if value in (None, {}, [], ""):
        return ""
    if isinstance(value, dict):
        return shortened(", ".join(f"{name}: {_plain(item)}" for name, item in value.items()), SUMMARY_WIDTH)
    return shortened(_plain(value), SUMMARY_WIDTH)


_REASONS: Final = {
    "cancelled": "cancelled",
    "max_tokens": "cut off at its limit",
    "refusal": "refused",
    "error": "failed",
}
_QUIET: Final = frozenset(
    {
        "tool.call_delta",
        "tool.question_requested",
        "tool.permission_requested",
        "sandbox.provisioning",
        "sandbox.init",
        "sandbox.removed",
        "terminating",
        "ack",
        "nack",
        "pong",
        "connected",
    }
)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict) and all(not isinstance(item, (dict, list)) for item in value.values()):
        text = summary(value)
    else:
        text = "" if value is None else json.dumps(value, ensure_ascii=False)
    lines = [line for line in clean(text).splitlines() if line.strip()] or ["done"]
    shown = [line if len(line) <= SUMMARY_WIDTH else line[: SUMMARY_WIDTH - 1] + "…" for line in lines[:RESULT_LINES]]
    return [*shown, *([f"… {len(lines) - RESULT_LINES} more lines"] if len(lines) > RESULT_LINES else [])]


def _indented(lines: list[str], look: Look) -> list[Piece]:
    first, *rest = lines
    return [Piece(f"  ⎿ {first}\n", look), *(Piece(f"    {line}\n", look) for line in rest)]


def _boxed(data: str, look: Look, *, at_start: bool) -> list[Piece]:
    """Output behind a bar; `data` may begin and end in the middle of a line."""
    if not data:
        return []
    body = data[:-1].replace("\n", "\n  │ ") + data[-1]
    return [Piece(("  │ " if at_start else "") + body, look)]


def _tool_name(content: dict[str, Any]) -> str:
    return _string(content, "title") or _string(content, "tool_name") or "tool"


def _string(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def _number(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    return round(value) if isinstance(value, (int, float)) else 0


def _list(content: dict[str, Any], name: str) -> list[Any]:
    value = content.get(name)
    return value if isinstance(value, list) else []
