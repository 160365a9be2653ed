"""Proves the guarantees of the cluster from the evidence of a run. Pure; returns findings in words, none means proved.

What belongs to one journal (order, numbers, turns) is `tests.faults.checker`'s. Here is what several hosts add: who owned the agent when,
and what of its history may be missing because a host was lost.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from tests.faults.checker import (
    check_acknowledged,
    check_answers,
    check_checkpoints,
    check_client,
    check_journal,
    check_ledger,
    check_order,
    check_turns,
)
from tests.faults.cluster.episodes import Episode
from tests.faults.cluster.evidence import Claim, Evidence, Log
from tests.faults.cluster.workload import file_of

HISTORY_SECONDS: Final = 2.0
"""Of an agent with the default durability at most so much is lost with its host."""

CLOCK_SECONDS: Final = 1.0
"""A claim may be so much later than S3 says, whose times are whole seconds."""

WAY_SECONDS: Final = 1.0
"""An event that was shown may need so long to a client on a busy machine."""

PULSE_SECONDS: Final = 0.25
"""Two processes whose signs of life overlap by less may as well have followed each other: one comes every 0.1 s."""

WAKING_SECONDS: Final = 5.0
"""A coordinator that was stopped ends the agents that are others' now within this, once it goes on."""

COMES_BACK: Final = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1013, 4408})
"""Close codes after which a client connects again with `after`."""

LOST: Final = "event.lost"


class Window(NamedTuple):
    """From when to when what an agent with the default durability did may be lost; `fault`: when the fault began that is to blame."""

    since: float
    until: float
    fault: float


def takeovers(claims: Sequence[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Each claim by which an agent changed its host, with the one before."""
    for index in range(1, len(claims)):
        if claims[index].host != claims[index - 1].host:
            yield claims[index - 1], claims[index]


def owner_at(claims: Sequence[Claim], at: float) -> int | None:
    """The host that owned the agent then; None: nobody yet."""
    owners = [claim.host for claim in claims if claim.at <= at]
    return owners[-1] if owners else None


def windows(evidence: Evidence, episodes: Sequence[Episode]) -> list[Window]:
    """What may be lost: with `sync` nothing; else, for each change of the host, from shortly before the fault that caused it."""
    found = []
    for _, after in [] if evidence.is_sync else list(takeovers(evidence.claims)):
        began = max((each.began for each in episodes if each.began <= after.at + CLOCK_SECONDS), default=after.at)
        found.append(Window(began - HISTORY_SECONDS, after.at + CLOCK_SECONDS + WAY_SECONDS, began))
    return found


def check(evidence: Evidence, episodes: Sequence[Episode]) -> list[str]:
    """Every guarantee, for one agent."""
    may_be_lost = windows(evidence, episodes)
    journal = dict(evidence.journal)
    findings = check_journal(journal) + check_answers(journal) + check_turns(journal)
    if not may_be_lost:
        findings += check_checkpoints(journal)
    for name, log in evidence.logs.items():
        findings += check_client(name, log, _as_seen(log, journal, may_be_lost))
    logs = {name: _without_lost(log, journal, may_be_lost) for name, log in evidence.logs.items()}
    findings += check_acknowledged(logs, journal) + check_order(logs, journal)
    findings += check_ledger(dict(evidence.state), logs, journal)
    findings += check_files(evidence, may_be_lost) + check_owner(evidence) + check_processes(evidence, episodes)
    findings += [found for name, log in evidence.logs.items() for found in check_refusals(name, log, episodes)]
    return [f"{evidence.agent_id}: {found}" for found in findings]


def history_lost(evidence: Evidence, episodes: Sequence[Episode]) -> float:
    """How many seconds before a fault the oldest event was shown that is lost; 0: nothing from before a fault is."""
    found = [0.0]
    losses = windows(evidence, episodes)
    for log in evidence.logs.values():
        for record in log:
            if record["what"] == "event" and _is_lost(record, evidence.journal):
                faults = [window.fault for window in losses if record["at"] <= window.until]
                found.append(min(faults) - record["at"] if faults else 0.0)
    return max(found)


def check_files(evidence: Evidence, may_be_lost: Sequence[Window]) -> list[str]:
    """The file of every message whose turn is over is there, whole."""
    findings = []
    events = [json.loads(frame) for frame in evidence.journal.values()]
    texts = {e["turnId"]: e["content"]["text"] for e in events if e["messageType"] == "message.user"}
    for event in events:
        if event["messageType"] != "checkpoint" or event["turnId"] not in texts:
            continue
        if any(window.since <= event["ts"] / 1000 <= window.until for window in may_be_lost):
            continue
        name, body = file_of(texts[event["turnId"]])
        size, text = evidence.files.get(name, (-1, None))
        if size != len(body):
            findings.append(f"file {name!r} of a turn that is over has {size} bytes, not {len(body)}")
        elif text not in (None, body):
            findings.append(f"file {name!r} of a turn that is over has other contents")
    return findings


def check_owner(evidence: Evidence) -> list[str]:
    """No host wrote an event after another had claimed a newer epoch: what only its own copy has is older than that."""
    findings = []
    epochs = [claim.epoch for claim in evidence.claims]
    if epochs != sorted(set(epochs)):
        findings.append(f"epochs are claimed twice: {epochs}")
    for host, copy in evidence.copies.items():
        for seq, frame in copy.items():
            if evidence.journal.get(seq) == frame:
                continue
            event = json.loads(frame)
            at = event["ts"] / 1000
            owners = {owner_at(evidence.claims, at), owner_at(evidence.claims, at - CLOCK_SECONDS)}
            if host not in owners:
                findings.append(
                    f"host {host} wrote event {seq} ({event['messageType']}) while {owners} owned the agent"
                )
    return findings


def check_processes(evidence: Evidence, episodes: Sequence[Episode]) -> list[str]:
    """The agent ran in at most one place; while its coordinator is stopped nobody can end it, and only it may be too many."""
    findings = []
    for index, one in enumerate(evidence.pulses):
        for other in evidence.pulses[index + 1 :]:
            since, until = max(one.first, other.first), min(one.last, other.last)
            if until - since <= PULSE_SECONDS or _is_stopped((one.host, other.host), since, until, episodes):
                continue
            where = f"on hosts {one.host} and {other.host}"
            findings.append(f"two processes ran {where} for {until - since:.2f} s, from {since:.2f}")
    return findings


def check_refusals(name: str, log: Log, episodes: Sequence[Episode]) -> list[str]:
    """Nobody who had a right to the agent was sent away for good. Only Valkey that was emptied knows no keys for a while."""
    no_keys = [(each.began, each.ended + WAKING_SECONDS) for each in episodes if each.name == "Valkey emptied"]
    return [
        f"{name}: the connection ended with {record['code']}"
        for record in log
        if record["what"] == "lost"
        and record["code"] not in COMES_BACK
        and not any(since <= record["at"] <= until for since, until in no_keys)
    ]


def ran_twice(evidence: Evidence) -> float:
    """The longest time for which two processes of the agent were there, in seconds."""
    pulses = evidence.pulses
    both = [
        min(one.last, other.last) - max(one.first, other.first)
        for index, one in enumerate(pulses)
        for other in pulses[index + 1 :]
    ]
    return max([0.0, *both])


def recoveries(evidence: Evidence, episode: Episode) -> float | None:
    """Seconds from the death of the agent's coordinator to the first event that was made after it, as its clients saw it; None: the agent
    was not there."""
    if episode.died is None or owner_at(evidence.claims, episode.began) != episode.host:
        return None
    seen = [
        record["at"]
        for log in evidence.logs.values()
        for record in log
        if record["what"] == "event" and record["at"] > episode.died and _made_after(record, episode.died)
    ]
    return min(seen) - episode.died if seen else None


def silence(evidence: Evidence, episode: Episode, until: float) -> float:
    """The longest time without an event for any client, from the beginning of an episode to `until`."""
    seen: list[float] = sorted(
        record["at"]
        for log in evidence.logs.values()
        for record in log
        if record["what"] == "event" and episode.began <= record["at"] <= until
    )
    return max(after - before for before, after in pairwise([episode.began, *seen, until]))


def _made_after(record: Mapping[str, Any], at: float) -> bool:
    event = json.loads(record["frame"])
    return bool(event["ts"] > at * 1000 and event["messageType"] != LOST)


def _is_lost(record: Mapping[str, Any], journal: Mapping[int, str]) -> bool:
    """Whether a client saw an event of which the journal has only the number."""
    kept = journal.get(record["seq"], "")
    return kept.startswith(f'{{"messageType":"{LOST}"') and record["frame"] != kept


def _as_seen(log: Log, journal: Mapping[int, str], may_be_lost: Sequence[Window]) -> dict[int, str]:
    """The journal with those events that may be lost as this client saw them."""
    seen = dict(journal)
    for record in log:
        in_time = any(window.since <= record["at"] <= window.until for window in may_be_lost)
        if record["what"] == "event" and in_time and _is_lost(record, journal):
            seen[record["seq"]] = record["frame"]
    return seen


def _without_lost(log: Log, journal: Mapping[int, str], may_be_lost: Sequence[Window]) -> list[dict[str, Any]]:
    """A log without those promises that may be lost, and are; perhaps it was done when it was sent again, as another turn."""
    texts = {record["id"]: record["text"] for record in log if record["what"] == "sent"}
    events = [json.loads(frame) for frame in journal.values()]
    heard = {e["content"].get("text"): e.get("turnId") for e in events if e["messageType"] == "message.user"}
    return [
        record
        for record in log
        if not (
            record["what"] == "acked"
            and heard.get(texts[record["id"]]) != record["turn_id"]
            and any(window.since <= record["at"] <= window.until for window in may_be_lost)
        )
    ]


def _is_stopped(hosts: tuple[int, int], since: float, until: float, episodes: Sequence[Episode]) -> bool:
    return any(
        episode.name.startswith("coordinator stopped")
        and episode.host in hosts
        and episode.began <= since
        and until <= episode.ended + WAKING_SECONDS
        for episode in episodes
    )
