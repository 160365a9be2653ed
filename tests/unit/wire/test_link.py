"""Framing of the agent link: any chunking gives the same frames; nonsense ends the link."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.wire import link

FRAMES: list[link.FromAgent] = [
    link.Ready(protocol=1, state_schema=2),
    link.StreamUpdate(message_id="m", element=link.Element("stream_update", msgspec.Raw(b'{"text":"x"}'))),
    link.StateDelta(deltas=[link.Delta(3, msgspec.Raw(b'[{"op":"add","path":"/a/-","value":1}]'))]),
    link.Failed(message_id="", error=link.TurnError("ValueError", "no")),
]


@given(st.lists(st.integers(1, 400), max_size=30))
def test_frames_survive_any_chunking(cuts: list[int]) -> None:
    stream = b"".join(map(link.pack, FRAMES))
    buffer, got, at = link.FrameBuffer(), list[link.FromAgent](), 0
    for cut in [*cuts, len(stream)]:
        got += map(link.read_from_agent, buffer.feed(stream[at : at + cut]))
        at += cut
    assert list(map(link.pack, got)) == list(map(link.pack, FRAMES))


def test_an_announced_frame_over_the_limit_ends_the_link_before_it_is_read() -> None:
    with pytest.raises(link.LinkError, match="announces"):
        list(link.FrameBuffer().feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"type":"init"}', b'{"type":"pong"}', b"\xff", b"[" * 100_000])
def test_what_is_no_frame_of_an_agent_is_refused(body: bytes) -> None:
    with pytest.raises(link.LinkError):
        link.read_from_agent(body)


def test_what_the_coordinator_says_is_read_by_the_agent() -> None:
    message = link.Message(
        id="msg-1", turn_id="turn-1", data={"text": "hi", "role": "user"}, origin=link.Origin("acme"), attempt=1
    )
    (body,) = link.FrameBuffer().feed(link.pack(message))
    assert link.read_to_agent(body) == message
