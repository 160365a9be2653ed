"""A client's frame is read, or refused with a code that says why."""

import pytest

from podium.wire.commands import Answer, Cancel, ProcessMessage, command_id_of, read_command
from podium.wire.errors import ErrorCode, PodiumError


def test_the_seed_clients_message_is_understood() -> None:
    command = read_command('{"type": "process_message", "content": {"text": "Fix it", "channel": "web"}}')
    assert isinstance(command, ProcessMessage)
    assert command.content == {"text": "Fix it", "channel": "web"}
    assert command.on_busy == "queue"


def test_unknown_fields_do_not_matter() -> None:
    assert isinstance(read_command('{"type": "cancel", "extra": 1}'), Cancel)


@pytest.mark.parametrize(
    "frame", ["", "{", "nope", "\ud800".encode("utf-8", "surrogatepass"), '{"type":' + "[" * 100_000]
)
def test_what_is_no_json_is_called_so(frame: str | bytes) -> None:
    with pytest.raises(PodiumError) as caught:
        read_command(frame)
    assert caught.value.code is ErrorCode.INVALID_JSON


@pytest.mark.parametrize(
    "frame",
    [
        "[]", "1", "null", "{}", '{"type": 1}', '{"type": "dance"}', '{"type": "process_message"}',
        '{"type": "process_message", "content": "x"}', '{"type": "process_message", "content": {"text": 5}}',
        '{"type": "process_message", "content": {}}', '{"type": "process_message", "content": {"text": ""}, "on_busy": "x"}',
        '{"type": "process_message", "content": {"text": "x"}, "id": 5}',
        '{"type": "process_message", "content": {"text": "x"}, "id": ""}',
        '{"type": "steer", "content": {}}', '{"type": "answer", "content": {"request_id": "r"}}',
        '{"type": "answer", "content": {"request_id": "r", "option_id": "a", "dismissed": true}}',
    ],
)  # fmt: skip
def test_what_breaks_the_schema_is_refused_with_a_reason(frame: str) -> None:
    with pytest.raises(PodiumError) as caught:
        read_command(frame)
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert caught.value.detail


def test_an_id_longer_than_allowed_is_refused() -> None:
    with pytest.raises(PodiumError, match="255"):
        read_command('{"type": "cancel", "id": "%s"}' % ("x" * 256))


def test_the_id_of_a_refused_frame_is_told_where_it_can_be() -> None:
    assert command_id_of('{"type": "dance", "id": "c1"}') == "c1"
    assert command_id_of('{"id": 5}') is None
    assert command_id_of("nope") is None


def test_an_answer_uses_exactly_one_way() -> None:
    command = read_command('{"type": "answer", "content": {"request_id": "r", "answers": {"q": "yes"}}}')
    assert isinstance(command, Answer)
    assert command.content.answers == {"q": "yes"}
