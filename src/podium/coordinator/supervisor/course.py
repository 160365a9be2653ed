"""How the turns of one instance go: a span and some measures for each, from its acceptance to its end, and for each start.

A span of a turn is below whatever accepted its message, and what the agent does in the turn is below it: the agent is told of it with
its message. What accepted a message is kept with the message, so that a turn another process or host goes on with stays in its trace.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podium.base import telemetry
from podium.base.logs import instance_id as current_instance_id
from podium.base.metrics import Metrics
from podium.base.telemetry import Span
from podium.coordinator.adapters.store import InboxRow, TurnOutcome
from podium.wire import events
from podium.wire.events import StopReason
from podium.wire.link import Origin

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

CHILDREN_MAX: Final = 200
"""Tool calls of a turn that get a span: an agent decides how many it makes."""

NAME_MAX_CHARS: Final = 100
"""A longer name of a tool or model is cut: an agent chooses them."""

MICRO: Final = 1_000_000

_BEGINNINGS: Final = frozenset({"stream_start", "usage.update", "usage.context"})
"""Events that a reader sees nothing of."""


class Accepted(Origin, frozen=True, omit_defaults=True):
    """Where a message came from, as the inbox keeps it. `traceparent`: the trace context it was accepted under."""

    traceparent: str = ""


_ACCEPTED = msgspec.json.Decoder(Accepted)


class _Turn:
    """What is seen of one turn. Times are monotonic seconds; `accepted_at` None: by a process before this one."""

    __slots__ = (
        "accepted_at",
        "children",
        "commit_seconds",
        "commits",
        "delivered_at",
        "said",
        "span",
        "tools",
        "usage",
    )

    def __init__(self, span: Span, accepted_at: float | None) -> None:
        self.span = span
        self.accepted_at = accepted_at
        self.delivered_at = 0.0
        self.said = False
        self.commits = 0
        self.commit_seconds = 0.0
        self.tools: dict[str, Span] = {}
        self.children = 0
        self.usage: dict[str, int] = {}


class Course:
    """Sees the turns and starts of one instance go by."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._turns: dict[str, _Turn] = {}
        self._running: _Turn | None = None
        self._notes: dict[str, Callable[[_Turn, Any], None]] = {
            "usage.update": self._used,
            "tool.call_start": self._tool_began,
            "tool.call": self._tool_began,
            "tool.result": self._tool_ended,
            "tool.error": self._tool_ended,
            "tool.permission_requested": _asked,
            "tool.question_requested": _asked,
        }

    # ── turns ───────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def accepting(self, turn_id: str) -> Iterator[None]:
        """Around the step that accepts the message of a turn; if it fails there is no such turn."""
        self._begin(turn_id, telemetry.current.get(), self._now())
        try:
            yield
        except BaseException:
            self._drop(turn_id, "not accepted")
            raise

    def delivered(self, row: InboxRow, attempt: int) -> str:
        """The message goes to the agent's process: the trace context for it, empty when it has none."""
        turn = self._turns.get(row.turn_id)
        if turn is None:
            turn = self._begin(row.turn_id, _ACCEPTED.decode(row.origin).traceparent, None)
        self._running = turn
        turn.delivered_at, turn.said = self._now(), False
        turn.span.event("delivered", {"podium.attempt": attempt})
        if turn.accepted_at is not None and attempt == 1:
            self._metrics.observe("turn_queue_seconds", turn.delivered_at - turn.accepted_at)
        return turn.span.traceparent

    def heard(self, name: str, content: Any) -> None:
        """An event of the running turn."""
        turn = self._running
        if turn is None:
            return
        if not turn.said and name not in _BEGINNINGS:
            turn.said = True
            turn.span.event("first output")
            self._metrics.observe("turn_first_output_seconds", self._now() - turn.delivered_at)
        note = self._notes.get(name)
        if note is not None:
            note(turn, content)

    def committed(self, seconds: float) -> None:
        """A transaction of the instance took so long."""
        self._metrics.observe("commit_seconds", seconds)
        turn = self._running
        if turn is not None:
            turn.commits += 1
            turn.commit_seconds += seconds

    def process_lost(self) -> None:
        """The process is gone under the running turn."""
        if self._running is not None:
            self._running.span.event("process lost")

    def ended(self, turn_id: str, outcome: TurnOutcome, stop_reason: StopReason) -> None:
        """A turn is over."""
        self._metrics.add("turns_total")
        turn = self._turns.get(turn_id)
        if turn is None:
            return
        if turn.accepted_at is not None:
            self._metrics.observe("turn_seconds", self._now() - turn.accepted_at, outcome=outcome)
        if turn.span.recorded:
            turn.span.set(
                {
                    "podium.turn.outcome": outcome,
                    "podium.turn.stop_reason": stop_reason,
                    "podium.turn.commits": turn.commits,
                    "podium.turn.commit_ms": round(turn.commit_seconds * 1000, 3),
                    **turn.usage,
                }
            )
        self._drop(turn_id, "" if outcome != "failed" else stop_reason)

    def over(self, reason: str) -> None:
        """The instance is over, or goes on elsewhere: of its turns nothing more is seen here."""
        for turn_id in list(self._turns):
            self._drop(turn_id, reason)

    def _begin(self, turn_id: str, parent: str, accepted_at: float | None) -> _Turn:
        facts = self._instance.facts
        span = telemetry.begin(
            f"invoke_agent {facts.deployment.agent_type}",
            parent=parent,
            kind="consumer",
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.id": facts.agent_id,
                "gen_ai.agent.name": facts.deployment.agent_type,
                "gen_ai.conversation.id": facts.agent_id,
                "podium.turn_id": turn_id,
                "podium.tenant_id": facts.tenant_id,
                **self._facts(),
            },
        )
        turn = self._turns[turn_id] = _Turn(span, accepted_at)
        return turn

    def _drop(self, turn_id: str, failure: str) -> None:
        turn = self._turns.pop(turn_id)
        if turn is self._running:
            self._running = None
        for tool in turn.tools.values():
            tool.end()
        if failure:
            turn.span.fail(failure)
        turn.span.end()

    # ── what agents tell ────────────────────────────────────────────────────────────────────────────────────

    def _used(self, turn: _Turn, told: events.UsageUpdate) -> None:
        counts = {"input": told.input_tokens, "output": told.output_tokens, "cached": told.cached_tokens}
        for kind, count in counts.items():
            self._metrics.add("tokens_total", max(count, 0), kind=kind)
        self._metrics.add("model_cost_dollars_total", max(told.cost_micro_dollars, 0) / MICRO)
        if not turn.span.recorded:
            return
        attributes = {
            "gen_ai.usage.input_tokens": told.input_tokens,
            "gen_ai.usage.output_tokens": told.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": told.cached_tokens,
            "podium.usage.cost_micro_dollars": told.cost_micro_dollars,
        }
        model = {"gen_ai.request.model": told.model[:NAME_MAX_CHARS]}
        if told.provider:
            model["gen_ai.provider.name"] = told.provider[:NAME_MAX_CHARS]
        turn.span.event("gen_ai.usage", {**model, **attributes})
        turn.span.set(model)
        for name, count in attributes.items():
            turn.usage[name] = turn.usage.get(name, 0) + count

    def _tool_began(self, turn: _Turn, told: events.ToolCallStart | events.ToolCall) -> None:
        if not turn.span.recorded or told.tool_call_id in turn.tools or turn.children >= CHILDREN_MAX:
            return
        turn.children += 1
        name = told.tool_name[:NAME_MAX_CHARS]
        turn.tools[told.tool_call_id] = telemetry.begin(
            f"execute_tool {name}",
            parent=turn.span.traceparent,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.call.id": told.tool_call_id[:NAME_MAX_CHARS],
            },
        )

    def _tool_ended(self, turn: _Turn, told: events.ToolResult | events.ToolError) -> None:
        span = turn.tools.pop(told.tool_call_id, None)
        if span is None:
            return
        if isinstance(told, events.ToolError):
            span.fail("the tool failed")  # what it says may be anything, and stays in the journal
        span.end()

    # ── starts ──────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Around the start of a process, to its ready. The start belongs to the turn that waits for it, else to who asked for it."""
        current_instance_id.set(self._instance.facts.instance_id)
        waiting = next(iter(self._turns.values()), None)
        began = self._now()
        try:
            with telemetry.span(
                "agent.start", parent=waiting.span.traceparent if waiting else None, attributes=self._facts()
            ):
                yield
        except Exception:
            self._metrics.add("start_failures_total")
            raise
        finally:
            telemetry.current.set("")  # the next start of this task is nobody's request
        self._metrics.observe("start_seconds", self._now() - began)

    @contextmanager
    def opening_workspace(self) -> Iterator[None]:
        """Around the opening of the workspace."""
        began = self._now()
        with telemetry.span(
            "workspace.open", attributes={"podium.workspace": self._instance.around.workspaces.backend}
        ):
            yield
        self._metrics.observe("mount_seconds", self._now() - began)

    # ── parts ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _metrics(self) -> Metrics:
        return self._instance.around.metrics

    def _now(self) -> float:
        return self._instance.around.clock.monotonic()

    def _facts(self) -> dict[str, str]:
        facts = self._instance.facts
        return {
            "podium.instance_id": facts.instance_id,
            "podium.agent_id": facts.agent_id,
            "podium.deployment_id": facts.deployment.deployment_id,
        }


def _asked(turn: _Turn, _told: Any) -> None:
    turn.span.event("asked a person")
