"""What is left when a run is over: logs of clients, the journal, every host's copy, claims, state, files, signs of life."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import obstore

from podium.wire.envelope import EventRow, FrameWriter
from tests.faults.cluster.bench import Bench

STALE: Final = ".stale-"
"""What directories of data begin with that another host has newer ones of."""

Log = Sequence[dict[str, Any]]


class Claim(NamedTuple):
    """Who may write under an epoch. `at`: seconds, and up to one second too early: that is how exact S3 tells it."""

    epoch: int
    host: int
    at: float


class Pulse(NamedTuple):
    """One process of an agent: on which host, from when to when it said that it lives, in seconds."""

    host: int
    first: float
    last: float


@dataclass(frozen=True)
class Evidence:
    """Everything about one agent. `files`: name → size and, of some, the text. `copies`: journals on other hosts, older ones."""

    agent_id: str
    is_sync: bool
    logs: Mapping[str, Log]
    journal: Mapping[int, str]
    state: Mapping[str, Any]
    files: Mapping[str, tuple[int, str | None]]
    claims: Sequence[Claim]
    copies: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    pulses: Sequence[Pulse] = ()


def read_journal(agent_directory: Path, agent_id: str) -> dict[int, str]:
    """The events in the databases of an agent, as frames."""
    found: dict[int, str] = {}
    writer = FrameWriter(agent_id)
    for path in sorted((agent_directory / "messages").glob("*.db")):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT seq, type, content, instance_id, turn_id, ts FROM event").fetchall()
        for seq, kind, content, instance_id, turn_id, ts in rows:
            row = EventRow(seq, kind, bytes(content or b""), instance_id, turn_id or "", ts)
            found[seq] = writer.write(row).decode()
    return dict(sorted(found.items()))


def read_copies(bench: Bench, agent_id: str, home: int) -> dict[int, dict[int, str]]:
    """What other hosts than the agent's home have of its journal."""
    copies: dict[int, dict[int, str]] = {}
    for number, host in enumerate(bench.hosts):
        places = [host.data / "agents" / f"{STALE}{agent_id}"]
        if number != home:
            places.append(host.data / "agents" / agent_id)
        for place in places:
            with contextlib.suppress(sqlite3.Error):
                copies.setdefault(number, {}).update(read_journal(place, agent_id))
    return {number: copy for number, copy in copies.items() if copy}


def read_claims(bench: Bench, agent_id: str) -> list[Claim]:
    """All claims of an agent's epochs, in their order."""
    client = bench.s3.client()
    prefix = f"replicas/claims/{agent_id}/"
    found = []
    for page in obstore.list(client, prefix=prefix):
        for info in page:
            owner = bytes(obstore.get(client, info["path"]).bytes()).decode()
            epoch = int(info["path"].rpartition("/")[2])
            found.append(Claim(epoch, int(owner.removeprefix("coord-")), info["last_modified"].timestamp()))
    return sorted(found)


def read_pulses(file: Path) -> list[Pulse]:
    """Signs of life, one pulse for each process, in the order of their beginnings."""
    lives: dict[str, Pulse] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        at, life, place = line.split(" ", 2)
        host = int(place.partition("/host-")[2].partition("/")[0])
        before = lives.get(life)
        lives[life] = Pulse(host, float(at) if before is None else before.first, float(at))
    return sorted(lives.values(), key=lambda pulse: pulse.first)


def kept(evidence: Evidence, directory: Path) -> None:
    """Writes everything down, for a person to look into."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, log in evidence.logs.items():
        (directory / f"{name}.jsonl").write_text("\n".join(json.dumps(record) for record in log))
    (directory / f"{evidence.agent_id}.journal").write_text("\n".join(evidence.journal.values()))
    facts = {
        "state": dict(evidence.state),
        "files": dict(evidence.files),
        "claims": list(evidence.claims),
        "pulses": list(evidence.pulses),
        "copies": {host: list(copy.values()) for host, copy in evidence.copies.items()},
    }
    (directory / f"{evidence.agent_id}.json").write_text(json.dumps(facts, indent=1))
