"""What people say, choose and answer: prompts, options, questions."""

from typing import Any

import msgspec
import pytest
from acp.schema import AvailableCommand, SessionConfigOptionBoolean, SessionConfigOptionSelect, SessionModeState

from diminuendo.acp.rpc.messages import RpcError
from diminuendo.acp.translation import asking, prompts
from diminuendo.acp.translation.asking import Call, Words
from diminuendo.acp.translation.offers import Offers, read_offers
from diminuendo.acp.translation.params import Block
from diminuendo.domain.events import PermissionOption, PermissionRequested, Question, QuestionRequested
from podium.wire.commands import AnswerContent

PROMPT: list[dict[str, Any]] = [
    {"type": "text", "text": "Look at "},
    {"type": "resource_link", "uri": "file:///p/notes.md", "name": "notes"},
    {"type": "resource", "resource": {"uri": "file:///p/a.py", "text": "x = 1", "mimeType": "text/x-python"}},
    {"type": "image", "data": "aGk=", "mimeType": "image/png"},
]


def blocks(*given: dict[str, Any]) -> list[Block]:
    return msgspec.convert(list(given), list[Block])


def test_a_prompt_is_all_text_for_a_plain_agent_and_all_blocks_for_another() -> None:
    said = prompts.said(blocks(*PROMPT), "/p", {"mode": "ask"}, images=True)
    assert said.text == (
        'Look at [notes](file:///p/notes.md)[a.py](file:///p/a.py)\n<context ref="file:///p/a.py">\nx = 1\n</context>'
    )
    assert said.metadata["attachments"] == PROMPT[1:]
    assert said.metadata["settings"] == {"mode": "ask"}
    assert said.title == "Look at [notes](file:///p/notes.md)[a.py](file:///p/a.py)"
    shown = prompts.blocks_of({"text": said.text, **said.metadata})
    assert shown == [{"type": "text", "text": said.title}, PROMPT[2], PROMPT[3]]


def test_a_title_is_one_line_and_short() -> None:
    said = prompts.said(blocks({"type": "text", "text": "a\n b " + "x" * 200}), "/p", {}, images=False)
    assert said.title.startswith("a b xxx")
    assert len(said.title) == prompts.TITLE_MAX_CHARS


def test_what_an_agent_does_not_take_is_refused() -> None:
    with pytest.raises(RpcError, match="no images"):
        prompts.said(blocks(PROMPT[3]), "/p", {}, images=False)
    with pytest.raises(RpcError, match="audio"):
        prompts.said(blocks({"type": "audio", "data": "", "mimeType": "audio/wav"}), "/p", {}, images=True)


def test_messages_of_other_programs_are_shown_as_far_as_they_can_be() -> None:
    assert prompts.blocks_of({"text": "hi", "attachments": [1, {"type": "file"}], "acp": "x"}) == [
        {"type": "text", "text": "hi"}
    ]
    assert prompts.blocks_of({"text": 3, "attachments": "x"}) == []
    assert prompts.blocks_of({"text": "hello", "acp": {"shown": -4}}) == []


DECLARED = {
    "images": True,
    "options": [
        {"id": "mode", "name": "Mode", "category": "mode", "values": ["ask", {"value": "code", "name": "Code"}]},
        {"id": "brave"},
        {"id": "model", "values": ["s", "l"], "default": "l"},
        {"name": "without an id"},
        "nonsense",
    ],
    "commands": [{"name": "review", "hint": "what"}, 7],
}


def test_what_an_agent_declares_is_offered_and_mistakes_are_left_out() -> None:
    offers = read_offers({"acp": DECLARED})
    settings = offers.settled({"brave": True, "model": "xxl", "gone": 1})
    assert settings == {"mode": "ask", "brave": True, "model": "l"}
    mode, brave, model = offers.as_options(settings, booleans=True)
    SessionConfigOptionSelect.model_validate(mode)
    SessionConfigOptionSelect.model_validate(model)
    SessionConfigOptionBoolean.model_validate(brave)
    assert [option["id"] for option in offers.as_options(settings, booleans=False)] == ["mode", "model"]
    modes = offers.as_modes(settings)
    assert SessionModeState.model_validate(modes).current_mode_id == "ask"
    AvailableCommand.model_validate(offers.commands[0].as_json())
    assert offers.images


@pytest.mark.parametrize("config", [{}, {"acp": 3}, {"acp": {"options": {}, "commands": "x", "images": "yes"}}])
def test_who_declares_nothing_offers_nothing(config: dict[str, Any]) -> None:
    assert read_offers(config) == Offers()


@pytest.mark.parametrize(("option", "value"), [("mode", "fly"), ("mode", True), ("brave", "yes"), ("speed", 1)])
def test_values_that_are_none_are_refused(option: str, value: Any) -> None:
    with pytest.raises(RpcError):
        read_offers({"acp": DECLARED}).check(option, value)


def permission() -> asking.Permission:
    options = [PermissionOption("y", "Yes", "allow_once"), PermissionOption("n", "No", None)]
    asked = PermissionRequested(
        session_id="s", turn_id="t", request_id="r", tool_call_id=None, tool_name="rm", args={}, options=options
    )
    return asking.Permission(asked, {"toolCallId": "c"})


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ({"outcome": {"outcome": "selected", "optionId": "n"}}, AnswerContent("r", option_id="n")),
        ({"outcome": {"outcome": "selected", "optionId": "?"}}, AnswerContent("r", dismissed=True)),
        ({"outcome": {"outcome": "cancelled"}}, AnswerContent("r", dismissed=True)),
        (None, AnswerContent("r", dismissed=True)),
        ({"outcome": 3}, AnswerContent("r", dismissed=True)),
    ],
)
def test_a_permission_is_one_of_its_options_or_dismissed(answer: Any, meaning: AnswerContent) -> None:
    assert permission().take(answer) == meaning


def questions(*asked: Question) -> QuestionRequested:
    return QuestionRequested(session_id="s", turn_id="t", request_id="r", questions=list(asked))


def test_questions_are_asked_one_after_the_other() -> None:
    one = Question("a", "Which?", ["x", "y"])
    several = Question("b", "Which ones?", ["P", "Q"], multiple=True)
    asked = asking.asking(questions(one, several, Question("c", "Why?")), forms=False)
    choice = asked.next()
    assert isinstance(choice, Call)
    assert [option["name"] for option in choice.params["options"]] == ["x", "y"]
    assert asked.take({"outcome": {"outcome": "selected", "optionId": "1"}}) is None
    assert asked.next() == Words("Which ones?\n- P\n- Q\n\n(several, with commas between them)\n")
    assert asked.take("q, p, other") is None
    assert asked.next() == Words("Why?\n")
    answers = {"a": "y", "b": ["Q", "P", "other"], "c": "because"}
    assert asked.take(" because ") == AnswerContent("r", answers=answers)
    assert asked.next() is None


def test_a_choice_that_is_closed_dismisses_all() -> None:
    asked = asking.asking(questions(Question("a", "Which?", ["x"]), Question("c", "Why?")), forms=False)
    assert asked.take(None) == AnswerContent("r", dismissed=True)


def test_a_form_holds_all_questions() -> None:
    given = questions(
        Question("a", "Which?", ["x"]), Question("b", "Ones?", ["P"], multiple=True), Question("c", "Why?")
    )
    asked = asking.asking(given, forms=True)
    form = asked.next()
    assert isinstance(form, Call)
    assert form.method == "elicitation/create"
    properties = form.params["requestedSchema"]["properties"]
    assert properties == {
        "a": {"type": "string", "title": "Which?", "enum": ["x"]},
        "b": {"type": "array", "title": "Ones?", "items": {"type": "string", "enum": ["P"]}},
        "c": {"type": "string", "title": "Why?"},
    }
    content = {"a": "x", "c": "so", "extra": 1}
    assert asked.take({"action": "accept", "content": content}) == AnswerContent("r", answers={"a": "x", "c": "so"})
    assert asked.take({"action": "decline"}) == AnswerContent("r", dismissed=True)
    assert asked.take("nonsense") == AnswerContent("r", dismissed=True)
