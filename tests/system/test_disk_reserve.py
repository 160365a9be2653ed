"""A disk that is nearly full: no more agents, then no more writing, and everything goes on when there is room."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import source
from tests.system.api import Caller
from tests.system.daemons import Daemons
from tests.waiting import wait_until

MIB = 2**20

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk (a tmpfs of 64 MiB)")


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    """A platform whose data lie on a disk of 64 MiB, 30 % of it reserved from new agents, 15 % from writing."""
    place = tmp_path_factory.mktemp("small") / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", str(place)], check=True)
    running = Daemons(place, {"DISK_RESERVE": "30%", "DISK_WRITE_RESERVE": "15%"})
    try:
        asyncio.run(running.start_all())
        yield running
    finally:
        running.close()
        subprocess.run(["umount", str(place)], check=True)


def leave(directory: Path, share: float) -> None:
    """Fills the disk until this share of it is free."""
    disk = os.statvfs(directory)
    more = disk.f_bavail - int(disk.f_blocks * share)
    (directory / f"filler-{share}").write_bytes(b"x" * (more * disk.f_frsize))


def empty(directory: Path) -> None:
    """Takes what filled it away."""
    for filler in directory.glob("filler-*"):
        filler.unlink()


@pytest.mark.proves("LIMIT-DISK-RESERVE")
async def test_a_disk_down_to_its_reserve_takes_nothing_on_and_loses_nothing(
    caller: Caller, daemons: Daemons, agent_type: str, tmp_path: Path
) -> None:
    deployment = await caller.deploy(tmp_path, agent_type, source("shell"))
    instance = (await caller.create(deployment))["instance_id"]
    path = f"/api/v1/instances/{instance}/messages"

    async def sh(command: str) -> str:
        answer = await caller("POST", f"{path}?wait=true", json={"text": "sh", "script": command})
        assert answer.status == 200, answer.text
        return str(answer.body["text"])

    assert "kept" in await sh("echo kept > notes; cat notes")
    try:
        leave(daemons.directory, 0.25)
        refused = await caller("POST", "/api/v1/instances", json={"deployment_id": deployment})
        assert (refused.status, refused.code) == (503, "no_coordinator_available")
        assert "more" in await sh("echo more >> notes && cat notes"), "agents that are here go on"

        script = "i=0; while [ $i -lt 200 ] && echo more > other$i; do i=$((i+1)); sleep 0.1; done"
        accepted = await caller("POST", path, json={"text": "sh", "script": script})
        assert accepted.status == 202
        leave(daemons.directory, 0.1)

        async def answered() -> bool:
            said = (await caller("GET", f"{path}?limit=100")).body["items"][-1]
            return bool(said["role"] == "agent" and "No space left on device" in said["text"])

        await wait_until(answered, 60)
        full = await caller("POST", path, json={"text": "pid"})
        assert (full.status, full.code) == (503, "workspace_unavailable")
        assert "of the agent's host" in full.body["detail"]
    finally:
        empty(daemons.directory)
    assert "kept\nmore" in await sh("cat notes; echo again >> notes")
    assert (await caller("POST", "/api/v1/instances", json={"deployment_id": deployment})).status == 201
