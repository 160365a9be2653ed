"""What is mounted, by whom, and that nothing is left: a coordinator and its Chronicle daemon that stop, die, come back."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from blake3 import blake3

from tests.agents import Runtime, in_every_language, source
from tests.noise import leaks
from tests.system.api import Caller
from tests.system.daemons import Daemons, descendants, reap_adopted
from tests.system.files.conftest import Agent

SHORT = '[limits]\nidle_timeout = "300ms"\n'


@pytest.fixture
async def own(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Daemons]:
    """A platform of the test's own whose workspaces are unmounted as soon as their agents sleep."""
    running = Daemons(tmp_path / "own", environment={"CHRONICLE_LINGER": "100ms"})
    try:
        yield running
    finally:
        running.close()


def mounted(daemons: Daemons) -> list[str]:
    """Mount points below the data directory of a platform."""
    inside = f"{daemons.data.resolve()}/"
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [place for place in (line.split()[4] for line in lines) if place.startswith(inside)]


def workspaces(daemons: Daemons) -> list[str]:
    """Those of agents."""
    return [place for place in mounted(daemons) if place.endswith("/workspace")]


async def until(condition: object) -> None:
    """Waits, bounded."""
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def writing(
    daemons: Daemons, session: aiohttp.ClientSession, folder: Path, extra: str = "", runtime: Runtime = "python"
) -> Agent:
    """An agent that runs shell scripts."""
    caller = Caller(daemons, session, await daemons.key("acme"))
    deployment = await caller.deploy(folder, "writer", source("shell", runtime), extra=extra)
    made = await caller.create(deployment)
    return Agent(caller, made["instance_id"], made["agent_id"])


async def answering(agent: Agent) -> None:
    """Waits until the agent's coordinator is back: discovery may still know the one that was killed."""
    async with asyncio.timeout(20):
        while (await agent.caller("GET", f"/api/v1/instances/{agent.instance_id}")).status != 200:
            await asyncio.sleep(0.05)


needs_fuse = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="mounting needs root and /dev/fuse"
)


@needs_fuse
@pytest.mark.proves("CHR-DEAD-MOUNTS")
async def test_a_coordinator_that_stops_leaves_nothing_mounted(
    own: Daemons, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await own.start_all()
    agent = await writing(own, session, tmp_path / "writer")
    assert await agent.sh("echo kept > f; cat f") == "kept\n"
    assert len(workspaces(own)) == 1
    assert own.stop("coordinator") == 0
    assert mounted(own) == []
    own.start("coordinator")
    await own.ready()
    assert (await agent.files("GET", "/f", by_agent=True)).text == "kept\n"
    assert await agent.sh("cat f") == "kept\n"


@needs_fuse
@pytest.mark.proves("CHR-DEAD-MOUNTS")
@in_every_language
async def test_a_coordinator_that_is_killed_leaves_nothing_mounted(
    own: Daemons, session: aiohttp.ClientSession, tmp_path: Path, runtime: Runtime
) -> None:
    await own.start_all()
    agent = await writing(own, session, tmp_path / "writer", runtime=runtime)
    await agent.sh("echo kept > f")
    own.kill("coordinator")
    await until(lambda: mounted(own) == [])
    own.start("coordinator")
    await answering(agent)
    assert await agent.sh("cat f; echo more >> f") == "kept\n"
    history = (await agent.files("GET", "/f/history")).body["iterations"]
    assert [each["kind"] for each in history] == ["modify", "create"]


@needs_fuse
async def test_a_daemon_that_dies_is_started_again_with_its_mounts(
    own: Daemons, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await own.start_all()
    agent = await writing(own, session, tmp_path / "writer")
    await agent.sh("echo before > f")
    daemon = next(pid for pid in descendants(own.pid("coordinator")) if "chronicled" in _command(pid))
    below = descendants(daemon)
    os.kill(daemon, signal.SIGKILL)
    reap_adopted(below)
    info = (await agent.caller("GET", f"/api/v1/instances/{agent.instance_id}")).body
    file = Path(info["workspace"]["path"]) / "f"
    await until(lambda: "chronicle_died" in own.said("coordinator"))
    async with asyncio.timeout(20):
        while (await agent.files("PUT", "/g", data=b"after")).status not in (200, 201):
            await asyncio.sleep(0.05)
    await until(lambda: readable(file.with_name("g")))
    assert (file.read_text(), file.with_name("g").read_text()) == ("before\n", "after")
    await until(lambda: len(workspaces(own)) == 1)
    reap_adopted([pid for pid in leaks.children() if pid not in {own.pid("coordinator"), own.pid("gateway")}])


def readable(file: Path) -> bool:
    """Whether a mount shows the file."""
    try:
        return file.exists()
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@needs_fuse
@pytest.mark.proves("CHR-TAKEOVER")
@in_every_language
async def test_a_mount_whose_process_dies_goes_on_and_is_followed(
    own: Daemons, session: aiohttp.ClientSession, tmp_path: Path, runtime: Runtime
) -> None:
    await own.start_all()
    agent = await writing(own, session, tmp_path / "writer", runtime=runtime)
    await agent.sh("echo one > f")
    daemon = next(pid for pid in descendants(own.pid("coordinator")) if "chronicled" in _command(pid))
    for worker in descendants(daemon):
        os.kill(worker, signal.SIGKILL)
    assert await agent.sh("echo two > f; cat f") == "two\n"
    history = (await agent.files("GET", "/f/history")).body["iterations"]
    assert [each["kind"] for each in history] == ["modify", "create"]


@needs_fuse
@in_every_language
async def test_the_workspace_of_a_sleeping_agent_is_unmounted_and_served(
    own: Daemons, session: aiohttp.ClientSession, tmp_path: Path, runtime: Runtime
) -> None:
    await own.start_all()
    agent = await writing(own, session, tmp_path / "writer", SHORT, runtime)
    await agent.sh("echo asleep > f")
    await until(lambda: workspaces(own) == [])
    assert (await agent.files("GET", "/f")).text == "asleep\n"
    assert (await agent.files("PUT", "/g", data=b"written")).status == 201
    assert (await agent.caller("GET", f"/api/v1/instances/{agent.instance_id}")).body["status"] == "asleep"
    assert workspaces(own) == []
    assert await agent.sh("cat f g") == "asleep\nwritten"
    agent_directory = own.data / "agents" / agent.agent_id
    await agent.caller("DELETE", f"/api/v1/instances/{agent.instance_id}")
    assert (await agent.caller("DELETE", f"/api/v1/agents/{agent.agent_id}")).status == 204
    assert workspaces(own) == []
    assert not agent_directory.exists()


@pytest.mark.proves("CHR-AGENT-BACKEND", "CHR-FALLBACK")
async def test_every_backend_says_what_it_is(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    for backend, versions in {"watch": 2, "directory": 0}.items():
        daemons = Daemons(tmp_path / backend, environment={"CHRONICLE_BACKEND": backend})
        try:
            await daemons.start_all()
            agent = await writing(daemons, session, tmp_path / f"writer-{backend}")
            info = (await agent.caller("GET", f"/api/v1/instances/{agent.instance_id}")).body
            assert info["workspace"]["backend"] == backend
            events = (await agent.caller("GET", f"/api/v1/instances/{agent.instance_id}/events")).body["items"]
            told = next(each for each in events if each["messageType"] == "sandbox.init")
            assert told["content"]["backend"] == backend
            assert await agent.sh("echo one > f; cat f") == "one\n"
            await agent.sh("echo two > f")
            assert (await agent.files("GET", "/f")).text == "two\n"
            found = await agent.files("GET", "/f/history")
            assert len(found.body["iterations"]) >= versions
            assert (await agent.files("PUT", "/f", data=b"three")).status == 200
            assert await agent.sh("cat f") == "three"
            seen = {"If-Match": (await agent.files("GET", "/f")).headers["etag"]}
            assert (await agent.files("GET", "/f", headers={"If-None-Match": seen["If-Match"]})).status == 304
            assert (await agent.files("PUT", "/f", data=b"four", headers=seen)).status == 200
            assert (await agent.files("PUT", "/f", data=b"five", headers=seen)).code == "file_changed"
            as_json = await agent.files("GET", "/f", headers={"Accept": "application/json"})
            assert as_json.body["hash"] == blake3(b"four").hexdigest()
            assert (await agent.files("DELETE", "/f", headers={"If-Match": f'"{as_json.body["hash"]}"'})).status == 200
            status = (await agent.caller.admin("GET", "/api/v1/coordinators")).body["items"]
            assert len(status) == 1
        finally:
            daemons.close()
        assert mounted(daemons) == []


@needs_fuse
@pytest.mark.proves("CHR-AGENT-BACKEND")
def test_a_backend_that_was_demanded_and_can_not_be_had_is_refused(tmp_path: Path) -> None:
    said = _started_without_fuse(tmp_path, "fuse")
    assert said.returncode == 69
    assert b"CHRONICLE_BACKEND" in said.stderr
    assert b"/dev/fuse" in said.stderr


def _started_without_fuse(directory: Path, backend: str) -> subprocess.CompletedProcess[bytes]:
    """A coordinator where `/dev/fuse` is something else, until it ends by itself."""
    environment = {
        **os.environ,
        "PODIUM_DATA": str(directory / "data"),
        "COORDINATOR_PORT": "0",
        "CLUSTER_KEY": "cluster-key-of-a-test-0123456789",
        "SECRETS_KEY": "secrets-key-of-a-test-0123456789",
        "CHRONICLE_BACKEND": backend,
    }
    script = 'mount --bind /dev/null /dev/fuse && exec "$0" -m podium.coordinator'
    command = ["unshare", "-m", "sh", "-c", script, sys.executable]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
