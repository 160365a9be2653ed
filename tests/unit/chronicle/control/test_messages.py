"""Requests and answers as lines of JSON."""

import msgspec
import pytest

from chronicle.control import messages
from chronicle.control.messages import HolderRequest, Put, Request, Restore, SupervisorRequest, answer, line, pushed
from chronicle.model.iterations import Iteration

EXAMPLES: list[Request] = [
    messages.Barrier(1),
    messages.Annotate(2, "turn_7"),
    messages.MakeCheckpoint(3, "before", None),
    messages.Restore(4, 17, b"src/\xff"),
    messages.Fork(5, "/somewhere", 3),
    messages.Put(6, b"a", "/tmp/x", 0o600, "00"),
    messages.Remove(7, b"a"),
    messages.Follow(8, 12),
    messages.GetStatus(9),
]


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda one: type(one).__name__)
def test_a_request_is_one_line_and_arrives_as_itself(request_: Request) -> None:
    sent = line(request_)
    assert sent.endswith(b"\n")
    assert sent.count(b"\n") == 1
    assert msgspec.json.decode(sent, type=HolderRequest) == request_


def test_a_path_of_any_bytes_survives_the_json() -> None:
    everything = bytes(range(1, 256)).replace(b"/", b"")
    assert msgspec.json.decode(line(Restore(1, 1, everything)), type=HolderRequest) == Restore(1, 1, everything)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id": 1}',
        b'{"id": 1, "do": "dance"}',
        b'{"id": 1, "do": "put", "path": "YQ=="}',
        b'{"id": 1, "do": "barrier", "more": 1}',
        b"[]",
    ],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(raw, type=HolderRequest)


def test_a_holder_does_not_take_requests_for_the_supervisor() -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(line(Put(1, b"a", "b")), type=SupervisorRequest)


def test_answers_and_pushes_are_told_apart_by_their_id() -> None:
    good = msgspec.json.decode(answer(4, [1, 2]), type=messages.Answer)
    assert (good.id, msgspec.json.decode(good.ok), good.push) == (4, [1, 2], None)
    iteration = Iteration(3, b"a", "rename", 5, from_=b"b")
    push = msgspec.json.decode(pushed([iteration]), type=messages.Answer)
    assert (push.id, push.push, push.iterations) == (None, "recorded", [iteration])
