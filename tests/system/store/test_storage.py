"""What a long life costs on disk, and in time."""

import random
from pathlib import Path

import msgspec
import pytest

from podium.base.clock import SystemClock
from podium.coordinator.adapters.store import AgentStore

TURNS = 10_000
STATE_BYTES = 1024 * 1024
LIMIT_BYTES = 100 * 1024 * 1024
AGENT = "agt-1"

encode = msgspec.json.encode


def long_state() -> dict[str, list[str]]:
    """1 MiB of text that packs as badly as prose may: random words."""
    lots = random.Random(7)
    words = ["".join(lots.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(STATE_BYTES // 11)]
    return {"items": words}


@pytest.mark.proves("STORE-GROWS-WITH-CHANGES")
def test_ten_thousand_turns_over_a_large_state_stay_below_100_mib(tmp_path: Path) -> None:
    store = AgentStore.open(tmp_path / AGENT, AGENT, SystemClock())
    state = long_state()
    with store.batch() as batch:
        batch.replace_state(1, 1, encode(state), "")
    assert len(store.state().data) > STATE_BYTES * 0.99
    for turn in range(TURNS):
        with store.batch() as batch:
            text = f"turn {turn}: something was said about it"
            ops = encode([{"op": "replace", "path": f"/items/{turn}", "value": text}])
            batch.delta(store.state_version + 1, ops, f"turn-{turn}")
            batch.event("stream_end", encode({"text": text}), instance_id="inst-1", turn_id=f"turn-{turn}")
        state["items"][turn] = text
        if store.maintenance_due:
            store.maintenance()
    snapshots, packed = store._state.rows("SELECT count(*), sum(length(data)) FROM snapshot")[0]
    assert snapshots < 20
    assert packed < snapshots * STATE_BYTES
    assert store.state().data == encode(state)
    assert encode(text).strip(b'"') in store.state(TURNS + 1).data
    store.close()
    used = sum(path.stat().st_size for path in (tmp_path / AGENT).rglob("*") if path.is_file())
    print(f"{used / 2**20:.1f} MiB, {snapshots} snapshots of {packed / 2**20:.1f} MiB")
    assert used < LIMIT_BYTES / 2
