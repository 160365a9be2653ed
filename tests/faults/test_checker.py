"""The checker of the crash proofs finds each kind of violation when it is planted."""

import json
from typing import Any

from tests.faults.checker import check_acknowledged, check_answers, check_client, check_journal, check_ledger


def _frame(seq: int, kind: str, content: dict[str, Any], turn: str = "turn-1") -> str:
    return json.dumps({"messageType": kind, "content": content, "turnId": turn, "seq": seq}, separators=(",", ":"))


JOURNAL = {
    1: _frame(1, "message.user", {"text": "a"}),
    2: _frame(2, "stream_start", {"message_id": "m", "attempt": 1}),
    3: _frame(3, "stream_end", {"text": "1", "stop_reason": "end_turn"}),
    4: _frame(4, "checkpoint", {"turn_id": "turn-1"}),
}
LOG: list[dict[str, Any]] = [
    {"what": "sent", "id": "c-1", "text": "a"},
    {"what": "acked", "id": "c-1", "turn_id": "turn-1"},
    *({"what": "event", "seq": seq, "frame": frame} for seq, frame in JOURNAL.items()),
]
STATE = {"count": 1, "entries": ["a"]}


def test_a_clean_run_has_no_findings() -> None:
    logs = {"c": LOG}
    assert check_client("c", LOG, JOURNAL) == []
    assert check_journal(JOURNAL) == []
    assert check_acknowledged(logs, JOURNAL) == []
    assert check_answers(JOURNAL) == []
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
