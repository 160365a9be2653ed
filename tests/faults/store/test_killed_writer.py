"""A process that writes an agent's databases is ended by SIGKILL: nothing it acknowledged is lost, nothing is half there."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from podium.base.clock import SystemClock
from podium.coordinator.adapters.store import AgentStore
from tests.faults.store.writer import AGENT

ROOT = Path(__file__).parents[3]
SEED = int(os.environ.get("PODIUM_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
ROUNDS = int(os.environ.get("PODIUM_FAULT_ROUNDS", "30"))
POINTS = [f"{name}.{when}" for name in ("state", "messages", "logs", "snapshot") for when in ("commit", "committed")]
POINTS += [f"{name}.seal.{when}" for name in ("state", "messages") for when in ("drafted", "linked", "renamed")]


def _start(directory: Path, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.faults.store.writer", str(directory), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)


def _read(writer: subprocess.Popen[bytes], lines: int) -> list[list[object]]:
    """At most so many of the next lines the writer told, fewer when it ended; half a line counts for nothing."""
    assert writer.stdout is not None
    found: list[list[object]] = []
    while len(found) < lines and (line := writer.stdout.readline()):
        if line.endswith(b"\n"):
            found.append(json.loads(line))
    return found


def _end(writer: subprocess.Popen[bytes]) -> list[list[object]]:
    """Kills the writer and gives what it told before."""
    writer.kill()
    told = _read(writer, sys.maxsize)
    assert writer.stdout is not None
    writer.stdout.close()
    writer.wait()
    return told


def _check(directory: Path, told: list[list[object]]) -> tuple[int, int]:
    """Opens what is left: clean, nothing acknowledged missing, the state that of the last event."""
    store = AgentStore.open(directory, AGENT, SystemClock())
    try:
        assert store.validate() == []
        for _what, seq, version in (line for line in told if line[0] != "opening"):
            assert isinstance(seq, int)
            assert isinstance(version, int)
            assert store.head_seq >= seq
            assert store.state_version >= version
        contents = [json.loads(row.content) for row in store.events(0, 1_000_000)]
        counts = [content["count"] for content in contents if "count" in content]
        assert counts == list(range(1, len(counts) + 1))
        state = json.loads(store.state().data)
        assert state.get("count", 0) == len(counts)
        assert store.state_version in (0, len(counts) + 1)
        accepted = [content["message_id"] for content in contents if "message_id" in content]
        assert [row.message_id for row in store.inbox_open()] == accepted
        return store.head_seq, store.state_version
    finally:
        store.close()


@pytest.mark.proves("STORE-ACKED-SURVIVES-KILL", "STORE-STATE-IS-THE-MARKS")
def test_a_writer_killed_at_random_moments_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    lots = random.Random(SEED)
    directory = tmp_path / "agent"
    before = (0, 0)
    for _ in range(ROUNDS):
        writer = _start(directory, lots.randrange(2**31))
        told = _read(writer, lots.randint(3, 300))
        after = _check(directory, told + _end(writer))
        assert after >= before
        before = after
    assert before[0] > 100


@pytest.mark.proves("STORE-ACKED-SURVIVES-KILL", "STORE-STATE-IS-THE-MARKS")
@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_a_named_point_leaves_all_of_a_batch_or_nothing(tmp_path: Path, point: str) -> None:
    print(f"seed {SEED}")
    lots = random.Random(SEED)
    directory = tmp_path / "agent"
    for _ in range(2):
        writer = _start(directory, lots.randrange(2**31), point, lots.randint(1, 30))
        told = _read(writer, sys.maxsize)
        assert writer.wait() == -9
        told += _end(writer)
        assert told[0] == ["opening"]
        _check(directory, told)


@pytest.mark.proves("STORE-ACKED-SURVIVES-KILL")
def test_a_writer_killed_while_it_makes_the_databases_leaves_none_that_can_not_be_opened(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    lots = random.Random(SEED)
    for number in range(ROUNDS):
        directory = tmp_path / f"agent-{number}"
        writer = _start(directory, 1)
        assert _read(writer, 1) == [["opening"]]
        moment = time.perf_counter() + lots.uniform(0, 0.006)
        while time.perf_counter() < moment:
            pass  # the random moment, finer than a sleep could make it
        _check(directory, _end(writer))
