"""Processes behind open workspaces that die and are slow to come back: nobody gives up, and the running turn is not forgotten."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from chronicle.layout import Layout
from chronicle.model.errors import WorkspaceBusyError
from chronicle.workspace.marks import Lock
from podium.coordinator.adapters.workspaces import chronicled
from podium.coordinator.adapters.workspaces.mounting import mount_points
from podium.coordinator.adapters.workspaces.supervision import Supervision
from podium.coordinator.domain.ports import PreparedDeployment, Workspaces
from podium.wire.errors import PodiumError
from tests.contract.workspaces.conftest import started
from tests.noise import leaks
from tests.system.daemons import descendants, reap_adopted
from tests.waiting import wait_until

Make = Callable[..., PreparedDeployment]

versioned = pytest.mark.parametrize("kind", ["watch", "fuse"], indirect=True)


def daemon() -> int:
    """The process that supervises the mounts."""
    return next(pid for pid in leaks.children() if b"chronicled.py" in Path(f"/proc/{pid}/cmdline").read_bytes())


async def turn_of(workspaces: Workspaces, path: Path, name: str) -> str | None:
    """Under which turn a file that is written now is recorded."""
    async with asyncio.timeout(30):
        await workspaces.barrier("one")  # somebody serves it
        (path / name).write_text("x")
        await workspaces.barrier("one")
    with workspaces.library("one") as library:
        return library.history(name)[0].turn_id


@versioned
@pytest.mark.noisy("workspace_unserved")
async def test_a_process_that_takes_long_to_be_replaced_is_waited_for(
    kind: str, tmp_path: Path, deployment: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("podium.coordinator.adapters.workspaces.presence.LINK_SECONDS", 0.2)
    async with started(kind, tmp_path / "data") as workspaces:
        path = await workspaces.open("one", deployment(), owner=None)
        told: list[bytes] = []
        workspaces.follow("one", lambda found: told.extend(each.path for each in found))
        await workspaces.annotate("one", "turn-1")
        supervisor = daemon()
        os.kill(supervisor, signal.SIGSTOP)
        try:
            for worker in descendants(supervisor):
                os.kill(worker, signal.SIGKILL)
            await wait_until(lambda: "workspace_unserved" in caplog.text)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        assert await turn_of(workspaces, path, "after") == "turn-1"
        assert told == [b"after"]


@versioned
@pytest.mark.noisy("chronicle_died|not_mounted_again|workspace_refused|workspace_unserved")
async def test_a_workspace_that_can_not_be_mounted_again_at_once_is_tried_until_it_can(
    kind: str, tmp_path: Path, deployment: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(kind, tmp_path / "data") as workspaces:
        path = await workspaces.open("one", deployment(), owner=None)
        await workspaces.annotate("one", "turn-1")
        supervisor = daemon()
        below = descendants(supervisor)
        os.kill(supervisor, signal.SIGKILL)
        for worker in below:
            os.kill(worker, signal.SIGKILL)
        reap_adopted(below)
        with ExitStack() as held:
            held.callback(_taken(tmp_path / "data" / "agents" / "one" / "chronicle").release)
            await wait_until(lambda: "not_mounted_again" in caplog.text, 20)
            with pytest.raises(PodiumError):  # who wants to work there is told, not sent to an empty directory
                await workspaces.open("one", deployment(), owner=None)
        assert await turn_of(workspaces, path, "after") == "turn-1"
        reap_adopted(below)


@pytest.mark.noisy("chronicle_died")
async def test_stopping_while_the_daemon_is_being_started_again_leaves_none(tmp_path: Path) -> None:
    supervision = Supervision(tmp_path / "daemon", lambda: "", lambda: None)
    await supervision.start()
    first = supervision.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await wait_until(lambda: supervision.pid not in (first, None))
    await supervision.stop()
    assert supervision.pid is None


def _taken(store: Path) -> Lock:
    """The workspace's lock, as another program would hold it."""
    while True:
        try:
            return Lock.take(Layout(store))
        except WorkspaceBusyError:
            continue


COORDINATOR = """
import os, subprocess, sys
script, shared, directory = sys.argv[1:]
command = [sys.executable, "-P", script, str(os.getpid()), shared, "--directory", directory]
child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
child.wait()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("succeeded", [False, True])
def test_the_daemon_of_a_killed_coordinator_takes_away_its_mount_and_not_its_successors(
    tmp_path: Path, succeeded: bool
) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    mount, unmount = ["mount", "--bind", str(agents), str(agents)], ["umount", "--lazy", str(agents)]
    subprocess.run(mount, check=True)
    command = [sys.executable, "-c", COORDINATOR, chronicled.__file__, str(agents), str(tmp_path / "daemon")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        assert coordinator.stdout is not None
        pid, said = coordinator.stdout.readline().split(maxsplit=1)
        if succeeded:  # the next coordinator cleans up and mounts, while this one's daemon lives still
            subprocess.run(unmount, check=True)
            subprocess.run(mount, check=True)
        coordinator.kill()
    reap_adopted([int(pid)])
    assert said.startswith("ready")
    assert (str(agents) in [point.path for point in mount_points()]) == succeeded
    if succeeded:
        subprocess.run(unmount, check=True)
