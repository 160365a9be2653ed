"""From frames to messages, and what is said of those that are none."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diminuendo.domain.access import RULES
from diminuendo.domain.events import EVENT_TYPES, TextDelta
from diminuendo.protocol import answers
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.limits import MESSAGE_MAX_BYTES
from diminuendo.protocol.messages import MESSAGE_TYPES, type_of
from diminuendo.protocol.parsing import parse_message
from diminuendo.protocol.schema import schemas

GOOD: list[dict[str, Any]] = [
    {"type": "authenticate", "token": "t", "protocolVersion": 1},
    {"type": "list_sessions", "includeArchived": True},
    {"type": "create_session", "agentType": "coding-agent", "name": "n", "metadata": {"a": [1]}},
    {"type": "rename_session", "sessionId": "s", "name": "n"},
    {"type": "archive_session", "sessionId": "s"},
    {"type": "unarchive_session", "sessionId": "s"},
    {"type": "delete_session", "sessionId": "s"},
    {"type": "join_session", "sessionId": "s", "afterSeq": 7},
    {"type": "leave_session", "sessionId": "s"},
    {"type": "run_turn", "sessionId": "s", "text": "hi", "clientTurnId": "c"},
    {"type": "stop_turn", "sessionId": "s"},
    {"type": "steer", "sessionId": "s", "text": "left"},
    {"type": "answer_question", "sessionId": "s", "requestId": "req-1", "optionId": "yes"},
    {"type": "answer_question", "sessionId": "s", "requestId": "req-1", "answers": {"1": "a"}},
    {"type": "answer_question", "sessionId": "s", "requestId": "req-1", "dismissed": True},
    {"type": "get_history", "sessionId": "s", "before": 9, "limit": 5},
    {"type": "get_events", "sessionId": "s", "afterSeq": 0, "limit": 1000},
    {"type": "ping"},
    {"type": "list_files", "sessionId": "s", "path": "src", "depth": 2},
    {"type": "read_file", "sessionId": "s", "path": "a"},
    {"type": "file_history", "sessionId": "s", "path": "a"},
    {"type": "file_at_iteration", "sessionId": "s", "path": "a", "iteration": 3},
    {"type": "manage_members", "action": "list"},
    {"type": "manage_members", "action": "set", "userId": "u", "role": "admin"},
    {"type": "manage_members", "action": "remove", "userId": "u"},
]

(DOCUMENT,) = schemas().values()

BAD: list[dict[str, Any]] = [
    {},
    {"type": "dance"},
    {"type": 7},
    {"type": "ping", "more": 1},
    {"type": "rename_session", "sessionId": "s"},
    {"type": "rename_session", "sessionId": "s", "name": ""},
    {"type": "rename_session", "sessionId": "s", "name": "n" * 201},
    {"type": "run_turn", "sessionId": "s", "text": 7},
    {"type": "run_turn", "sessionId": "s", "text": ""},
    {"type": "create_session", "agentType": "../x"},
    {"type": "create_session", "agentType": "a\n"},
    {"type": "join_session", "sessionId": "s", "afterSeq": -1},
    {"type": "join_session", "sessionId": "s", "afterSeq": "1"},
    {"type": "get_events", "sessionId": "s", "afterSeq": 0, "limit": 1001},
    {"type": "answer_question", "sessionId": "s", "requestId": "r"},
    {"type": "answer_question", "sessionId": "s", "requestId": "r", "optionId": "a", "dismissed": True},
    {"type": "answer_question", "sessionId": "s", "optionId": "a"},
    {"type": "manage_members", "action": "set", "userId": "u"},
    {"type": "manage_members", "action": "list", "userId": "u"},
    {"type": "manage_members", "action": "set", "userId": "u", "role": "king"},
]


def satisfies(message: object, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**schema, "$defs": DOCUMENT["$defs"]}).validate(message)


def refused(frame: str | bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse_message(frame)
    return caught.value


@pytest.mark.parametrize("message", GOOD, ids=[row["type"] for row in GOOD])
def test_each_message_is_read_and_says_the_same_again(message: dict[str, Any]) -> None:
    read = parse_message(json.dumps(message))
    assert type_of(read) == message["type"]
    assert json.loads(msgspec.json.encode(read)) == message


def test_every_message_has_an_example_and_a_rule() -> None:
    types = {kind.__struct_config__.tag for kind in MESSAGE_TYPES}
    assert {row["type"] for row in GOOD} == types
    assert set(RULES) == types - {"authenticate"}
    assert len(types) == 21


@pytest.mark.parametrize("message", BAD, ids=range(len(BAD)))
def test_what_is_no_message_of_the_protocol_is_refused(message: dict[str, Any]) -> None:
    assert refused(json.dumps(message)).code is Code.INVALID_MESSAGE


@pytest.mark.parametrize("message", [row for row in BAD if row.get("type") != "answer_question" and row], ids=str)
def test_a_refused_message_still_gets_its_request_id_back(message: dict[str, Any]) -> None:
    assert refused(json.dumps({**message, "requestId": "q-1"})).request_id == "q-1"


@pytest.mark.parametrize(
    "frame",
    ["", "{", "nul", '{"a":}', b"\xff", "[" * 200_000, '"\ud800"', '{"type":"ping"} x', '{"type":7, x'],
    ids=range(9),
)
def test_what_is_no_json_is_refused(frame: str | bytes) -> None:
    assert refused(frame).code is Code.INVALID_JSON


@pytest.mark.parametrize("frame", ["null", "[]", "1", '"x"'])
def test_json_that_is_no_object_is_no_message(frame: str) -> None:
    assert refused(frame).code is Code.INVALID_MESSAGE


def test_a_message_has_at_most_a_mebibyte() -> None:
    head = '{"type":"steer","sessionId":"s","text":"'
    largest = head + "x" * (MESSAGE_MAX_BYTES - len(head) - 2) + '"}'
    assert MESSAGE_MAX_BYTES == 2**20
    assert type_of(parse_message(largest)) == "steer"
    assert refused(largest + " ").code is Code.MESSAGE_TOO_LARGE
    assert refused('"' + "é" * (MESSAGE_MAX_BYTES // 2) + '"').code is Code.MESSAGE_TOO_LARGE


@pytest.mark.proves("DIM-ERRORS")
@settings(max_examples=100, deadline=None)
@given(frame=st.binary(max_size=60) | st.text(max_size=60))
def test_no_frame_makes_it_raise_anything_else(frame: str | bytes) -> None:
    assert refused(frame).code in (Code.INVALID_JSON, Code.INVALID_MESSAGE)


def test_an_error_says_no_more_than_it_knows() -> None:
    plain = json.loads(answers.encode(answers.error_of(ProtocolError(Code.FORBIDDEN, "no"))))
    assert plain == {"type": "error", "code": "FORBIDDEN", "message": "no"}
    late = json.loads(answers.encode(answers.error_of(ProtocolError(Code.AUTH_RATE_LIMITED, "no", "q", 7))))
    assert late == {"type": "error", "code": "AUTH_RATE_LIMITED", "message": "no", "requestId": "q", "retryAfterMs": 7}


@pytest.mark.parametrize("message", GOOD, ids=[row["type"] for row in GOOD])
def test_the_schema_takes_what_the_parser_takes(message: dict[str, Any]) -> None:
    satisfies(message, DOCUMENT["messages"][message["type"]])


def test_the_schema_has_every_answer_and_event_and_real_ones_satisfy_it() -> None:
    assert len(DOCUMENT["events"]) == len(EVENT_TYPES)
    assert len(DOCUMENT["answers"]) == len(answers.ANSWER_TYPES)
    event = json.loads(msgspec.json.encode(TextDelta(session_id="s", turn_id=None, seq=1, ts=2, text="x")))
    satisfies(event, DOCUMENT["events"]["text_delta"])
    with pytest.raises(jsonschema.ValidationError):
        satisfies({**event, "text": 7}, DOCUMENT["events"]["text_delta"])


def test_the_schema_is_a_schema_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT)
