"""What a reader delivers: once, in order, nothing missing."""

from podium.client.cursor import Cursor, Verdict
from podium.client.event import PodiumEvent


def _event(seq: int, kind: str = "stream_update", **content: object) -> PodiumEvent:
    return PodiumEvent(kind, dict(content), seq=seq)


def test_events_are_delivered_in_order_and_once() -> None:
    cursor = Cursor(4)
    assert [cursor.take(_event(n)) for n in (5, 5, 4, 6)] == [
        Verdict.DELIVER,
        Verdict.SKIP,
        Verdict.SKIP,
        Verdict.DELIVER,
    ]
    assert cursor.seq == 6


def test_a_gap_is_noticed_and_nothing_is_taken() -> None:
    cursor = Cursor(4)
    assert cursor.take(_event(6)) is Verdict.GAP
    assert cursor.seq == 4


def test_without_a_position_reading_begins_after_what_was() -> None:
    cursor = Cursor(None)
    cursor.begin(10)
    cursor.begin(99)
    assert cursor.take(_event(11)) is Verdict.DELIVER


def test_a_number_whose_content_is_lost_counts_and_is_not_delivered() -> None:
    cursor = Cursor(4)
    assert [cursor.take(_event(5, "event.lost")), cursor.take(_event(6, "event.lost"))] == [Verdict.SKIP] * 2
    assert cursor.seq == 6
    assert cursor.take(_event(7)) is Verdict.DELIVER


def test_frames_without_a_number_pass() -> None:
    assert Cursor(7).take(_event(0, "pong")) is Verdict.DELIVER


def test_an_open_question_sent_again_is_delivered_to_whoever_has_not_seen_it() -> None:
    cursor = Cursor(None)
    cursor.begin(10)
    question = _event(8, "tool.question_requested", request_id="req-1")
    assert cursor.take(question) is Verdict.DELIVER
    assert cursor.take(question) is Verdict.SKIP
    assert cursor.take(_event(11)) is Verdict.DELIVER


def test_a_question_replayed_before_its_own_number_comes_once() -> None:
    cursor = Cursor(0)
    cursor.begin(3)
    question = _event(3, "tool.permission_requested", request_id="req-1")
    taken = [cursor.take(event) for event in (question, _event(1), _event(2), question, _event(4))]
    assert taken == [Verdict.DELIVER, Verdict.DELIVER, Verdict.DELIVER, Verdict.SKIP, Verdict.DELIVER]


def test_a_question_seen_before_the_connection_was_lost_is_not_repeated() -> None:
    cursor = Cursor(0)
    question = _event(1, "tool.question_requested", request_id="req-1")
    assert cursor.take(question) is Verdict.DELIVER
    cursor.begin(1)
    assert cursor.take(question) is Verdict.SKIP
