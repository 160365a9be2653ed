"""Small decisions: admission, sleep, configuration layers, answers to questions and permissions."""

from typing import Any

import msgspec
import pytest

from podium.coordinator.domain import requests
from podium.coordinator.domain.admission import Room, admit
from podium.coordinator.domain.configuration import differences, merge, nested
from podium.coordinator.domain.idle import sleep_due
from podium.coordinator.domain.requests import Resolution
from podium.wire.commands import AnswerContent
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import InstanceStatus


@pytest.mark.parametrize(
    ("room", "code"),
    [
        (Room(0, 1, 0, 0), None),
        (Room(5, 10, 99, 100), None),
        (Room(10, 10, 0, 0), ErrorCode.NO_COORDINATOR_AVAILABLE),
        (Room(1, 10, 100, 100), ErrorCode.NO_COORDINATOR_AVAILABLE),
        (Room(0, 10, 0, 0, draining=True), ErrorCode.DRAINING),
    ],
)
def test_a_host_takes_what_it_has_room_for(room: Room, code: ErrorCode | None) -> None:
    if code is None:
        admit(room)
        return
    with pytest.raises(PodiumError) as refused:
        admit(room)
    assert refused.value.code is code
    assert refused.value.retry_after


@pytest.mark.parametrize("status", list(InstanceStatus))
def test_only_agents_that_do_nothing_or_wait_for_a_person_sleep(status: InstanceStatus) -> None:
    sleepable = status in {InstanceStatus.READY, InstanceStatus.WAITING}
    assert sleep_due(status, 1_000, 5.0) == (6.0 if sleepable else None)


def test_an_idle_timeout_of_zero_never_sleeps() -> None:
    assert sleep_due(InstanceStatus.READY, 0, 5.0) is None


def test_later_layers_win_and_tables_merge() -> None:
    layers: list[dict[str, Any]] = [
        {"a": {"b": 1, "c": 2}, "d": 1},
        {"a": {"b": 3}},
        {"d": {"e": 1}},
        {"a": {"c": None}},
    ]
    assert merge(*layers) == {"a": {"b": 3, "c": None}, "d": {"e": 1}}
    assert layers[0] == {"a": {"b": 1, "c": 2}, "d": 1}


def test_dotted_keys_are_tables() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": {"f.g": 3}}) == {"a": {"b": 1, "c": {"d": 2}}, "e": {"f": {"g": 3}}}


def test_differences_are_told_by_top_level_key() -> None:
    before, after = {"a": 1, "b": {"c": 1}, "gone": 1}, {"a": 1, "b": {"c": 2}, "new": 0}
    assert differences(before, after) == {"b": {"c": 2}, "new": 0, "gone": None}


PERMISSION = msgspec.json.encode(
    {
        "request_id": "r",
        "tool_name": "rm",
        "options": [{"option_id": "yes", "name": "Yes", "kind": "allow_once"}],
        "default": "yes",
    }
)
QUESTION = msgspec.json.encode(
    {"request_id": "r", "questions": [{"id": "q", "question": "Which?"}], "default": {"q": "this"}}
)


@pytest.mark.parametrize(
    ("kind", "content", "answer", "resolution"),
    [
        ("permission", PERMISSION, AnswerContent("r", option_id="yes"), Resolution("selected", "client", "yes")),
        ("permission", PERMISSION, AnswerContent("r", dismissed=True), Resolution("dismissed", "client")),
        ("permission", PERMISSION, AnswerContent("r", option_id="no"), None),
        ("permission", PERMISSION, AnswerContent("r", answers={"q": 1}), None),
        (
            "question",
            QUESTION,
            AnswerContent("r", answers={"q": "a"}),
            Resolution("answered", "client", None, {"q": "a"}),
        ),
        ("question", QUESTION, AnswerContent("r", answers={"z": "a"}), None),
        ("question", QUESTION, AnswerContent("r", option_id="yes"), None),
    ],
)
def test_an_answer_must_fit_what_was_asked(
    kind: requests.RequestKind, content: bytes, answer: AnswerContent, resolution: Resolution | None
) -> None:
    if resolution is not None:
        assert requests.resolve(kind, content, answer) == resolution
        return
    with pytest.raises(PodiumError) as refused:
        requests.resolve(kind, content, answer)
    assert refused.value.code is ErrorCode.INVALID_REQUEST


def test_at_the_deadline_the_default_is_taken() -> None:
    assert requests.expired("permission", PERMISSION) == Resolution("expired", "deadline", "yes")
    assert requests.expired("question", QUESTION) == Resolution("expired", "deadline", None, {"q": "this"})


def test_a_turn_takes_its_requests_with_it() -> None:
    assert requests.cancelled() == Resolution("cancelled", "turn")
