"""The event mapper: every row of its contract, written out, and any input at all."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diminuendo.domain import events
from diminuendo.domain.mapper import ROWS, SILENT, TABLE, Said, map_podium_event, said_by_person
from podium.client import PodiumEvent
from podium.wire.events import AGENT_EVENTS, ALIASES

OPTION = {"option_id": "yes", "name": "Allow", "kind": "allow_once"}
ASKED = {"id": "1", "question": "Which?", "options": ["a", "b"], "multiple": False}
USAGE = {
    "model": "m", "provider": "p", "input_tokens": 10, "output_tokens": 20, "cached_tokens": 3, "cost_micro_dollars": 45,
}  # fmt: skip
USED = {
    "model": "m", "provider": "p", "inputTokens": 10, "outputTokens": 20, "cachedTokens": 3, "costMicroDollars": 45,
}  # fmt: skip
CONTEXT = {"total_tokens": 50, "max_tokens": 200, "percent_used": 25.0}
FILLED = {"totalTokens": 50, "maxTokens": 200, "percentUsed": 25.0}
END = {"text": "done", "stop_reason": "max_tokens"}
ENDED = {"finalText": "done", "stopReason": "max_tokens"}
CALL = {"tool_call_id": "c1", "tool_name": "bash"}
CALLED = {"toolCallId": "c1", "toolName": "bash"}

GOLDEN: list[tuple[str, dict[str, Any] | None, str, dict[str, Any]]] = [
    ("created", {"message_id": "msg-1", "attempt": 1}, "turn_started", {}),
    ("stream_start", {"message_id": "msg-1", "attempt": 1}, "turn_started", {}),
    ("update", {"text": "Hi"}, "text_delta", {"text": "Hi"}),
    ("stream_update", {"text": "Hi"}, "text_delta", {"text": "Hi"}),
    ("complete", END, "turn_complete", ENDED),
    ("stream_end", END, "turn_complete", ENDED),
    ("stream_complete", END, "turn_complete", ENDED),
    (
        "error",
        {"code": "model_failed", "message": "no", "retryable": True},
        "turn_error",
        {"code": "model_failed", "message": "no"},
    ),
    ("tool.call_start", CALL, "tool_call_start", CALLED),
    (
        "tool.call_delta",
        {"tool_call_id": "c1", "arguments_delta": '{"a'},
        "tool_call_delta",
        {"toolCallId": "c1", "delta": '{"a'},
    ),
    ("tool.call", {**CALL, "arguments": {"a": [1]}}, "tool_call", {**CALLED, "args": {"a": [1]}}),
    ("tool.result", {**CALL, "result": [1, None]}, "tool_result", {"toolCallId": "c1", "output": [1, None]}),
    ("tool.error", {**CALL, "message": "no"}, "tool_error", {"toolCallId": "c1", "message": "no"}),
    (
        "tool.question_requested",
        {"request_id": "req-1", "questions": [ASKED]},
        "question_requested",
        {"requestId": "req-1", "questions": [ASKED]},
    ),
    (
        "tool.permission_requested",
        {"request_id": "req-1", **CALL, "arguments": {"a": 1}, "options": [OPTION]},
        "permission_requested",
        {
            "requestId": "req-1",
            **CALLED,
            "args": {"a": 1},
            "options": [{"optionId": "yes", "name": "Allow", "kind": "allow_once"}],
        },
    ),
    (
        "tool.approval_resolved",
        {"request_id": "req-1", "outcome": "selected", "by": "client"},
        "approval_resolved",
        {"requestId": "req-1", "outcome": "selected"},
    ),
    ("thinking.start", None, "thinking_start", {}),
    ("thinking.progress", {"text": "hm"}, "thinking_progress", {"text": "hm"}),
    ("thinking_update", {"text": "hm"}, "thinking_progress", {"text": "hm"}),
    ("thinking.complete", None, "thinking_complete", {}),
    (
        "terminal.stream",
        {"terminal_id": "t1", "stream": "stderr", "data": "x\n"},
        "terminal_stream",
        {"terminalId": "t1", "data": "x\n", "stream": "stderr"},
    ),
    ("terminal.complete", {"terminal_id": "t1", "exit_code": 2}, "terminal_complete", {"terminalId": "t1", "exitCode": 2}),
    ("sandbox.provisioning", {"phase": "mount"}, "sandbox_provisioning", {"message": "mount"}),
    ("sandbox.init", {"isolation": "process", "workspace": "/w"}, "sandbox_ready", {}),
    ("sandbox.removed", {"reason": "stopped"}, "sandbox_removed", {"reason": "stopped"}),
    ("terminating", {"reason": "stopped"}, "session_state", {"state": "terminated"}),
    ("terminated", {"reason": "stopped", "exit_code": 0}, "session_state", {"state": "terminated"}),
    ("usage", USAGE, "usage_update", USED),
    ("usage.update", USAGE, "usage_update", USED),
    ("context", CONTEXT, "usage_context", FILLED),
    ("usage.context", CONTEXT, "usage_context", FILLED),
]  # fmt: skip
"""Name, content, type of the client event, its own fields."""


def mapped(name: Any, content: Any = None, turn_id: str | None = "turn-1") -> list[dict[str, Any]]:
    """What a client reads of the event."""
    found = map_podium_event("sess-1", turn_id, PodiumEvent(name, content, ts=5))
    return [msgspec.json.decode(events.encode(event)) for event in found]


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "sessionId": "sess-1", "turnId": "turn-1", "seq": 0, "ts": 5, **fields}


@pytest.mark.proves("DIM-MAPPER")
@pytest.mark.parametrize(("name", "content", "kind", "fields"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_each_name_becomes_its_event_by_message_type(name: str, content: Any, kind: str, fields: Any) -> None:
    assert mapped(name, content) == [event(kind, **fields)]


@pytest.mark.parametrize(("name", "content", "kind", "fields"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_each_name_becomes_its_event_by_event_type(name: str, content: Any, kind: str, fields: Any) -> None:
    given_content = {**(content or {}), "event_type": name}
    assert mapped("agent_event", given_content) == mapped("update", given_content) == [event(kind, **fields)]


def test_thirty_one_names_become_twenty_three_events() -> None:
    assert {row[0] for row in GOLDEN} == set(ROWS)
    assert len(ROWS) == 31
    assert {row[2] for row in GOLDEN} == {kind.__struct_config__.tag for kind in events.EVENT_TYPES}
    assert {row.event for row in TABLE} == set(events.EVENT_TYPES)
    assert len(events.EVENT_TYPES) == 23


def test_every_event_and_alias_an_agent_may_use_is_known_but_the_plan() -> None:
    assert (AGENT_EVENTS | set(ALIASES)) - set(ROWS) == {"plan.updated"}


@pytest.mark.parametrize("name", ["a.new.event", "", "STREAM_UPDATE", None, 7])
def test_an_unknown_event_with_text_is_text(name: Any) -> None:
    assert mapped(name, {"text": "Hi"}) == [event("text_delta", text="Hi")]
    assert mapped(name, "Hi") == [event("text_delta", text="Hi")]


@pytest.mark.parametrize("content", [None, {}, {"text": ""}, {"text": 7}, {"other": "x"}, [], 3])
def test_an_unknown_event_without_text_is_dropped(content: Any) -> None:
    assert mapped("a.new.event", content) == []


@pytest.mark.parametrize("content", [None, {}, {"text": ""}, {"text": None}])
@pytest.mark.parametrize("name", ["thinking.progress", "thinking_update"])
def test_empty_thinking_is_dropped(name: str, content: Any) -> None:
    assert mapped(name, content) == []


def test_an_unknown_event_type_leaves_the_message_type_to_decide() -> None:
    assert mapped("terminated", {"event_type": "other"}) == [event("session_state", state="terminated")]
    assert mapped("terminated", {"event_type": ["terminated"]}) == [event("session_state", state="terminated")]


@pytest.mark.parametrize("name", sorted(SILENT))
def test_what_is_the_platforms_own_is_never_shown_as_the_agents_words(name: str) -> None:
    assert mapped(name, {"text": "mine", "event_type": "update"}) == []


def test_the_persons_own_message_is_among_what_is_not_echoed() -> None:
    assert {"message.user", "state.status", "checkpoint", "ack", "connected"} <= SILENT


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("error", {"error": {"message": "deep"}}, {"code": "agent_error", "message": "deep"}),
        ("error", None, {"code": "agent_error", "message": "the agent failed"}),
        ("complete", {"stop_reason": "bored"}, {"finalText": "", "stopReason": "end_turn"}),
        ("tool.call", {"toolCallId": "c", "name": "n", "input": 1}, {"toolCallId": "c", "toolName": "n", "args": 1}),
        ("tool.result", {"id": 7, "output": 1}, {"toolCallId": "7", "output": 1}),
        ("terminal.complete", {"terminal_id": "t", "exit_code": None}, {"terminalId": "t", "exitCode": None}),
        ("context", {"total_tokens": -1, "max_tokens": 2.9, "percent_used": 1e9},
         {"totalTokens": 0, "maxTokens": 2, "percentUsed": 100.0}),
        ("usage", {"input_tokens": 2**60, "output_tokens": True, "model": 3},
         {"model": "", "provider": "", "inputTokens": 2**53 - 1, "outputTokens": 0, "cachedTokens": 0, "costMicroDollars": 0}),
        ("tool.question_requested", {"id": "r", "question": "Why?"},
         {"requestId": "r", "questions": [{"id": "1", "question": "Why?", "options": None, "multiple": False}]}),
        ("tool.permission_requested", {"id": "r", "options": ["go", {"id": "no", "kind": "odd"}, 4]},
         {"requestId": "r", "toolCallId": None, "toolName": "", "args": None,
          "options": [{"optionId": "go", "name": "go", "kind": None}, {"optionId": "no", "name": "no", "kind": None}]}),
    ],
)  # fmt: skip
def test_other_spellings_are_read_and_what_is_missing_takes_its_default(name: str, content: Any, fields: Any) -> None:
    assert mapped(name, content) == [event(ROWS[name].event.__struct_config__.tag, **fields)]  # type: ignore[arg-type]


def test_an_event_outside_of_a_turn_has_no_turn() -> None:
    assert mapped("terminated", None, turn_id=None)[0]["turnId"] is None


def test_numbering_keeps_the_platforms_time_and_fills_in_a_missing_one() -> None:
    made = map_podium_event("sess-1", None, PodiumEvent("update", {"text": "x"}, ts=5))[0]
    assert (events.stamped(made, 9, 77).seq, events.stamped(made, 9, 77).ts) == (9, 5)
    made = map_podium_event("sess-1", None, PodiumEvent("update", {"text": "x"}))[0]
    assert events.stamped(made, 9, 77).ts == 77


def test_what_a_person_said_is_told_apart_from_what_the_agent_says() -> None:
    message = PodiumEvent("message.user", {"text": "hello", "message_id": "msg-1"}, turn_id="turn-1", ts=5)
    assert said_by_person(message) == Said("hello", "turn-1", 5)
    assert said_by_person(PodiumEvent("stream_update", {"text": "hello"})) is None
    assert said_by_person(PodiumEvent("message.user", {"text": 7})) is None
    assert said_by_person(PodiumEvent("message.user")) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = sorted({key for row in TABLE for field in row.fields for key in field.keys} | {"event_type"})


class Anything:
    """An event of any shape."""

    def __init__(self, message_type: Any, content: Any, ts: Any) -> None:
        self.message_type, self.content, self.ts = message_type, content, ts
        self.turn_id = self.instance_id = None


@pytest.mark.proves("DIM-MAPPER")
@settings(max_examples=150, deadline=None)
@given(
    message_type=st.sampled_from(sorted(ROWS)) | JSON,
    content=st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(sorted(ROWS)), max_size=6) | JSON,
    ts=JSON,
)
def test_no_input_makes_it_raise_and_what_it_gives_fits_its_type(message_type: Any, content: Any, ts: Any) -> None:
    found = map_podium_event("sess-1", None, Anything(message_type, content, ts))
    assert len(found) <= 1
    for made in found:
        written = events.encode(made)
        assert msgspec.json.decode(written, type=type(made)).session_id == "sess-1"


@settings(max_examples=50, deadline=None)
@given(thing=JSON)
def test_no_event_at_all_is_no_event_for_the_client(thing: Any) -> None:
    assert map_podium_event("sess-1", None, thing) == []
