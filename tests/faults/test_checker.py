"""The checker of the crash proofs finds each kind of violation when it is planted."""

import json
from typing import Any

from tests.faults.checker import (
    check_acknowledged,
    check_answers,
    check_checkpoints,
    check_client,
    check_everything,
    check_journal,
    check_ledger,
    check_order,
    check_turns,
)


def _frame(seq: int, kind: str, content: dict[str, Any], turn: str = "turn-1") -> str:
    return json.dumps({"messageType": kind, "content": content, "turnId": turn, "seq": seq}, separators=(",", ":"))


JOURNAL = {
    1: _frame(1, "message.user", {"text": "a"}),
    2: _frame(2, "stream_start", {"message_id": "m", "attempt": 1}),
    3: _frame(3, "stream_end", {"text": "1", "stop_reason": "end_turn"}),
    4: _frame(4, "checkpoint", {"turn_id": "turn-1", "seq": 4, "state_version": 2, "iteration": 0}),
}
LOG: list[dict[str, Any]] = [
    {"what": "sent", "id": "c-1", "text": "a"},
    {"what": "acked", "id": "c-1", "turn_id": "turn-1"},
    *({"what": "event", "seq": seq, "frame": frame} for seq, frame in JOURNAL.items()),
]
STATE = {"count": 1, "entries": ["a"]}


def test_a_clean_run_has_no_findings() -> None:
    logs = {"c": LOG}
    assert check_everything(logs, JOURNAL) == []
    assert check_ledger(STATE, logs, JOURNAL) == []


def test_a_gap_is_found() -> None:
    assert check_client("c", [r for r in LOG if r.get("seq") != 2], JOURNAL)
    assert check_journal({k: v for k, v in JOURNAL.items() if k != 2})


def test_a_duplicate_is_found() -> None:
    assert check_client("c", [*LOG, LOG[-1]], JOURNAL)


def test_a_changed_event_is_found() -> None:
    changed = [*LOG[:-1], {"what": "event", "seq": 4, "frame": _frame(4, "checkpoint", {"turn_id": "other"})}]
    assert check_client("c", changed, JOURNAL)


def test_an_event_the_journal_never_had_is_found() -> None:
    assert check_client("c", [*LOG, {"what": "event", "seq": 5, "frame": _frame(5, "x", {})}], JOURNAL)


def test_a_lost_acknowledged_message_is_found() -> None:
    journal = {1: _frame(1, "stream_start", {"message_id": "m", "attempt": 1})}
    assert check_acknowledged({"c": LOG}, journal)


def test_a_message_done_twice_is_found() -> None:
    journal = {**JOURNAL, 5: _frame(5, "message.user", {"text": "a"}, "turn-2")}
    assert check_acknowledged({"c": LOG}, journal)


def test_an_acknowledged_turn_that_never_ended_is_found() -> None:
    assert check_acknowledged({"c": LOG}, {k: v for k, v in JOURNAL.items() if k != 4})


def test_a_turn_with_two_ends_is_found() -> None:
    journal = {**JOURNAL, 4: JOURNAL[3].replace('"seq":3', '"seq":4'), 5: JOURNAL[4].replace('"seq":4', '"seq":5')}
    assert check_answers(journal)


def test_state_that_is_not_the_journals_is_found() -> None:
    assert check_ledger({"count": 2, "entries": ["a", "a"]}, {"c": LOG}, JOURNAL)
    assert check_ledger({"count": 1, "entries": ["b"]}, {"c": LOG}, JOURNAL)
    assert check_ledger({"count": 0, "entries": []}, {"c": LOG}, JOURNAL)


def test_the_same_event_in_other_bytes_is_found() -> None:
    assert check_client("c", [{**LOG[2], "frame": LOG[2]["frame"].replace(":", ": ", 1)}], JOURNAL)


def test_messages_of_a_client_out_of_order_are_found() -> None:
    second = [{"what": "sent", "id": "c-2", "text": "b"}, {"what": "acked", "id": "c-2", "turn_id": "turn-2"}]
    after = {**JOURNAL, 5: _frame(5, "message.user", {"text": "b"}, "turn-2")}
    assert check_order({"c": [*LOG, *second]}, after) == []
    before = {5: JOURNAL[1].replace('"seq":1', '"seq":5'), 1: _frame(1, "message.user", {"text": "b"}, "turn-2")}
    (finding,) = check_order({"c": [*LOG, *second]}, {**JOURNAL, **before})
    assert finding == "c: 'b' was sent after 'a', but has event 1, before 5"


def test_a_message_sent_again_keeps_its_place() -> None:
    log = [
        {"what": "sent", "id": "c-1", "text": "a"},
        {"what": "sent", "id": "c-2", "text": "b"},
        {"what": "sent", "id": "c-1", "text": "a"},
        {"what": "acked", "id": "c-2"},
        {"what": "acked", "id": "c-1"},
    ]
    journal = {1: _frame(1, "message.user", {"text": "a"}), 2: _frame(2, "message.user", {"text": "b"})}
    assert check_order({"c": log}, journal) == []


def test_turns_that_overlap_are_found() -> None:
    other = _frame(3, "stream_start", {"message_id": "n", "attempt": 1}, "turn-2")
    assert check_turns({**JOURNAL, 3: other}) == ["turn turn-2 starts at event 3 while turn-1 runs"]


def test_an_attempt_that_goes_back_is_found() -> None:
    first = _frame(2, "stream_start", {"message_id": "m", "attempt": 2})
    again = _frame(3, "stream_start", {"message_id": "m", "attempt": 1})
    assert check_turns({**JOURNAL, 2: first, 3: again})
    assert check_turns({**JOURNAL, 2: _frame(2, "stream_start", {"message_id": "m", "attempt": 0})})


def test_a_turn_that_speaks_after_its_checkpoint_is_found() -> None:
    late = _frame(5, "stream_update", {"text": "late"})
    assert check_turns({**JOURNAL, 5: late}) == ["turn turn-1 is over, but event 5 (stream_update) is of it"]


def test_a_checkpoint_that_names_another_moment_is_found() -> None:
    wrong = {"turn_id": "turn-1", "seq": 3, "state_version": 2, "iteration": 0}
    assert check_checkpoints({**JOURNAL, 4: _frame(4, "checkpoint", wrong)})


def test_a_checkpoint_that_goes_back_is_found() -> None:
    older = {"turn_id": "turn-2", "seq": 5, "state_version": 1, "iteration": 0}
    assert check_checkpoints({**JOURNAL, 5: _frame(5, "checkpoint", older, "turn-2")})


def test_work_done_more_often_than_it_was_started_is_found() -> None:
    journal = {**JOURNAL, 3: _frame(3, "stream_end", {"text": "2", "stop_reason": "end_turn"})}
    twice = {"count": 2, "entries": ["a", "a"]}
    assert check_ledger(twice, {"c": LOG}, journal) == ["state: 'a' is there 2 times, its turn was started 1 times"]
    again = {**journal, 2: _frame(2, "stream_start", {"message_id": "m", "attempt": 2})}
    assert check_ledger(twice, {"c": LOG}, again) == []
