"""What an agent asks, and what typed answers mean."""

import pytest

from podium.cli.chat.asking import Prompt, asked_by
from podium.cli.chat.painter import painted
from podium.client import PodiumEvent
from podium.wire.commands import AnswerContent

OPTIONS = [
    {"option_id": "yes", "name": "Allow once", "kind": "allow_once"},
    {"option_id": "never", "name": "Reject", "kind": "reject_always"},
]


def _permission() -> PodiumEvent:
    content = {"request_id": "r", "tool_name": "write_file", "arguments": {"path": "a.txt"}, "options": OPTIONS}
    return PodiumEvent("tool.permission_requested", content, seq=1)


def test_a_permission_is_asked_in_one_line_with_numbers() -> None:
    asked = asked_by(_permission())
    assert asked is not None
    shown = painted(asked.prompts[0].pieces(), colours=False)
    assert shown == "? allow write_file (path: a.txt)?\n  1 Allow once     2 Reject\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1", "yes"),
        (" 2 ", "never"),
        ("reject", "never"),
        ("YES", "yes"),
        ("3", None),
        ("0", None),
        ("", None),
        ("x", None),
    ],
)
def test_an_option_is_chosen_by_number_id_or_name(typed: str, meant: str | None) -> None:
    asked = asked_by(_permission())
    assert asked is not None
    assert asked.prompts[0].read(typed) == meant


def test_the_answer_of_a_permission_is_its_option_and_its_dismissal_refuses() -> None:
    asked = asked_by(_permission())
    assert asked is not None
    assert asked.answer({"": "yes"}) == AnswerContent("r", option_id="yes")
    assert asked.dismissal() == AnswerContent("r", option_id="never")


def test_questions_are_asked_one_after_the_other() -> None:
    questions = [
        {"id": "a", "question": "Which?", "options": ["red", "blue"], "multiple": True},
        {"id": "b", "question": "Why?"},
    ]
    content = {"request_id": "r", "questions": questions}
    asked = asked_by(PodiumEvent("tool.question_requested", content, seq=1))
    assert asked is not None
    which, why = asked.prompts
    assert which.read("1, blue") == ["red", "blue"]
    assert which.read("1, green") is None
    assert why.read("  because ") == "because"
    assert asked.answer({"a": ["red"], "b": "because"}) == AnswerContent("r", answers={"a": ["red"], "b": "because"})
    assert asked.dismissal() == AnswerContent("r", dismissed=True)


def test_a_question_in_an_unknown_shape_is_left_alone() -> None:
    assert asked_by(PodiumEvent("tool.question_requested", {"questions": "x"}, seq=1)) is None
    assert asked_by(PodiumEvent("stream_update", {"text": "x"}, seq=1)) is None


def test_an_empty_answer_is_no_answer() -> None:
    assert Prompt("a", "Why?").read("   ") is None
