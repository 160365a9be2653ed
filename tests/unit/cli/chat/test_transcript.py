"""Conversations as a person reads them: events in, text out, without a terminal and without time."""

from typing import Any

import pytest

from podium.cli.chat.painter import painted
from podium.cli.chat.pieces import Look, Piece, clean, shortened
from podium.cli.chat.transcript import Transcript
from podium.client import PodiumEvent
from podium.wire.events import CONTENT_TYPES

Said = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], int]


def read(*said: Said, transcript: Transcript | None = None) -> str:
    """What a person has read after these events; the third part of an event is its second."""
    transcript = transcript or Transcript()
    text = ""
    for seq, event in enumerate(said, 1):
        second = event[2] if len(event) == 3 else 0
        made = PodiumEvent(event[0], event[1], turn_id="turn-1", seq=seq, ts=second * 1000)
        text += painted(transcript.feed(made), colours=False)
    return text


def expected(text: str) -> str:
    """`text` without the indentation of the test around it."""
    return "\n".join(line.removeprefix(" " * 8) for line in text.split("\n")[1:])


def test_text_streams_and_ends_with_what_the_turn_cost() -> None:
    assert read(
        ("message.user", {"text": "hello"}, 1),
        ("stream_start", {"message_id": "m", "attempt": 1}, 1),
        ("stream_update", {"text": "Hel"}, 2),
        ("update", {"text": "lo\nyou"}, 2),
        ("stream_end", {"text": "Hello\nyou", "stop_reason": "end_turn"}, 3),
        (
            "usage.update",
            {"model": "m", "input_tokens": 1200, "output_tokens": 340, "cost_micro_dollars": 4100},
            3,
        ),
        ("usage.context", {"total_tokens": 1540, "max_tokens": 8000, "percent_used": 19.25}, 3),
        ("checkpoint", {"turn_id": "turn-1", "seq": 7, "state_version": 1, "iteration": 0}, 4),
    ) == expected("""
        › hello
        Hello
        you
        1.2k in, 340 out · $0.0041 · context 19 % · 3.0 s
        """)


def test_a_thought_is_folded_into_one_line_with_its_time() -> None:
    assert read(
        ("thinking.start", {}, 1),
        ("thinking.progress", {"text": "hm, "}, 2),
        ("thinking_update", {"text": "let me see"}, 3),
        ("thinking.complete", {}, 4),
        ("stream_update", {"text": "Yes."}, 4),
    ) == expected("""
        ✻ thought for 3.0 s
        Yes.""")


def test_a_thought_can_be_shown() -> None:
    assert read(
        ("thinking.progress", {"text": "hm"}, 1),
        ("thinking.complete", {}, 2),
        transcript=Transcript(show_thinking=True),
    ) == expected("""
        hm
        ✻ thought for 1.0 s
        """)


def test_tools_show_their_arguments_results_and_failures() -> None:
    assert read(
        ("stream_update", {"text": "Let me look."}),
        ("tool.call_start", {"tool_call_id": "1", "tool_name": "list_files"}),
        ("tool.call_delta", {"tool_call_id": "1", "arguments_delta": "{"}),
        ("tool.call", {"tool_call_id": "1", "tool_name": "list_files", "arguments": {"path": ".", "deep": True}}),
        ("tool.result", {"tool_call_id": "1", "tool_name": "list_files", "result": "a\nb\nc\nd\ne\nf"}),
        ("tool.call", {"tool_call_id": "2", "tool_name": "read_file", "arguments": {"path": "NOTES.md"}}),
        ("tool.error", {"tool_call_id": "2", "tool_name": "read_file", "message": "no such file"}),
    ) == expected("""
        Let me look.
        ● list_files(path: ., deep: true)
          ⎿ a
            b
            c
            d
            … 2 more lines
        ● read_file(path: NOTES.md)
          ⎿ failed: no such file
        """)


def test_terminal_output_stands_behind_a_bar_also_when_it_comes_in_halves() -> None:
    assert read(
        ("terminal.stream", {"terminal_id": "t", "command": "sh -c ls", "stream": "stdout", "data": "on"}),
        ("terminal.stream", {"terminal_id": "t", "stream": "stdout", "data": "e\ntwo\nth"}),
        ("terminal.stream", {"terminal_id": "t", "stream": "stderr", "data": "ree"}),
        ("terminal.complete", {"terminal_id": "t", "exit_code": 3}),
        ("terminal.stream", {"terminal_id": "u", "stream": "stdout", "data": "x\n"}),
        ("terminal.complete", {"terminal_id": "u", "exit_code": None, "signal": "SIGKILL"}),
    ) == expected("""
          $ sh -c ls
          │ one
          │ two
          │ three
          ╰ exit 3
          $ command
          │ x
          ╰ SIGKILL
        """)


def test_a_plan_is_shown_whole_and_then_what_changes() -> None:
    def plan(*status: str) -> Said:
        names = ("look", "write", "try")
        return ("plan.updated", {"entries": [{"content": n, "status": s} for n, s in zip(names, status, strict=True)]})

    assert read(
        plan("in_progress", "pending", "pending"),
        plan("completed", "in_progress", "pending"),
        plan("completed", "in_progress", "pending"),
    ) == expected("""
          ◐ look
          ☐ write
          ☐ try
          ☑ look
          ◐ write
        """)


def test_errors_restarts_cancellations_and_ends_are_told() -> None:
    assert read(
        ("stream_start", {"message_id": "m", "attempt": 2}),
        ("stream_update", {"text": "half"}),
        ("stream_end", {"text": "half", "stop_reason": "cancelled"}),
        ("error", {"code": "ValueError", "message": "no number", "retryable": True}),
        ("file.changed", {"path": "a.txt", "kind": "modified", "iteration": 3}),
        ("state.status", {"status": "failed", "previous": "running"}),
        ("terminated", {"reason": "crashed", "signal": "SIGKILL"}),
        ("terminated", {"reason": "idle"}),
        ("terminated", {"reason": "stop"}),
    ) == expected("""
        ↻ the agent was restarted; attempt 2
        half
        ⏹ cancelled
        ✗ ValueError: no number (trying again may help)
          ✎ modified a.txt
        ✗ the instance has failed; `podium logs` tells why
        ✗ the agent's process crashed (SIGKILL)
        ■ ended: stop
        """)


def test_an_answer_that_was_not_streamed_is_shown_at_its_end() -> None:
    assert read(("stream_end", {"text": "all at once", "stop_reason": "end_turn"})) == "all at once\n"


def test_what_the_person_typed_is_not_shown_twice_but_what_others_say_is() -> None:
    transcript = Transcript()
    transcript.expect_own("mine")
    said = read(("message.user", {"text": "mine"}), ("message.user", {"text": "theirs"}), transcript=transcript)
    assert said == "› theirs\n"


def test_an_unknown_event_with_text_is_text_and_without_is_nothing() -> None:
    assert read(("mystery", {"text": "hi"}), ("other", {}), ("tool.call_delta", {"text": "x"})) == "hi"


def test_answers_to_questions_are_told_with_who_gave_them() -> None:
    assert read(
        ("tool.approval_resolved", {"request_id": "r", "outcome": "selected", "option_id": "allow", "by": "client"}),
        ("tool.approval_resolved", {"request_id": "r", "outcome": "expired", "answers": {"n": 1}, "by": "deadline"}),
    ) == expected("""
          ⎿ selected: allow
          ⎿ expired: n: 1 by deadline
        """)


@pytest.mark.parametrize("name", [*CONTENT_TYPES, "created", "", "ack"])
@pytest.mark.parametrize("content", [None, {}, {"text": 1, "entries": "x", "arguments": [1], "percent_used": None}])
def test_no_event_whatever_its_content_breaks_it(name: str, content: dict[str, Any] | None) -> None:
    transcript = Transcript()
    pieces = transcript.feed(PodiumEvent(name, content, seq=1))
    assert all(isinstance(piece, Piece) for piece in pieces)


def test_the_status_line_says_what_the_agent_is_busy_with() -> None:
    transcript = Transcript()
    assert transcript.status(0) is None
    transcript.feed(PodiumEvent("thinking.start", seq=1, ts=1000))
    assert transcript.status(4500) == "✻ thinking 3.5 s"
    transcript.feed(PodiumEvent("tool.call", {"tool_name": "search", "arguments": {}}, seq=2, ts=5000))
    assert transcript.status(75_000) == "● search 1 m 10 s"
    transcript.feed(PodiumEvent("stream_update", {"text": "x"}, seq=3, ts=6000))
    assert transcript.status(7000) is None


@pytest.mark.proves("CLI-TERMINAL-SAFE")
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]52;c;ZXZpbA==\x1b\\x", "x"),
        ("a\x08\x07b\rc", "abc"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("\u202eevil", "evil"),
        ("\x9b2Jx", "2Jx"),
    ],
)
def test_an_agent_can_not_steer_the_terminal(text: str, left: str) -> None:
    assert clean(text) == left


def test_long_lines_are_shortened() -> None:
    assert shortened("a b\n c" + "x" * 100, 10) == "a b cxxxx…"


def test_colours_never_reach_over_a_newline() -> None:
    assert painted([Piece("a\nb\n", Look.BAD)], colours=True) == "\x1b[31ma\x1b[0m\n\x1b[31mb\x1b[0m\n"
