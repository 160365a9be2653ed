"""A process that writes batches until something ends it; run as a module by the tests beside it.

Arguments: the agent's directory, a seed, and, to be killed at a named point, its name and the how-manieth time.
It tells on its standard output, one JSON array a line: `["opening"]`, `["opened", head_seq, state_version]`, and after
each commit `["committed", head_seq, state_version]`.

Each batch that changes the state sets `/count` one higher and says the new count in its last event: after any death
the state must be what the last event with a count says.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from podium.base.clock import SystemClock
from podium.coordinator.adapters.store import AgentStore, InboxRow, StoreOptions

AGENT = "agt-killed"
BATCHES_MOST = 20_000
"""The writer ends by itself after so many batches, so that a test that fails leaves nothing running."""


def _tell(*what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _killed_at(point: str, time: int) -> Callable[[str], None]:
    left = time

    def fault(reached: str) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return fault


def _batch(store: AgentStore, count: int, lots: random.Random) -> int:
    """One batch of random make-up; the count after it."""
    with store.batch() as batch:
        for _ in range(lots.randint(0, 3)):
            batch.event("stream_update", b'{"text":"%d"}' % lots.randrange(10**9), instance_id="inst-1")
        if lots.random() < 0.3:
            name = f"m{batch.heads.seq + 1}"
            content = b'{"message_id":"%s","text":""}' % name.encode()
            event = batch.event("message.user", content, instance_id="inst-1", turn_id=f"turn-{name}")
            batch.accept(InboxRow(name, f"turn-{name}", b"{}", b"{}", event.seq))
            batch.remember_command(f"c{event.seq}", b"{}")
        if lots.random() < 0.7:
            count += 1
            if lots.random() < 0.05:
                batch.replace_state(store.state_version + 1, 1, b'{"count":%d,"fresh":true}' % count, "")
            else:
                ops = b'[{"op":"replace","path":"/count","value":%d}]' % count
                batch.delta(store.state_version + 1, ops, "")
            batch.event("stream_update", b'{"count":%d}' % count, instance_id="inst-1")
        for _ in range(lots.randint(0, 2)):
            batch.log("info", "x" * lots.randint(0, 300), "m", "agent", 1)
    return count


def main(directory: str, seed: str, point: str = "", time: str = "0") -> None:
    """Writes until it is killed."""
    lots = random.Random(int(seed))
    options = StoreOptions(snapshot_every_deltas=7, wal_max_bytes=100_000, fault=_killed_at(point, int(time)))
    _tell("opening")
    store = AgentStore.open(Path(directory), AGENT, SystemClock(), options)
    _tell("opened", store.head_seq, store.state_version)
    if store.state_version == 0:
        with store.batch() as batch:
            batch.replace_state(1, 1, b'{"count":0}', "")
    count = json.loads(store.state().data)["count"]
    for _ in range(BATCHES_MOST):
        count = _batch(store, count, lots)
        _tell("committed", store.head_seq, store.state_version)
        if store.maintenance_due:
            store.maintenance()
        if lots.random() < 0.05:
            store.seal()


if __name__ == "__main__":
    main(*sys.argv[1:])
