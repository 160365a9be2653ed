"""The checker of the fault bench finds each kind of violation when it is planted, and nothing where there is none."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.cluster.episodes import Episode
from tests.faults.cluster.evidence import Claim, Evidence, Pulse
from tests.faults.cluster.guarantees import check, history_lost, owner_at, ran_twice, recoveries, silence

KILLED = Episode("coordinator killed, gone", 0, 100.0, 115.0, died=100.0)
MOVED = (Claim(1, 0, 50.0), Claim(2, 1, 110.0))


def _frame(seq: int, kind: str, at: float, turn: str = "", /, **content: Any) -> str:
    told = {"content": content} if content else {}
    return json.dumps(
        {
            "messageType": kind,
            **told,
            "agentId": "a",
            "instanceId": "i",
            "turnId": turn,
            "seq": seq,
            "ts": round(at * 1000),
        },
        separators=(",", ":"),
    )


def _turn(first: int, number: int, text: str, at: float, *, answer: int = 0) -> list[str]:
    """The events of one whole turn, which begins with event `first`; `answer`: the count it tells, its number if not given."""
    turn = f"turn-{number}"
    checkpoint = {"seq": first + 3, "turn_id": turn, "state_version": number, "iteration": number}
    return [
        _frame(first, "message.user", at, turn, text=text, message_id=f"m-{number}"),
        _frame(first + 1, "stream_start", at, turn, attempt=1),
        _frame(first + 2, "stream_end", at, turn, text=str(answer or number)),
        _frame(first + 3, "checkpoint", at, turn, **checkpoint),
    ]


def _log(frames: list[str], acked: dict[int, tuple[str, float]]) -> list[dict[str, Any]]:
    """What a client noted: messages of these turns sent and acknowledged, and then every event at its own time."""
    log: list[dict[str, Any]] = []
    for number, (text, at) in acked.items():
        log.append({"what": "sent", "at": at, "id": f"c-{number}", "text": text})
        log.append({"what": "acked", "at": at, "id": f"c-{number}", "turn_id": f"turn-{number}"})
    events = [(json.loads(frame), frame) for frame in frames]
    return log + [{"what": "event", "at": e["ts"] / 1000, "seq": e["seq"], "frame": frame} for e, frame in events]


def _evidence(*, is_sync: bool = False, lost_at: float = 99.0) -> Evidence:
    """Two turns; the second, at `lost_at`, was shown and lost with host 0, and a third follows on host 1."""
    first, second = _turn(1, 1, "count one", 90.0), _turn(5, 2, "count two", lost_at)
    lost = [_frame(seq, "event.lost", 111.0) for seq in range(5, 9)]
    third = _turn(9, 3, "count three", 112.0, answer=2)
    frames = [*first, *lost, *third]
    acked = {1: ("count one", 90.0), 2: ("count two", lost_at), 3: ("count three", 112.0)}
    return Evidence(
        "a",
        is_sync,
        {"c": _log([*first, *second, *third], acked)},
        dict(enumerate(frames, 1)),
        {"count": 2, "entries": ["count one", "count three"]},
        {name: (len(name), None) for name in ("count_one", "count_three")},
        MOVED,
        {0: dict(enumerate([*first, *second], 1))},
        (Pulse(0, 60.0, 100.0), Pulse(1, 111.0, 120.0)),
    )


def test_what_a_lost_host_did_in_its_last_moments_may_be_lost() -> None:
    assert check(_evidence(), [KILLED]) == []
    assert history_lost(_evidence(), [KILLED]) == pytest.approx(1.0)


def test_what_was_older_may_not() -> None:
    evidence = _evidence(lost_at=95.0)
    assert any("c: event 5 was" in found for found in check(evidence, [KILLED]))
    assert any("acknowledged c-2 is 0 times" in found for found in check(evidence, [KILLED]))
    assert history_lost(evidence, [KILLED]) == pytest.approx(5.0)


def test_with_sync_nothing_may_be_lost() -> None:
    findings = check(_evidence(is_sync=True), [KILLED])
    assert any("acknowledged c-2" in found for found in findings)
    assert any("c: event 8 was" in found for found in findings)


def test_without_a_move_nothing_may_be_lost() -> None:
    evidence = replace(_evidence(), claims=MOVED[:1], copies={})
    assert any("acknowledged c-2" in found for found in check(evidence, [KILLED]))


def test_an_event_written_after_somebody_else_had_claimed_is_found() -> None:
    evidence = _evidence()
    late = {**evidence.copies[0], 8: _frame(8, "checkpoint", 113.0, "turn-2")}
    assert check(replace(evidence, copies={0: late}), [KILLED]) == [
        "a: host 0 wrote event 8 (checkpoint) while {1} owned the agent"
    ]


def test_an_epoch_claimed_twice_is_found() -> None:
    twice = (*MOVED, Claim(2, 0, 111.0))
    assert any("claimed twice" in found for found in check(replace(_evidence(), claims=twice), [KILLED]))


def test_two_processes_at_once_are_found_but_where_nobody_could_end_the_first() -> None:
    both = replace(_evidence(), pulses=(Pulse(0, 60.0, 113.0), Pulse(1, 111.0, 120.0)))
    assert check(both, [KILLED]) == ["a: two processes ran on hosts 0 and 1 for 2.00 s, from 111.00"]
    assert ran_twice(both) == pytest.approx(2.0)
    assert check(both, [Episode("coordinator stopped for long", 0, 100.0, 112.5)]) == []


def test_a_gap_and_a_repetition_are_found() -> None:
    evidence = _evidence()
    log = list(evidence.logs["c"])
    assert any("after event" in found for found in check(replace(evidence, logs={"c": [*log[:-2], log[-1]]}), [KILLED]))
    assert any("after event" in found for found in check(replace(evidence, logs={"c": [*log, log[-1]]}), [KILLED]))


def test_a_missing_file_is_found() -> None:
    evidence = replace(_evidence(), files={"count_three": (11, None)})
    assert check(evidence, [KILLED]) == ["a: file 'count_one' of a turn that is over has -1 bytes, not 9"]
    other = replace(_evidence(), files={"count_one": (9, "other one"), "count_three": (11, None)})
    assert check(other, [KILLED]) == ["a: file 'count_one' of a turn that is over has other contents"]


def test_a_state_that_does_not_fit_is_found() -> None:
    evidence = replace(_evidence(), state={"count": 1, "entries": ["count one"]})
    assert any("'count three' is missing" in found for found in check(evidence, [KILLED]))


def test_a_client_that_was_sent_away_is_found() -> None:
    evidence = _evidence()
    log = [*evidence.logs["c"], {"what": "lost", "at": 113.0, "code": 4404}]
    assert check(replace(evidence, logs={"c": log}), [KILLED]) == ["a: c: the connection ended with 4404"]
    log[-1] = {"what": "lost", "at": 113.0, "code": 1006}
    assert check(replace(evidence, logs={"c": log}), [KILLED]) == []


def test_what_is_measured() -> None:
    evidence = _evidence()
    assert recoveries(evidence, KILLED) == pytest.approx(12.0)
    assert recoveries(evidence, Episode("gateway killed", None, 100.0, 101.0)) is None
    assert silence(evidence, KILLED, 113.0) == pytest.approx(12.0)
    assert [owner_at(MOVED, at) for at in (49.0, 60.0, 111.0)] == [None, 0, 1]
