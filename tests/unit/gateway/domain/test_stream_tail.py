"""Whatever was forwarded, in whatever pieces, the tail knows where to go on."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.gateway.domain import stream_tail
from podium.gateway.domain.frames import close_frame, pong_frame, read_head
from podium.gateway.domain.recovery import Recovery, RefusedError, UnfinishableError
from podium.gateway.domain.stream_tail import StreamTail
from tests.unit.gateway.domain.wire import MARK, SYNC, ack, connected, event

PING = b"\x89\x00"
HELD_SEQ = 10

texts = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=["C"]), max_size=300)
extras = st.sampled_from([b"", PING, SYNC, ack("c1"), SYNC + SYNC, PING + ack("c2") + SYNC])


@st.composite
def _journals(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Frames of events 1…n, and what stands before each of them on the wire."""
    count = draw(st.integers(0, 12))
    return [event(seq, draw(texts)) for seq in range(1, count + 1)], [draw(extras) for _ in range(count + 1)]


def _forward(tail: StreamTail, data: bytes, cuts: list[int]) -> None:
    at = 0
    for cut in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
        if cut > at:
            tail.forwarded(data[at:cut])
            at = cut


@pytest.fixture(params=[64, 700, 1_000_000], ids=["trims always", "trims sometimes", "trims never"], autouse=True)
def _keep(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_tail, "KEEP_BYTES", request.param)


@pytest.mark.proves("GATEWAY-REATTACHES")
@settings(max_examples=150, deadline=None)
@given(_journals(), st.integers(0, 20_000), st.lists(st.integers(0, 5_000), max_size=8), st.data())
def test_the_client_gets_each_event_once_wherever_the_stream_breaks(
    journal: tuple[list[bytes], list[bytes]], end: int, cuts: list[int], data: st.DataObject
) -> None:
    events, between = journal
    stream = connected(0) + between[0] + b"".join(e + b for e, b in zip(events, between[1:], strict=True))
    given_ = stream[: min(end, len(stream))]
    tail = StreamTail(MARK, 0)
    tail.threshold = stream_tail.KEEP_BYTES
    _forward(tail, given_, cuts)

    point = tail.resume_point()
    whole = given_[: len(given_) - len(point.partial)]
    try:
        recovery = Recovery(point)
    except UnfinishableError:
        assert b'"ack"' in point.partial
        return
    after = point.after or 0
    assert after == max([0, *(seq for seq, e in enumerate(events, 1) if e in whole)])
    again = connected(len(events)) + SYNC + ack("replayed") + b"".join(events[after:])
    received = given_ + recovery.completion
    for part in _parts(again, data.draw(st.lists(st.integers(0, len(again)), max_size=5))):
        try:
            received += recovery.feed(part) if not recovery.done else part
        except UnfinishableError:
            assert point.partial  # half of an unnumbered frame: the connection is cut instead
            return
    if not recovery.done:
        assert point.partial  # nothing came that could be its rest: the gateway gives up after a while
        return
    assert _events_in(received, events) == list(range(1, len(events) + 1))


def _parts(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def _events_in(received: bytes, events: list[bytes]) -> list[int]:
    """The events in a stream, which must be whole frames from its first byte to its last."""
    found, at = [], 0
    while at < len(received):
        head = read_head(received, at)
        assert head is not None, "a frame's head is cut"
        assert head.end <= len(received), "a frame is cut"
        frame = received[at : head.end]
        if frame in events:
            found.append(events.index(frame) + 1)
        at = head.end
    return found


def test_a_client_that_asked_for_nothing_old_goes_on_behind_the_greeting() -> None:
    tail = StreamTail(MARK, None)
    tail.forwarded(connected(41))
    assert tail.resume_point() == (41, True, b"")


def test_events_shown_again_from_before_the_greeting_do_not_turn_time_back() -> None:
    tail = StreamTail(MARK, None)
    tail.forwarded(connected(41) + event(7))
    assert tail.resume_point().after == 41


def test_a_stream_that_broke_before_its_greeting_begins_anew() -> None:
    tail = StreamTail(MARK, None)
    point = tail.resume_point()
    assert tuple(point) == (None, False, b"")
    recovery = Recovery(point)
    assert recovery.feed(connected(3)) == connected(3)
    assert recovery.done


def test_half_a_greeting_is_finished_by_the_next_one() -> None:
    tail = StreamTail(MARK, 5)
    tail.forwarded(connected(8)[:40])
    recovery = Recovery(tail.resume_point())
    assert recovery.feed(connected(9)) == connected(9)[40:]


@pytest.mark.parametrize("cut", [1, 2, 9])
def test_half_a_control_frame_is_finished_at_once(cut: int) -> None:
    tail = StreamTail(MARK, 0)
    frame = pong_frame(bytes(8))
    tail.forwarded(connected(0) + frame[:cut])
    recovery = Recovery(tail.resume_point())
    finished = frame[:cut] + recovery.completion
    head = read_head(finished, 0)
    assert head is not None
    assert head.end == len(finished)


def test_half_an_acknowledgement_can_not_be_finished() -> None:
    tail = StreamTail(MARK, 0)
    tail.forwarded(connected(0) + ack("x")[:30])
    with pytest.raises(UnfinishableError):
        Recovery(tail.resume_point())


def test_another_event_than_the_half_one_is_never_glued_to_it() -> None:
    tail = StreamTail(MARK, 0)
    tail.forwarded(connected(0) + event(1, "one")[:60])
    recovery = Recovery(tail.resume_point())
    with pytest.raises(UnfinishableError):
        recovery.feed(connected(2) + event(2, "two"))


def test_a_coordinator_that_closes_instead_of_greeting_is_told_apart() -> None:
    tail = StreamTail(MARK, 0)
    tail.forwarded(connected(0))
    recovery = Recovery(tail.resume_point())
    with pytest.raises(RefusedError) as refused:
        recovery.feed(close_frame(4409, "stopped"))
    assert (refused.value.code, refused.value.reason) == (4409, "stopped")


def test_a_goodbye_is_noticed() -> None:
    tail = StreamTail(MARK, 0)
    tail.forwarded(connected(0) + event(1))
    assert not tail.said_close()
    tail.forwarded(close_frame(4408, "slow"))
    assert tail.said_close()


def test_what_a_frame_still_needs_is_known() -> None:
    tail = StreamTail(MARK, 0)
    frame = event(1, "x" * 300)
    tail.forwarded(frame[:1])
    assert tail.missing() == 1
    tail.forwarded(frame[1:100])
    assert tail.missing() == len(frame) - 100
    tail.forwarded(frame[100:])
    assert tail.missing() == 0
