"""A client's bytes come out as whole messages, and those that may be sent again are known."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.gateway.domain.client_frames import ClientFrames, FrameTooLargeError, command_id
from podium.wire.limits import FRAME_MAX_BYTES
from tests.unit.gateway.domain.wire import client_frame


@given(st.lists(st.binary(max_size=400), max_size=8), st.integers(1, 50))
def test_messages_come_out_whole_however_they_are_cut(payloads: list[bytes], size: int) -> None:
    raw = [client_frame(payload) for payload in payloads]
    frames, found = ClientFrames(), []
    stream = b"".join(raw)
    for at in range(0, len(stream), size):
        found += [message.raw for message in frames.feed(stream[at : at + size])]
    assert found == raw


def test_fragments_make_one_message_and_pings_pass_between_them() -> None:
    parts = [client_frame(b'{"type":"ping",', final=False), client_frame(b"!", 9), client_frame(b'"id":"a"}', 0)]
    found = ClientFrames().feed(b"".join(parts))
    assert [(message.is_ping, message.payload) for message in found] == [(True, b"!"), (False, b"")]
    assert command_id(found[1].raw) == "a"


@pytest.mark.proves("WS-FRAME-TOO-LARGE-1009")
def test_a_frame_that_is_too_large_is_refused_at_its_head() -> None:
    with pytest.raises(FrameTooLargeError):
        ClientFrames().feed(client_frame(bytes(FRAME_MAX_BYTES + 1))[:14])
    assert len(ClientFrames().feed(client_frame(bytes(FRAME_MAX_BYTES)))) == 1


def test_fragments_together_may_not_be_larger_than_a_frame() -> None:
    frames = ClientFrames()
    for _ in range(10):
        frames.feed(client_frame(bytes(100_000), final=False))
    with pytest.raises(FrameTooLargeError):
        frames.feed(client_frame(bytes(100_000), final=False))


def test_only_commands_with_an_id_are_sent_again_and_only_the_latest() -> None:
    frames = ClientFrames()
    for number in range(100):
        body = {"type": "process_message", **({"id": f"c{number}"} if number % 2 else {})}
        frames.remember(client_frame(json.dumps(body).encode()))
    again = [command_id(raw) for raw in frames.replay()]
    assert again == [f"c{number}" for number in range(37, 100, 2)]


def test_remembered_bytes_are_bounded() -> None:
    frames = ClientFrames()
    for number in range(10):
        frames.remember(client_frame(json.dumps({"id": f"c{number}", "x": "y" * 300_000}).encode()))
    assert len(frames.replay()) == 3


@pytest.mark.parametrize("payload", [b"", b"no json", b"[1]", b'{"id":5}', b"\xff", b'{"id":null}', b"[" * 5000])
def test_what_has_no_id_is_not_sent_again(payload: bytes) -> None:
    assert command_id(client_frame(payload)) is None
