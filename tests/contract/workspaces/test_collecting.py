"""Contents that no agent of a host needs any more are given up; all others stay readable."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chronicle.layout import Layout, Retention
from chronicle.model.errors import VersionDroppedError
from chronicle.workspace.collecting import GRACE_SECONDS, collect_at
from podium.coordinator.adapters.workspaces import VersionedSettings, VersionedWorkspaces, Whose, collecting
from podium.coordinator.adapters.workspaces.places import Places
from podium.coordinator.domain.ports import PreparedDeployment, WorkspaceLibrary

Make = Callable[..., PreparedDeployment]
BYTES = 200_000


async def _versions(workspaces: VersionedWorkspaces, agent_id: str, deployment: PreparedDeployment, count: int) -> int:
    """Writes a file so many times; the iteration of its first version."""
    await workspaces.open(agent_id, deployment, owner=None)

    def put(library: WorkspaceLibrary) -> int:
        return library.put(b"file", os.urandom(BYTES)).iteration

    made = [await workspaces.work(agent_id, put, seconds=10) for _ in range(count)]
    return made[0]


async def test_of_removed_agents_and_of_the_distant_past_nothing_is_kept(tmp_path: Path, deployment: Make) -> None:
    places = Places(tmp_path / "data")
    settings = VersionedSettings(backend="watch", linger=0.0, history_bytes=2 * BYTES)
    workspaces = VersionedWorkspaces(places.data, settings, Whose(lambda _: "acme", lambda _: None))
    await workspaces.start()
    try:
        prepared = deployment()
        first = await _versions(workspaces, "stays", prepared, 5)
        for agent_id in ("removed", "elsewhere"):
            await _versions(workspaces, agent_id, prepared, 2)
        await workspaces.remove("removed")
        await workspaces.detach("elsewhere")
        os.rename(places.agent("elsewhere"), places.agents / ".stale-elsewhere")
        assert Layout(places.store("stays")).read_settings().retention == Retention(history_bytes=2 * BYTES)

        def collected(later: float) -> int:
            now = time.time() + later
            return collect_at(places.pool("acme"), ours=places.agents, grace_s=GRACE_SECONDS, now=now).objects

        assert await asyncio.to_thread(collected, 0.0) == 0, "all of it is young"
        assert await asyncio.to_thread(collected, 2 * GRACE_SECONDS) == 2 + 2 + 3
        assert len(await workspaces.work("stays", lambda library: library.read(b"file"), seconds=10)) == BYTES

        def past(library: WorkspaceLibrary) -> bytes:
            return library.read(b"file", first)

        with pytest.raises(VersionDroppedError):
            await workspaces.work("stays", past, seconds=10)
    finally:
        await workspaces.stop()


async def test_a_run_goes_through_all_pools_whatever_is_wrong_with_one(tmp_path: Path, deployment: Make) -> None:
    places = Places(tmp_path / "data")
    tenants = {"one": "acme", "other": "bolt"}
    workspaces = VersionedWorkspaces(
        places.data, VersionedSettings(backend="watch", linger=0.0), Whose(tenants.get, lambda _: None)
    )
    await workspaces.start()
    try:
        for agent_id in tenants:
            await _versions(workspaces, agent_id, deployment(), 1)
        (places.pool("lost")).mkdir()
        (places.pool("lost") / "catalogue.db").write_bytes(b"no database at all" * 1000)
        told = {each["pool"]: each for each in await collecting.run(places.data)}
        assert {"acme", "bolt"} <= told.keys()
        assert [told[name]["kept"] for name in ("acme", "bolt")] == [1, 1]
        assert "error" not in told["acme"]
    finally:
        await workspaces.stop()


async def test_a_run_is_ended_with_who_asked_for_it(tmp_path: Path) -> None:
    running = asyncio.get_running_loop().create_task(collecting.run(tmp_path))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()  # that nothing of it is left is looked at after every test
