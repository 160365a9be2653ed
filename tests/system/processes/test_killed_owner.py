"""A host process killed by SIGKILL leaves nothing running, whatever its agents did to get away."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podium.coordinator.adapters.processes import HostSettings
from podium.coordinator.adapters.processes.cgroups import open_cgroups
from podium.coordinator.adapters.processes.orphans import end_orphans, marked
from podium.coordinator.adapters.processes.tree import children_of
from tests.agents import Runtime, in_every_language
from tests.contract.process_host.deeds import DAEMONS
from tests.contract.process_host.parts import commands, open_directory
from tests.waiting import wait_until

NOBODY = 65534
AGENTS = 3
START_SECONDS = 60.0
REPOSITORY = Path(__file__).parents[3]

HOSTS: dict[str, dict[str, Any]] = {
    "process": {"isolation": "process"},
    "none": {"isolation": "none"},
    "subreaper instead of a pid namespace": {"isolation": "process", "without": ["pid_namespace"]},
    "no namespaces at all": {"isolation": "process", "without": ["pid_namespace", "user_namespace"]},
    "cgroups": {"isolation": "process", "cgroups": "always"},
}


@pytest.fixture
def data() -> Iterator[Path]:
    directory = open_directory()
    (directory / "data").mkdir(mode=0o755)
    yield directory / "data"
    if (groups := open_cgroups(HostSettings(data=directory / "data").mark)) is not None:
        groups.kill_leftovers()
        groups.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["root", "ordinary user"])
def user(request: pytest.FixtureRequest, data: Path) -> dict[str, Any]:
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        return {}
    if os.geteuid() != 0:
        return {}
    if not _reachable(NOBODY):
        pytest.skip("another user can't reach this interpreter and repository")
    for path in (data.parent, data):
        os.chown(path, NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def _reachable(uid: int) -> bool:
    command = [sys.executable, "-c", "import podium.agent, tests.waiting"]
    return subprocess.run(command, cwd=REPOSITORY, user=uid, group=uid, extra_groups=[], check=False).returncode == 0


def start_owner(
    data: Path, token: str, options: dict[str, Any], user: dict[str, Any], runtime: Runtime
) -> subprocess.Popen[bytes]:
    """An owner with its agents and their daemons running."""
    owner = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.system.processes.owner",
            str(data),
            token,
            json.dumps(options),
            str(AGENTS),
            runtime,
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(data.parent), "HOME": str(data.parent)},
        **user,
    )
    assert owner.stdout is not None
    ready, _, _ = select.select([owner.stdout], [], [], START_SECONDS)
    assert ready, "the owner did not start"
    assert owner.stdout.readline(), "the owner ended"
    return owner


def nothing_adopted(before: list[int]) -> bool:
    """Reaps what had no parent any more and came to this process, as it comes to init elsewhere. `before`: children it had already."""
    return not [pid for pid in set(children_of(os.getpid())) - set(before) if os.waitpid(pid, os.WNOHANG)[0] == 0]


@pytest.mark.proves("ISOLATION-NO-ORPHAN")
@pytest.mark.parametrize("way", HOSTS)
@in_every_language
async def test_kill_minus_nine_leaves_no_survivor(way: str, user: dict[str, Any], data: Path, runtime: Runtime) -> None:
    token, before = f"{10**6 + uuid.uuid4().int % 10**9}", children_of(os.getpid())
    owner = start_owner(data, token, HOSTS[way], user, runtime)
    # The owner itself has the token in its arguments.
    await wait_until(lambda: len(commands(token)) - 1 == AGENTS * DAEMONS, what="all daemons of all agents")
    owner.send_signal(signal.SIGKILL)
    owner.wait(10)
    assert owner.stdout is not None
    owner.stdout.close()
    mark = HostSettings(data=data).mark
    await wait_until(lambda: not commands(token) and not marked(mark), timeout=5, what="all gone")
    await wait_until(lambda: nothing_adopted(before))


@pytest.mark.proves("ORPHANS-ENDED-AT-START")
async def test_a_host_opened_again_ends_what_it_finds_of_an_earlier_one(data: Path) -> None:
    token, before = f"{10**6 + uuid.uuid4().int % 10**9}", children_of(os.getpid())
    mark = HostSettings(data=data).mark
    script = f"import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.execv('/bin/sleep', ['sleep', '{token}'])\n"
    subprocess.run([sys.executable, "-c", script], env={"PODIUM_HOST_MARK": mark}, check=True)
    await wait_until(lambda: len(commands(token)) == 1, what="an orphan")
    seen, left = end_orphans(mark, 5)
    assert (seen, left) == (1, [])
    assert not commands(token)
    await wait_until(lambda: nothing_adopted(before))
