"""A process is started while its workspace is made: nothing of the author's runs before that is there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.coordinator.adapters.processes import HostSettings, slots
from podium.coordinator.adapters.processes.tree import children_of
from podium.coordinator.domain.ports import AgentProcess, ProcessSpec
from podium.wire.errors import ErrorCode, PodiumError
from tests.bun import needs_bun
from tests.contract.process_host.deeds import PYTHON_HANDS, SAY_ONE, TYPESCRIPT_HANDS
from tests.contract.process_host.parts import Place, Runtime, Talk, open_directory, place
from tests.waiting import wait_until

TELLS_WHERE = {
    "python": PYTHON_HANDS + "\nimport os\nprint('loaded in', os.getcwd(), flush=True)\n",
    "typescript": TYPESCRIPT_HANDS + "\nconsole.log('loaded in', process.cwd());\n",
}
"""Says where it is when it is loaded."""


@pytest.fixture(params=["python", pytest.param("typescript", marks=needs_bun)])
async def there(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    runtime: Runtime = request.param
    directory = open_directory()
    settings = HostSettings(data=directory / "data", isolation="process", starts_in_flight=1)
    async with place(settings, directory, runtime) as made:
        yield made


class Starting:
    """A process that is being started, and whose workspace is not there yet."""

    def __init__(self, there: Place, spec: ProcessSpec) -> None:
        loop = asyncio.get_running_loop()
        spec.workspace.rmdir()
        self.spec = spec
        self.talk: Talk = there.talk()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.started: asyncio.Task[AgentProcess] = loop.create_task(there.host.start(spec, self.talk, self.opened))

    async def forked(self) -> None:
        """Waits until the process is under way."""
        await wait_until(lambda: (self.spec.agent_directory / "run" / "ipc.sock").exists(), what="its socket")

    async def ready(self) -> Talk:
        """The workspace comes; the agent is ready."""
        self.spec.workspace.mkdir()
        self.opened.set_result(None)
        self.talk.process = await self.started
        await self.talk.ready(self.spec)
        return self.talk


@pytest.mark.parametrize("preload", [True, False], ids=["forked", "plain"])
async def test_an_agent_that_was_started_before_its_workspace_works_in_it(there: Place, preload: bool) -> None:
    starting = Starting(there, there.spec(there.deployment(preload=preload)))
    await starting.forked()
    assert not starting.started.done()
    talk = await starting.ready()
    where = {"python": "import os\nresult = os.getcwd()", "typescript": "result = process.cwd()"}[there.runtime]
    assert await talk.tell(where) == str(starting.spec.workspace.resolve())
    owner = starting.spec.workspace.stat().st_uid
    assert owner == (starting.spec.agent_directory / "home").stat().st_uid


async def test_an_authors_module_is_loaded_in_the_workspace_and_not_before(there: Place) -> None:
    deployment = there.deployment(TELLS_WHERE[there.runtime], preload=False)
    starting = Starting(there, there.spec(deployment))
    await starting.forked()
    assert starting.talk.output["stdout"] == b""
    talk = await starting.ready()
    await wait_until(lambda: bool(talk.output["stdout"]), what="what it says when it is loaded")
    assert talk.output["stdout"].decode().strip() == f"loaded in {starting.spec.workspace.resolve()}"


@pytest.mark.parametrize("way", ["refused", "cancelled"])
async def test_a_workspace_that_does_not_come_leaves_no_process(there: Place, way: str) -> None:
    deployment = there.deployment()
    other = await there.start(there.spec(deployment))
    assert other.process is not None
    template = int(Path(f"/proc/{other.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    starting = Starting(there, there.spec(deployment))
    await starting.forked()
    if way == "refused":
        starting.opened.set_exception(PodiumError(ErrorCode.WORKSPACE_UNAVAILABLE, "the disk is full"))
        with pytest.raises(PodiumError, match="the disk is full"):
            await starting.started
    else:
        starting.started.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting.started
    left = [other.process.pid]
    await wait_until(lambda: children_of(template) == left, what="its end")
    assert await other.tell(SAY_ONE) == 1


async def test_a_workspace_that_takes_long_holds_up_nobody_else(there: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE_SECONDS", 0.01)
    deployment = there.deployment()
    starting = Starting(there, there.spec(deployment))
    await starting.forked()
    other = await there.start(there.spec(deployment))  # although only one may be in flight
    assert await other.tell(SAY_ONE) == 1
    assert not starting.started.done()
    talk = await starting.ready()
    assert await talk.tell(SAY_ONE) == 1
