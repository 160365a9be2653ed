"""Limits of a whole tree, held by control groups alone: of whichever version this host has them."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.coordinator.adapters.processes import HostSettings
from podium.coordinator.adapters.processes.cgroups import open_cgroups
from podium.coordinator.adapters.processes.hierarchies import CONTROLLERS, Hierarchy, parsed, survey
from podium.wire.manifest import Limits
from tests.bun import needs_bun
from tests.contract.process_host.deeds import CHILD, EXIT, MANY_CHILDREN, Deed
from tests.contract.process_host.parts import Place, Runtime, open_directory, place
from tests.waiting import wait_until

MEMORY = 192 * 2**20

HOARD = Deed(f"kept = bytearray(b'1') * {2 * MEMORY}", f"globalThis.kept = Buffer.alloc({2 * MEMORY}, 1);")
"""Uses twice its memory itself."""

CHILD_HOARDS = Deed(
    "import subprocess\nresult = subprocess.run([%(python)r, '-c', %(hoard)r]).returncode",
    "result = Bun.spawnSync([%(python)r, '-c', %(hoard)r]).signalCode === 'SIGKILL' ? -9 : 0;",
)
"""Starts a process that uses twice the memory; how that ended."""

held = {name: pytest.mark.skipif(name in survey().refusals, reason=f"no limit of {name} here") for name in CONTROLLERS}


@pytest.fixture(params=["python", pytest.param("typescript", marks=needs_bun)])
async def groups_only(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A host that sets no limits but those of groups."""
    runtime: Runtime = request.param
    directory = open_directory()
    settings = HostSettings(data=directory / "data", isolation="none", cgroups="always")
    async with place(settings, directory, runtime) as made:
        yield made


def file_of(pid: int, controller: str, name: str) -> str:
    """What is in a file of the group that a process is in."""
    hierarchies = parsed(Path("/proc/self/mountinfo").read_text(), Path(f"/proc/{pid}/cgroup").read_text())
    wanted = next(each for each in hierarchies if controller in each.controllers or each.version == 2)
    file = wanted.path / name
    return file.read_text() if file.exists() else ""


@held["memory"]
@pytest.mark.proves("ISOLATION-LIMITS", "LIMIT-MEMORY-TOLD")
async def test_an_agent_that_uses_more_memory_than_it_may_is_killed_and_the_end_tells_why(groups_only: Place) -> None:
    talk = await groups_only.start(groups_only.spec(groups_only.deployment(), Limits(memory=MEMORY)))
    talk.order(HOARD)
    status = await talk.ended()
    assert (status.code, status.signal) == (None, "SIGKILL")
    assert status.out_of_memory is not None
    assert (status.out_of_memory.limit_bytes, status.out_of_memory.killed) == (MEMORY, 1)
    assert MEMORY / 2 < (status.out_of_memory.peak_bytes or MEMORY) <= MEMORY


@held["memory"]
@pytest.mark.proves("ISOLATION-LIMITS")
async def test_memory_is_that_of_the_whole_tree(groups_only: Place) -> None:
    talk = await groups_only.start(groups_only.spec(groups_only.deployment(), Limits(memory=MEMORY)))
    hoard = {"python": sys.executable, "hoard": f"bytearray(b'1') * {2 * MEMORY}"}
    assert await talk.tell(CHILD_HOARDS % hoard) == -9
    talk.order(EXIT)
    status = await talk.ended()
    assert status.code == 3
    assert status.out_of_memory is not None


@held["memory"]
@pytest.mark.proves("LIMIT-MEMORY-TOLD")
async def test_an_agent_that_ends_otherwise_is_not_said_to_be_out_of_memory(groups_only: Place) -> None:
    talk = await groups_only.start(groups_only.spec(groups_only.deployment(), Limits(memory=MEMORY)))
    assert talk.process is not None
    await talk.process.kill()
    status = await talk.ended()
    assert (status.signal, status.out_of_memory) == ("SIGKILL", None)


@held["pids"]
@pytest.mark.proves("ISOLATION-LIMITS")
async def test_a_tree_has_only_so_many_processes(groups_only: Place) -> None:
    talk = await groups_only.start(groups_only.spec(groups_only.deployment(), Limits(processes=20)))
    assert await talk.tell(MANY_CHILDREN) == "refused"


@held["cpu"]
@pytest.mark.proves("ISOLATION-LIMITS")
async def test_a_tree_that_wants_more_processor_than_it_may_have_is_held_back(tmp_path: Path) -> None:
    groups = open_cgroups(HostSettings(data=tmp_path).mark)
    assert groups is not None
    group = groups.make("inst-busy", Limits(cpu=0.01))  # less than its share, however busy this host is
    with subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) as busy:
        try:
            group.add(busy.pid)

            def held_back() -> bool:
                stat = dict(line.split() for line in file_of(busy.pid, "cpu", "cpu.stat").splitlines())
                return int(stat["nr_throttled"]) > 1

            await wait_until(held_back, 60, "being held back by the quota")
            assert group.members() == [busy.pid]
        finally:
            group.kill()
    group.remove()
    groups.close()


@held["cpu"]
async def test_an_agent_gets_the_quota_of_its_manifest(groups_only: Place) -> None:
    talk = await groups_only.start(groups_only.spec(groups_only.deployment(), Limits(cpu=0.5)))
    assert talk.process is not None
    quotas = {"cpu.cfs_quota_us": "50000\n", "cpu.max": "50000 100000\n"}
    assert [text for name, text in quotas.items() if file_of(talk.process.pid, "cpu", name) == text]
    used = talk.process.resources().cpu_seconds
    await talk.tell(Deed("sum(range(10**7))", "for (let n = 0; n < 1e9; n++);"))
    assert talk.process.resources().cpu_seconds > used


async def test_a_group_that_is_killed_leaves_no_process_and_no_group(groups_only: Place) -> None:
    talk = await groups_only.start(groups_only.spec(groups_only.deployment()))
    await talk.tell(CHILD % "77")
    assert talk.process is not None
    lines = Path(f"/proc/{talk.process.pid}/cgroup").read_text()
    mine = [
        each.path
        for each in parsed(Path("/proc/self/mountinfo").read_text(), lines)
        if each.path.parent.name == f"podium-{groups_only.settings.mark}"
    ]
    assert mine
    await talk.process.kill()
    await groups_only.host.close()
    assert not [path for path in mine if path.parent.exists()]


@pytest.mark.proves("ORPHANS-ENDED-AT-START")
async def test_what_a_killed_coordinator_left_in_its_groups_is_ended_and_the_groups_removed(tmp_path: Path) -> None:
    mark = HostSettings(data=tmp_path).mark
    groups = open_cgroups(mark)
    if groups is None:
        pytest.skip("no groups can be made here")
    with subprocess.Popen(["/bin/sleep", "77"]) as sleeper:
        groups.make("inst-left", Limits()).add(sleeper.pid)
        again = open_cgroups(mark)
        assert again is not None
        assert again.kill_leftovers() == 1
        assert sleeper.wait(20) == -9
    again.close()
    assert not [path for each in survey().hierarchies if (path := each.path / f"podium-{mark}").exists()]


SCRIPT = """
import sys, pathlib
from podium.coordinator.adapters.processes.cgroups import open_cgroups
from podium.coordinator.adapters.processes.hierarchies import DAEMONS_NAME, survey
group = pathlib.Path(sys.argv[1])
group.joinpath("cgroup.procs").write_text("0")
groups = open_cgroups("test", (sys.argv[2],))
(found,) = [each for each in survey((sys.argv[2],)).hierarchies if each.version == 2]
print(sorted(groups.controllers), found.path == group, group.joinpath(DAEMONS_NAME, "cgroup.procs").read_text().split() != [])
groups.close()
"""


async def test_a_coordinator_in_a_group_of_version_2_makes_room_in_it(tmp_path: Path) -> None:
    """With whichever controller is in version 2 here: the rule is of the hierarchy, not of what is limited."""
    own = Path("/proc/self/cgroup").read_text()
    roots = [each for each in parsed(Path("/proc/self/mountinfo").read_text(), own) if each.version == 2]
    names = (roots[0].path / "cgroup.controllers").read_text().split() if roots else []
    if not names:
        pytest.skip("no controller is in version 2 here")
    path = roots[0].path / f"podium-test-{tmp_path.name}"
    try:
        (roots[0].path / "cgroup.subtree_control").write_text(f"+{names[0]}")
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no group of version 2 can be made here: {error}")
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(path), names[0]], capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == (f"['{names[0]}'] True True\n", "")
    finally:
        for each in (*path.iterdir(), path):
            if each.is_dir():
                each.rmdir()


VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
VERSION_1 = """\
33 25 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 25 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer"""
CONTAINER = "33 25 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"


@pytest.mark.parametrize(
    ("mounts", "own", "found"),
    [
        (VERSION_2, "0::/system.slice/podium.service", [(2, "/sys/fs/cgroup/system.slice/podium.service", set())]),
        (
            VERSION_1,
            "4:memory:/a\n3:cpu,cpuacct:/b\n2:freezer:/\n0::/",
            [(1, "/sys/fs/cgroup/memory/a", {"memory"}), (1, "/sys/fs/cgroup/cpu,cpuacct/b", {"cpu"})],
        ),
        (CONTAINER, "4:memory:/docker/abc", [(1, "/sys/fs/cgroup/memory", {"memory"})]),
        (CONTAINER, "4:memory:/", [(1, "/sys/fs/cgroup/memory", {"memory"})]),
        ("22 1 0:21 / /proc rw - proc proc rw", "0::/", []),
    ],
    ids=["version 2", "version 1", "a container's path from outside", "a container's own path", "none"],
)
def test_hierarchies_are_found_where_they_are_mounted(
    mounts: str, own: str, found: list[tuple[int, str, set[str]]]
) -> None:
    expected = [Hierarchy(version, Path(path), frozenset(names)) for version, path, names in found]
    assert list(parsed(mounts, own)) == expected
