"""Proves the guarantees of the stream from what clients wrote down and what the agent's journal holds.

Pure: takes logs (see `tests.faults.client`) and journal events, returns findings in words; none means proved.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Log = Sequence[dict[str, Any]]


def check_everything(logs: Mapping[str, Log], journal: dict[int, str]) -> list[str]:
    """Every guarantee of the stream, for one agent and all its clients."""
    findings = [found for name, log in logs.items() for found in check_client(name, log, journal)]
    findings += check_journal(journal) + check_answers(journal) + check_turns(journal) + check_checkpoints(journal)
    return findings + check_acknowledged(logs, journal) + check_order(logs, journal)


def check_client(name: str, log: Log, journal: dict[int, str], *, first: int = 1) -> list[str]:
    """What one client saw: every event from `first` on exactly once, in order, byte for byte as the journal has it."""
    seen = [record for record in log if record["what"] == "event"]
    numbers = [record["seq"] for record in seen]
    findings = [f"{name}: after event {a} came {b}" for a, b in pairwise(numbers) if b != a + 1]
    if numbers and numbers[0] != first:
        findings.append(f"{name}: the first event was {numbers[0]}, not {first}")
    for record in seen:
        kept = journal.get(record["seq"])
        if kept is None:
            findings.append(f"{name}: saw event {record['seq']}, which the journal does not have")
        elif record["frame"] != kept:
            findings.append(f"{name}: event {record['seq']} was {record['frame']}, the journal has {kept}")
    return findings


def check_journal(journal: dict[int, str]) -> list[str]:
    """The journal itself: numbered from 1 without gap, and each frame carries its own number."""
    findings = [f"journal: {n} is missing" for n in range(1, max(journal, default=0) + 1) if n not in journal]
    for seq, frame in journal.items():
        if json.loads(frame)["seq"] != seq:
            findings.append(f"journal: the frame at {seq} says {json.loads(frame)['seq']}")
    return findings


def check_acknowledged(logs: Mapping[str, Log], journal: dict[int, str]) -> list[str]:
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


def check_order(logs: Mapping[str, Log], journal: dict[int, str]) -> list[str]:
    """What one client sent, as far as it was acknowledged, is in the journal in the order in which it was first sent."""
    findings: list[str] = []
    users = [json.loads(f) for _, f in sorted(journal.items()) if '"messageType":"message.user"' in f]
    seq_of = {event["content"].get("text"): event["seq"] for event in users}
    for name, log in logs.items():
        texts = {
            record["id"]: record["text"] for record in log if record["what"] == "sent"
        }  # in order of first sending
        acked = {record["id"] for record in log if record["what"] == "acked"}
        kept = [(text, seq_of[text]) for sent, text in texts.items() if sent in acked and text in seq_of]
        for (before, seq_before), (text, seq) in pairwise(kept):
            if seq < seq_before:
                findings.append(f"{name}: {text!r} was sent after {before!r}, but has event {seq}, before {seq_before}")
    return findings


def check_turns(journal: dict[int, str]) -> list[str]:
    """Turns run one at a time; the attempts of each count up from 1, and after its checkpoint it says nothing more."""
    findings: list[str] = []
    attempts: dict[str, int] = {}
    over: set[str] = set()
    running = ""
    for seq, frame in sorted(journal.items()):
        event = json.loads(frame)
        kind, turn = event["messageType"], event.get("turnId", "")
        if not turn or kind == "message.user":
            continue
        if turn in over:
            findings.append(f"turn {turn} is over, but event {seq} ({kind}) is of it")
        if kind == "stream_start":
            attempt, before = event["content"]["attempt"], attempts.get(turn, 0)
            if running not in ("", turn):
                findings.append(f"turn {turn} starts at event {seq} while {running} runs")
            if attempt < before or (before == 0 and attempt < 1):
                findings.append(f"turn {turn} starts attempt {attempt} at event {seq} after attempt {before}")
            attempts[turn], running = attempt, turn
        elif kind == "checkpoint":
            over.add(turn)
            running = "" if running == turn else running
    return findings


def check_checkpoints(journal: dict[int, str]) -> list[str]:
    """Each checkpoint names itself, and the moments they name never go back."""
    findings: list[str] = []
    version = iteration = 0
    for seq, frame in sorted(journal.items()):
        event = json.loads(frame)
        if event["messageType"] != "checkpoint":
            continue
        content = event["content"]
        if (content["seq"], content["turn_id"]) != (seq, event["turnId"]):
            findings.append(f"the checkpoint at event {seq} names event {content['seq']} of {content['turn_id']}")
        if content["state_version"] < version or content["iteration"] < iteration:
            findings.append(f"the checkpoint at event {seq} goes back to version {content['state_version']}")
        version, iteration = content["state_version"], content["iteration"]
    return findings


def check_ledger(state: dict[str, Any], logs: Mapping[str, Log], journal: dict[int, str]) -> list[str]:
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
    known = _attempts(journal)
    for text, times in entries.items():
        if times > known.get(text, 0):
            findings.append(f"state: {text!r} is there {times} times, its turn was started {known.get(text, 0)} times")
    if state.get("count", 0) != sum(entries.values()):
        findings.append(f"state: count is {state.get('count')}, with {sum(entries.values())} entries")
    return findings


def _attempts(journal: dict[int, str]) -> dict[str, int]:
    """How often the turn of each text was started."""
    events = [json.loads(frame) for frame in journal.values()]
    started: dict[str, int] = {}
    for event in events:
        if event["messageType"] == "stream_start":
            started[event["turnId"]] = max(started.get(event["turnId"], 0), event["content"]["attempt"])
    users = [event for event in events if event["messageType"] == "message.user"]
    return {event["content"]["text"]: started.get(event["turnId"], 0) for event in users}
