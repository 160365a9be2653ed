"""What every way of starting processes must hold, over real processes: by level, by start, with features switched off."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podium.coordinator.adapters.processes import HostSettings
from podium.coordinator.adapters.processes.runtimes import BUN_ENVIRONMENT
from podium.coordinator.adapters.processes.settings import AGENT_UID_BASE
from podium.coordinator.domain.ports import ProcessStartError
from podium.wire.manifest import Limits
from podium.wire.rest import Resources
from tests.bun import needs_bun
from tests.contract.process_host.deeds import (
    CHILD,
    DAEMON,
    DAEMONS,
    DEFAULT_SIGTERM,
    DESCRIBE,
    DESCRIPTORS,
    EXIT,
    IDS,
    LIMITS,
    MANY_CHILDREN,
    OPEN,
    PRINT_AND_EXIT,
    PYTHON_HANDS,
    SAY_ONE,
    SIGNAL,
    STATUS,
    Deed,
)
from tests.contract.process_host.parts import Place, Runtime, Talk, commands, open_directory, place
from tests.waiting import wait_until

WAYS: dict[str, dict[str, Any]] = {
    "none": {"isolation": "none"},
    "process": {"isolation": "process"},
    "process, cgroups": {"isolation": "process", "cgroups": "always"},
    "process, no pid namespace": {"isolation": "process", "without": frozenset({"pid_namespace"})},
    "process, no namespaces": {"isolation": "process", "without": frozenset({"pid_namespace", "user_namespace"})},
}


RUNTIMES = ["python", pytest.param("typescript", marks=needs_bun)]


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each language agents are written in."""
    chosen: Runtime = request.param
    return chosen


@pytest.fixture(params=WAYS)
async def there(request: pytest.FixtureRequest, runtime: Runtime) -> AsyncIterator[Place]:
    directory = open_directory()
    async with place(HostSettings(data=directory / "data", **WAYS[request.param]), directory, runtime) as made:
        yield made


@pytest.fixture
async def closed_in(runtime: Runtime) -> AsyncIterator[Place]:
    directory = open_directory()
    async with place(HostSettings(data=directory / "data", isolation="process"), directory, runtime) as made:
        yield made


@pytest.fixture
async def python() -> AsyncIterator[Place]:
    """What only templates with an imported module do."""
    directory = open_directory()
    async with place(HostSettings(data=directory / "data", isolation="process"), directory) as made:
        yield made


def token() -> str:
    """A number of seconds no other sleeper sleeps."""
    return f"{10**6 + uuid.uuid4().int % 10**9}"


@pytest.mark.parametrize("preload", [True, False], ids=["forked", "plain"])
async def test_an_agent_is_started_linked_and_takes_turns(there: Place, preload: bool) -> None:
    talk = await there.start(there.spec(there.deployment(preload=preload)))
    assert await talk.tell("result = 6 * 7") == 42


@pytest.mark.proves("PRELOAD-SAME-RESULT")
@pytest.mark.parametrize("preload", [True, False], ids=["forked", "plain"])
async def test_forked_and_plain_starts_give_the_same_process(there: Place, preload: bool) -> None:
    spec = there.spec(there.deployment(preload=preload), GIVEN="yes")
    talk = await there.start(spec)
    seen = await talk.tell(DESCRIBE)
    environment, directory, leads_session, first = seen
    home = spec.agent_directory.resolve()
    assert directory == str(home / "workspace")
    assert leads_session
    assert first == [0, 1, 2]
    assert environment["GIVEN"] == "yes"
    assert environment["HOME"] == str(home / "home")
    assert environment["TMPDIR"] == str(home / "tmp")
    assert environment["AGENT_WORKSPACE"] == str(home / "workspace")
    assert environment["PODIUM_AGENT_ID"] == spec.agent_id
    assert environment["PODIUM_INSTANCE_ID"] == spec.instance_id
    assert environment["PODIUM_DEPLOYMENT_ID"] == spec.deployment.deployment.deployment_id
    known = {"PATH", "LANG", "USER", "LOGNAME", "GIVEN", "HOME", "TMPDIR", "AGENT_WORKSPACE", "LC_CTYPE"}
    known |= BUN_ENVIRONMENT.keys() if there.runtime == "typescript" else set()
    assert {name for name in environment if not name.startswith("PODIUM_")} <= known


@pytest.mark.proves("ISOLATION-OWN-DESCRIPTORS")
async def test_an_agent_has_no_descriptors_but_its_own(there: Place) -> None:
    deployment = there.deployment()
    await there.start(there.spec(deployment))
    talk = await there.start(there.spec(deployment))
    targets = await talk.tell(DESCRIPTORS)
    kinds = sorted(target.split(":")[0] for number, target in targets if number > 2)
    # the link, and the loop's own: an epoll instance and what wakes it: a pair of sockets, or an event (and a timer)
    own = {"python": ["anon_inode", "socket", "socket"], "typescript": ["anon_inode"] * (len(kinds) - 1)}
    assert kinds == sorted([*own[there.runtime], "socket"])
    assert [target.split(":")[0] for number, target in sorted(targets) if number <= 2] == ["/dev/null", "pipe", "pipe"]


@pytest.mark.proves("ISOLATION-NO-ORPHAN")
async def test_killing_an_instance_kills_what_left_its_session_parent_and_environment(closed_in: Place) -> None:
    deployment, number = closed_in.deployment(), token()
    other = await closed_in.start(closed_in.spec(deployment))
    talk = await closed_in.start(closed_in.spec(deployment))
    await talk.tell(DAEMON % (number, number))
    await wait_until(lambda: len(commands(number)) == DAEMONS, what="sleepers")
    assert talk.process is not None
    await talk.process.kill()
    assert commands(number) == []
    assert (talk.ends, talk.status and talk.status.signal) == (1, "SIGKILL")
    await talk.process.kill()
    assert talk.ends == 1
    assert await other.tell(SAY_ONE) == 1


@pytest.mark.proves("ISOLATION-NO-ORPHAN")
async def test_what_an_ended_agent_left_is_ended(there: Place) -> None:
    number = token()
    talk = await there.start(there.spec(there.deployment()))
    await talk.tell(CHILD % number)
    talk.order(EXIT)
    assert (await talk.ended()).code == 3
    assert commands(number) == []


async def test_closing_the_host_ends_everything(there: Place) -> None:
    number = token()
    talk = await there.start(there.spec(there.deployment()))
    await talk.tell(DAEMON % (number, number))
    await there.host.close()
    await wait_until(lambda: not commands(number), what="sleepers gone")
    assert talk.ends == 1


async def test_output_comes_before_the_end_and_by_stream(there: Place) -> None:
    talk = await there.start(there.spec(there.deployment()))
    talk.order(PRINT_AND_EXIT)
    assert (await talk.ended()).code == 0
    assert talk.output["stdout"].count(b"x") == 200_000
    assert talk.output["stderr"].strip() == b"why"
    assert not talk.said_after_end


async def test_termination_reaches_the_agent_and_its_signal_is_told(there: Place) -> None:
    talk = await there.start(there.spec(there.deployment()))
    await talk.tell(DEFAULT_SIGTERM)
    assert talk.process is not None
    talk.process.terminate()
    assert (await talk.ended()).signal == "SIGTERM"
    assert talk.process.resources() == Resources()


@pytest.mark.parametrize("preload", [True, False], ids=["forked", "plain"])
async def test_a_module_that_fails_to_import_tells_its_author_why(python: Place, preload: bool) -> None:
    deployment = python.deployment("import no_such_thing_at_all\n", preload=preload)
    talk = Talk()
    if preload:
        with pytest.raises(ProcessStartError, match="no_such_thing_at_all"):
            await python.host.start(python.spec(deployment), talk)
    else:
        await python.host.start(python.spec(deployment), talk)
        assert (await talk.ended()).code == 1
    assert b"Traceback" in talk.output["stderr"]
    assert b"no_such_thing_at_all" in talk.output["stderr"]


@needs_bun
async def test_a_typescript_module_that_can_not_be_loaded_tells_its_author_why() -> None:
    directory = open_directory()
    async with place(HostSettings(data=directory / "data", isolation="process"), directory, "typescript") as there:
        talk = there.talk()
        with pytest.raises(ProcessStartError, match="exit code 1"):
            await there.host.start(there.spec(there.deployment('import "no_such_thing_at_all";')), talk)
        assert b"no_such_thing_at_all" in talk.output["stderr"]


async def test_a_module_that_starts_threads_is_started_plainly(python: Place) -> None:
    source = PYTHON_HANDS + "\nimport threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    talk = await python.start(python.spec(python.deployment(source)))
    assert await talk.tell("import threading\nresult = threading.active_count()") >= 2


async def test_randomness_is_not_carried_over_from_the_template(python: Place) -> None:
    deployment = python.deployment(PYTHON_HANDS + "\nimport random\nrandom.seed(1)\n")
    talks = [await python.start(python.spec(deployment)) for _ in range(2)]
    drawn = [await talk.tell("import random\nresult = random.random()") for talk in talks]
    assert drawn[0] != drawn[1]


@pytest.mark.noisy("tree_survives|task_failed")
async def test_when_the_template_dies_its_instances_are_told_to_be_gone_and_the_next_start_has_a_new_one(
    there: Place,
) -> None:
    deployment = there.deployment()
    talk = await there.start(there.spec(deployment))
    assert talk.process is not None
    parent = int(Path(f"/proc/{talk.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(parent, 9)
    assert (await talk.ended()).signal == "SIGKILL"
    again = await there.start(there.spec(deployment))
    assert await again.tell(SAY_ONE) == 1


async def test_cooling_ends_the_template_and_the_next_start_makes_one(closed_in: Place) -> None:
    deployment = closed_in.deployment()
    await closed_in.host.warm(deployment)
    talk = await closed_in.start(closed_in.spec(deployment))
    await closed_in.host.cool(deployment.deployment.deployment_id)
    await talk.ended()
    await closed_in.start(closed_in.spec(deployment))


async def test_many_starts_at_once_all_work(closed_in: Place) -> None:
    deployment = closed_in.deployment()
    talks = await asyncio.gather(*(closed_in.start(closed_in.spec(deployment)) for _ in range(40)))
    pids = {talk.process.pid for talk in talks if talk.process is not None}
    assert len(pids) == 40


async def test_a_start_that_nobody_waits_for_any_more_leaves_no_process(closed_in: Place) -> None:
    deployment = closed_in.deployment()
    await closed_in.start(closed_in.spec(deployment))
    talk = Talk()
    task = asyncio.get_running_loop().create_task(closed_in.host.start(closed_in.spec(deployment), talk))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await closed_in.host.close()


async def test_resources_are_those_of_the_whole_tree(there: Place) -> None:
    talk = await there.start(there.spec(there.deployment()))
    assert talk.process is not None
    alone = talk.process.resources()
    await talk.tell(CHILD % "77")
    both = talk.process.resources()
    assert (alone.processes, both.processes) == (1, 2)
    assert alone.rss_bytes > 2**20


async def test_a_paused_link_is_not_read(closed_in: Place) -> None:
    talk = await closed_in.start(closed_in.spec(closed_in.deployment()))
    assert talk.process is not None
    talk.process.pause_reading()
    before = len(talk.frames)
    talk.order(Deed("print('done', flush=True)\nresult = 1", "console.log('done');\nresult = 1;"))
    await wait_until(lambda: talk.output["stdout"] == b"done\n", what="the turn")
    assert len(talk.frames) == before
    talk.process.resume_reading()
    await wait_until(lambda: len(talk.frames) > before, what="frames")


@pytest.mark.proves("ISOLATION-LIMITS")
async def test_limits_of_the_manifest_hold(closed_in: Place) -> None:
    limits = Limits(memory=128 * 2**20, processes=20, disk=2**20)
    talk = await closed_in.start(closed_in.spec(closed_in.deployment(), limits))
    refused = await talk.tell(LIMITS)
    assert refused == ["memory", "disk", 0]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="as an ordinary user all agents share one uid, whose processes can't be told apart"
)
@pytest.mark.proves("ISOLATION-LIMITS")
async def test_an_agent_may_start_only_so_many_processes(closed_in: Place) -> None:
    talk = await closed_in.start(closed_in.spec(closed_in.deployment(), Limits(processes=20)))
    forked = await talk.tell(MANY_CHILDREN)
    assert forked == "refused"


@pytest.mark.proves("ISOLATION-OWN-DESCRIPTORS")
async def test_level_process_leaves_no_way_to_more_rights(closed_in: Place) -> None:
    talk = await closed_in.start(closed_in.spec(closed_in.deployment()))
    status = await talk.tell(STATUS)
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives user ids")
@pytest.mark.parametrize("without", [frozenset(), frozenset({"user_namespace"})], ids=["mapped", "setuid"])
async def test_as_root_each_agent_has_its_own_user_and_sees_nothing_of_another(
    without: frozenset[Any], runtime: Runtime
) -> None:
    directory = open_directory()
    directory.chmod(0o700)  # as a data directory below /root is
    source = PYTHON_HANDS + "\nimport os\nIMPORTED_AS = os.getuid()\n" if runtime == "python" else None
    settings = HostSettings(data=directory / "data", isolation="process", without=without)
    async with place(settings, directory, runtime) as there:
        deployment = there.deployment(source)
        specs = [there.spec(deployment) for _ in range(2)]
        first, second = [await there.start(spec) for spec in specs]
        ids = [await talk.tell(IDS) for talk in (first, second)]
        uids = [AGENT_UID_BASE + spec.uid_slot for spec in specs]
        assert ids in ([[uid, uid, [uid]] for uid in uids], [[uid, uid, []] for uid in uids])
        if runtime == "python":
            assert await first.tell("import agent\nresult = agent.IMPORTED_AS") != 0
        assert (specs[0].workspace.stat().st_uid, specs[0].workspace.stat().st_mode & 0o777) == (uids[0], 0o700)
        for path in (
            specs[0].workspace,
            specs[0].agent_directory / "db" / "state.db",
            specs[0].agent_directory / "home",
        ):
            refused = await second.tell(OPEN % {"path": str(path)})
            assert refused in ("PermissionError", "FileNotFoundError"), path
        own = specs[1].agent_directory / "db" / "state.db"
        refused = await second.tell(OPEN % {"path": str(own)})
        assert refused == "PermissionError"
        pid = first.process.pid if first.process else 0
        refused = await second.tell(SIGNAL % {"pid": pid})
        assert refused in ("PermissionError", "ProcessLookupError")
