"""A host that loses power keeps some beginning of what was written to each file, of each a different one: the databases
open again, whole, each as after some commit."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from podium.base.clock import SystemClock
from podium.coordinator.adapters.store import AgentStore
from tests.faults.store.writer import AGENT

SEED = int(os.environ.get("PODIUM_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
BATCHES = 60
CUTS = 60
LOGS = ("db/state.db-wal", "messages/messages.db-wal", "logs/agent.db-wal")


def _life(directory: Path) -> AgentStore:
    """A store whose batches each say a count and set it; never checkpointed after its first moments."""
    store = AgentStore.open(directory, AGENT, SystemClock())
    with store.batch() as batch:
        batch.replace_state(1, 1, b'{"count":0}', "")
    store.checkpoint_files()
    for count in range(1, BATCHES):
        with store.batch() as batch:
            batch.event("stream_update", b'{"count":%d}' % count, instance_id="inst-1")
            batch.delta(count + 1, b'[{"op":"replace","path":"/count","value":%d}]' % count, "")
            batch.log("info", f"count {count}", "m", "agent", 1)
    return store


@pytest.mark.noisy("state_behind_journal")
def test_files_cut_at_different_moments_open_whole_and_go_on(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    lots = random.Random(SEED)
    store = _life(tmp_path / "whole")
    seen: set[tuple[int, int]] = set()
    for cut in range(CUTS):
        left = tmp_path / f"left-{cut}"
        shutil.copytree(tmp_path / "whole", left, ignore=shutil.ignore_patterns("*-shm"))
        for name in LOGS:
            os.truncate(left / name, lots.randint(0, (left / name).stat().st_size))
        again = AgentStore.open(left, AGENT, SystemClock())
        assert again.validate() == []
        count = again.state_version - 1
        assert json.loads(again.state().data) == {"count": count}
        assert count <= again.head_seq
        assert [row.seq for row in again.events(0, 1000)] == list(range(1, again.head_seq + 1))
        lines = again.last_log_lines(1000)
        assert lines == [f"count {n}" for n in range(1, len(lines) + 1)]
        seen.add((again.head_seq, count))
        with again.batch() as batch:
            batch.event("stream_update", b"{}", instance_id="inst-1")
            batch.delta(again.state_version + 1, b'[{"op":"replace","path":"/count","value":-1}]', "")
        assert again.state().data == b'{"count":-1}'
        assert again.validate() == []
        again.close()
    store.close()
    assert len(seen) > CUTS / 3
