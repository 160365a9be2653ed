"""Proves the guarantees of the stream from what clients wrote down and what the agent's journal holds.

Pure: takes logs (see `tests.faults.client`) and journal events, returns findings in words; none means proved.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

Log = Sequence[dict[str, Any]]


def check_client(name: str, log: Log, journal: dict[int, str], *, first: int = 1) -> list[str]:
    """What one client saw: every event from `first` on exactly once, in order, byte for byte as the journal has it."""
    seen = [record for record in log if record["what"] == "event"]
    numbers = [record["seq"] for record in seen]
    findings = [f"{name}: after event {a} came {b}" for a, b in zip(numbers, numbers[1:], strict=False) if b != a + 1]
    if numbers and numbers[0] != first:
        findings.append(f"{name}: the first event was {numbers[0]}, not {first}")
    for record in seen:
        kept = journal.get(record["seq"])
        if kept is None:
            findings.append(f"{name}: saw event {record['seq']}, which the journal does not have")
        elif json.loads(record["frame"]) != json.loads(kept):
            findings.append(f"{name}: event {record['seq']} was {record['frame']}, the journal has {kept}")
    return findings


def check_journal(journal: dict[int, str]) -> list[str]:
    """The journal itself: numbered from 1 without gap, and each frame carries its own number."""
    findings = [f"journal: {n} is missing" for n in range(1, max(journal, default=0) + 1) if n not in journal]
    for seq, frame in journal.items():
        if json.loads(frame)["seq"] != seq:
            findings.append(f"journal: the frame at {seq} says {json.loads(frame)['seq']}")
    return findings


def check_acknowledged(logs: dict[str, Log], journal: dict[int, str]) -> list[str]:
    """Every acknowledged message is in the journal once, with the turn that was promised, and that turn came to its end."""
    findings: list[str] = []
    events = [json.loads(frame) for _, frame in sorted(journal.items())]
    heard = Counter(e["content"].get("text") for e in events if e["messageType"] == "message.user")
    turn_of = {e["content"].get("text"): e.get("turnId") for e in events if e["messageType"] == "message.user"}
    ended = Counter(e["turnId"] for e in events if e["messageType"] == "checkpoint")
    for name, log in logs.items():
        texts = {record["id"]: record["text"] for record in log if record["what"] == "sent"}
        for record in log:
            if record["what"] != "acked":
                continue
            text = texts[record["id"]]
            if heard[text] != 1:
                findings.append(f"{name}: acknowledged {record['id']} is {heard[text]} times in the journal")
            elif turn_of[text] != record["turn_id"]:
                findings.append(f"{name}: {record['id']} was promised as {record['turn_id']}, ran as {turn_of[text]}")
            elif ended[record["turn_id"]] != 1:
                findings.append(f"{name}: turn {record['turn_id']} ended {ended[record['turn_id']]} times")
    return findings


def check_answers(journal: dict[int, str]) -> list[str]:
    """Every turn that ran has exactly one end, and its last answer is not followed by more text."""
    findings: list[str] = []
    ends: dict[str, int] = {}
    for _, frame in sorted(journal.items()):
        event = json.loads(frame)
        kind, turn = event["messageType"], event.get("turnId", "")
        if kind in ("stream_end", "error"):
            ends[turn] = ends.get(turn, 0) + 1
        elif kind == "stream_start" and event["content"]["attempt"] > 1:
            ends[turn] = 0
        elif kind == "checkpoint" and ends.get(turn, 0) != 1:
            findings.append(f"turn {turn} has {ends.get(turn, 0)} ends before its checkpoint")
    return findings


def check_ledger(state: dict[str, Any], logs: dict[str, Log], journal: dict[int, str]) -> list[str]:
    """The `ledger` agent's state: it holds every acknowledged text, and its count is what its last answer said."""
    findings: list[str] = []
    texts = {r["id"]: r["text"] for log in logs.values() for r in log if r["what"] == "sent"}
    acked = [texts[r["id"]] for log in logs.values() for r in log if r["what"] == "acked"]
    entries = Counter(state.get("entries", []))
    findings += [f"state: acknowledged {text!r} is missing" for text in acked if not entries[text]]
    answers = [json.loads(f)["content"] for _, f in sorted(journal.items()) if '"messageType":"stream_end"' in f]
    spoken = [int(answer["text"]) for answer in answers if answer["text"].isdigit()]
    if spoken and spoken[-1] != state.get("count"):
        findings.append(f"state: count is {state.get('count')}, the last answer said {spoken[-1]}")
    if state.get("count", 0) != sum(entries.values()):
        findings.append(f"state: count is {state.get('count')}, with {sum(entries.values())} entries")
    return findings
