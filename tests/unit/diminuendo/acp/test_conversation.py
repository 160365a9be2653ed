"""An agent's journal in the words of ACP, told as conversations; held to the types of the official library."""

import json
from typing import Any

import pytest
from acp.schema import RequestPermissionRequest, SessionNotification
from hypothesis import given
from hypothesis import strategies as st

from diminuendo.acp.translation import asking, updates
from diminuendo.acp.translation.conversation import Ask, Chosen, Conversation, Over, Resolved, Show, Step, surviving
from diminuendo.acp.translation.params import ClientCapabilities
from podium.client.event import PodiumEvent
from podium.wire.events import AGENT_EVENTS, ALIASES, CONTENT_TYPES
from tests.unit.diminuendo.acp.test_messages import JSON

CWD = "/srv/ada/project"
TURN = "turn-1"


class Journal:
    """Events one after another, and what they become."""

    def __init__(self, own: bool = True, **capabilities: Any) -> None:
        self.conversation = Conversation(CWD, ClientCapabilities(**capabilities), lambda _: own)
        self.seq = 0

    def event(self, name: str, **content: Any) -> PodiumEvent:
        self.seq += 1
        return PodiumEvent(name, content or None, "agt", "inst", TURN, self.seq, 1)

    def take(self, name: str, **content: Any) -> list[Step]:
        steps = self.conversation.take(self.event(name, **content))
        for step in steps:
            if isinstance(step, Show):
                SessionNotification.model_validate({"sessionId": "s", "update": step.update})
        return steps

    def shown(self, name: str, **content: Any) -> list[dict[str, Any]]:
        return [step.update for step in self.take(name, **content) if isinstance(step, Show)]


def test_a_whole_turn() -> None:
    journal = Journal(own=False)
    journal.take("sandbox.init", isolation="process", workspace="/srv/agents/a/workspace")
    (said,) = journal.shown("message.user", message_id="m", text="fix it")
    assert said == {
        "sessionUpdate": "user_message_chunk",
        "content": {"type": "text", "text": "fix it"},
        "messageId": "user-2",
    }
    journal.take("stream_start", message_id="m", attempt=1)
    pieces = [journal.shown("stream_update", text=text)[0] for text in ("I ", "do")]
    assert [piece["messageId"] for piece in pieces] == ["agent-3", "agent-3"]
    assert journal.take("stream_end", text="I do", stop_reason="max_tokens") == []
    assert journal.take("checkpoint", turn_id=TURN, seq=9, state_version=1, iteration=1) == [
        Over(TURN, "max_tokens", None)
    ]


def test_text_that_never_streamed_is_shown_at_its_end() -> None:
    journal = Journal()
    journal.take("stream_start", message_id="m", attempt=1)
    assert journal.shown("stream_end", text="all of it", stop_reason="end_turn")[0]["content"]["text"] == "all of it"


@pytest.mark.parametrize("reason", ["end_turn", "cancelled", "max_tokens", "refusal"])
def test_stop_reasons_are_the_same_words(reason: str) -> None:
    journal = Journal()
    journal.take("stream_end", text="", stop_reason=reason)
    assert journal.take("checkpoint", turn_id=TURN, seq=2, state_version=0, iteration=0) == [Over(TURN, reason, None)]


def test_a_turn_that_failed_says_why_and_ends_its_calls() -> None:
    journal = Journal()
    journal.take("tool.call_start", tool_call_id="c", tool_name="run_it")
    journal.take("stream_end", text="", stop_reason="error")
    journal.take("error", code="agent_error", message="boom", retryable=True)
    closed, over = journal.take("checkpoint", turn_id=TURN, seq=2, state_version=0, iteration=0)
    assert isinstance(closed, Show)
    assert (closed.update["toolCallId"], closed.update["status"]) == ("c", "failed")
    assert isinstance(over, Over)
    assert over.failure is not None
    assert (over.failure.message, over.failure.data) == ("boom", {"code": "agent_error", "retryable": True})


def test_a_turn_that_runs_again_closes_what_its_first_attempt_left_open() -> None:
    journal = Journal()
    journal.take("stream_start", message_id="m", attempt=1)
    journal.take("tool.call", tool_call_id="c", tool_name="read_file", arguments={"path": "a"})
    (closed,) = journal.shown("stream_start", message_id="m", attempt=2)
    assert (closed["toolCallId"], closed["status"]) == ("c", "failed")


def test_paths_of_the_workspace_lie_below_the_editors_directory() -> None:
    journal = Journal()
    journal.take("sandbox.init", isolation="process", workspace="/srv/w")
    journal.take("tool.call_start", tool_call_id="c", tool_name="edit", kind="edit", title="Edit a")
    places = [{"path": "/srv/w/src/a.py", "line": 3}, {"path": "/etc/hosts"}, "b.py"]
    change = {"file_path": "/srv/w/src/a.py", "old_string": "x", "new_string": "y"}
    (update,) = journal.shown("tool.call", tool_call_id="c", tool_name="edit", arguments=change, locations=places)
    assert update["locations"] == [
        {"path": f"{CWD}/src/a.py", "line": 3},
        {"path": "/etc/hosts"},
        {"path": f"{CWD}/b.py"},
    ]
    assert update["content"] == [{"type": "diff", "path": f"{CWD}/src/a.py", "oldText": "x", "newText": "y"}]


def test_diffs_of_a_result_take_the_place_of_those_of_the_arguments() -> None:
    journal = Journal()
    journal.take("tool.call", tool_call_id="c", tool_name="write_file", arguments={"path": "a", "content": "new"})
    result = {"diffs": [{"path": "a", "old_text": "old", "new_text": "new"}, {"path": "b", "new_text": "other"}]}
    (update,) = journal.shown("tool.result", tool_call_id="c", tool_name="write_file", result=result)
    assert update["content"] == [
        {"type": "diff", "path": f"{CWD}/a", "oldText": "old", "newText": "new"},
        {"type": "diff", "path": f"{CWD}/b", "newText": "other"},
    ]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("text", [{"type": "content", "content": {"type": "text", "text": "text"}}]),
        ({"text": "t"}, [{"type": "content", "content": {"type": "text", "text": "t"}}]),
        (
            {"content": [{"type": "text", "text": "mcp"}, {"type": "odd"}]},
            [{"type": "content", "content": {"type": "text", "text": "mcp"}}],
        ),
        ({"n": 1}, [{"type": "content", "content": {"type": "text", "text": '{"n":1}'}}]),
        (None, None),
    ],
)
def test_results_are_shown(result: Any, shown: Any) -> None:
    journal = Journal()
    journal.take("tool.call", tool_call_id="c", tool_name="look", arguments={})
    (update,) = journal.shown("tool.result", tool_call_id="c", tool_name="look", result=result)
    assert update.get("content") == shown
    assert update["status"] == "completed"


def test_a_live_terminal_gets_its_output_piece_by_piece() -> None:
    journal = Journal(meta={"terminal_output": True})
    begun = journal.shown("terminal.stream", terminal_id="t", stream="stdout", data="", command="make")
    assert begun[0]["title"] == "make"
    assert begun[-1]["content"] == [{"type": "terminal", "terminalId": "t"}]
    assert begun[-1]["_meta"] == {"terminal_info": {"terminal_id": "t", "cwd": CWD}}
    (piece,) = journal.shown("terminal.stream", terminal_id="t", stream="stdout", data="ok\n")
    assert piece["_meta"] == {"terminal_output": {"terminal_id": "t", "data": "ok\n"}}
    (ended,) = journal.shown("terminal.complete", terminal_id="t", exit_code=2)
    assert (ended["status"], ended["_meta"]["terminal_exit"]["exit_code"]) == ("failed", 2)


def test_two_commands_at_once_are_two_tool_calls() -> None:
    journal = Journal()
    for name in ("one", "two"):
        first, *_ = journal.shown("terminal.stream", terminal_id=name, stream="stdout", data="", command=name)
        assert (first["sessionUpdate"], first["toolCallId"]) == ("tool_call", name)


def test_a_permission_tells_of_the_call_it_is_for() -> None:
    journal = Journal()
    journal.take("tool.call_start", tool_call_id="c", tool_name="zap", kind="delete")
    options = [{"option_id": "yes", "name": "Yes", "kind": "allow_always"}, {"option_id": "no", "name": "No"}]
    asked = {"request_id": "r", "tool_call_id": "c", "tool_name": "zap", "arguments": {"path": "a"}, "options": options}
    (step,) = journal.take("tool.permission_requested", **asked)
    assert isinstance(step, Ask)
    call = step.asked.next()
    assert isinstance(call, asking.Call)
    RequestPermissionRequest.model_validate({"sessionId": "s", **call.params})
    assert call.params["toolCall"]["kind"] == "delete"
    assert call.params["toolCall"]["locations"] == [{"path": f"{CWD}/a"}]
    assert journal.take("tool.approval_resolved", request_id="r", outcome="selected") == [Resolved("r", [])]


def test_who_comes_later_is_shown_questions_and_answers() -> None:
    journal = Journal()
    journal.take("tool.question_requested", request_id="r", questions=[{"id": "q", "question": "Why?"}])
    (step,) = journal.take("tool.approval_resolved", request_id="r", outcome="answered", answers={"q": "so"})
    assert isinstance(step, Resolved)
    assert [part["content"]["text"] for part in step.said] == ["Why?\n", "so"]


def test_settings_are_read_from_messages_and_from_calls_that_switch_the_mode() -> None:
    journal = Journal()
    assert journal.take("message.user", text="x", settings={"mode": "ask"})[0] == Chosen({"mode": "ask"})
    journal.take("tool.call_start", tool_call_id="d", tool_name="x", kind="switch_mode")
    journal.take("tool.call", tool_call_id="d", tool_name="x", arguments={"mode": "code"})
    assert journal.take("tool.result", tool_call_id="d", tool_name="x", result=None)[-1] == Chosen({"mode": "code"})


def test_a_steer_of_somebody_else_is_shown_within_ones_own_turn() -> None:
    journal = Journal(own=True)
    assert journal.shown("message.user", text="mine") == []
    assert journal.shown("message.user", text="faster", steer=True)[0]["content"]["text"] == "faster"


def test_what_the_agent_was_taken_back_from_is_not_replayed() -> None:
    journal = Journal()
    events = [journal.event("stream_update", text=str(n)) for n in range(3)]
    events.append(journal.event("agent.rewound", seq=1, state_version=1, iteration=1))
    events.append(journal.event("stream_update", text="new"))
    assert [event.seq for event in surviving(events)] == [1, 5]
    events.append(journal.event("agent.rewound", seq=3, state_version=1, iteration=1))  # undoes it
    assert [event.seq for event in surviving(events)] == [1, 2, 3]


def test_a_replay_needs_no_streaming() -> None:
    given = [
        updates.chunk("agent_message_chunk", "a", "1"),
        updates.chunk("agent_message_chunk", "b", "1"),
        updates.chunk("agent_message_chunk", "c", "2"),
        updates.tool_call("t", "T", "edit"),
        updates.tool_call_update("t", status="in_progress", rawInput=1),
        updates.tool_call_update("t", status="completed"),
        updates.plan([]),
        updates.tool_call_update("t", title="late"),
    ]
    assert updates.coalesced(given) == [
        updates.chunk("agent_message_chunk", "ab", "1"),
        updates.chunk("agent_message_chunk", "c", "2"),
        {**updates.tool_call("t", "T", "edit"), "status": "completed", "rawInput": 1},
        updates.plan([]),
        updates.tool_call_update("t", title="late"),
    ]


NAMES = st.sampled_from(sorted({*CONTENT_TYPES, *ALIASES, *AGENT_EVENTS, "odd"}))
KEYS = st.sampled_from(
    [
        "tool_call_id",
        "tool_name",
        "title",
        "kind",
        "arguments",
        "locations",
        "result",
        "text",
        "attempt",
        "stop_reason",
        "entries",
        "request_id",
        "questions",
        "options",
        "terminal_id",
        "stream",
        "data",
        "command",
        "workspace",
        "seq",
        "turn_id",
        "settings",
        "attachments",
        "acp",
        "answers",
    ]
)


@pytest.mark.proves("DIM-ACP-BAD-INPUT")
@given(
    st.lists(
        st.tuples(NAMES, st.dictionaries(KEYS, JSON | st.sampled_from(["a", "b", "edit"]), max_size=5)), max_size=12
    )
)
def test_nothing_an_agent_sends_breaks_the_translation(sent: list[tuple[str, dict[str, Any]]]) -> None:
    journal = Journal(own=False)
    for name, content in sent:
        for step in journal.take(name, **content):
            if isinstance(step, Ask):
                wanted = step.asked.next()
                assert wanted is not None
            json.dumps(step.update if isinstance(step, Show) else None)
