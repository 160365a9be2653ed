"""The state of agents on a real platform: kept exactly, moved to a new layout or left alone, the same in every language."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.agents import RUNTIMES, Runtime, in_every_language, source
from tests.bun import needs_bun
from tests.system.api import Caller

FIRST = {
    "count": 2,
    "words": {"a": 2, "b": 1, "ü/~": 1},
    "said": [
        {"text": "a b", "size": {"words": 2, "later": 1}},
        {"text": "a ü/~", "size": {"words": 2}},
    ],
}
"""What the tally knows after two messages."""


class Life:
    """One agent that is continued under one deployment after another."""

    def __init__(self, caller: Caller, agent_type: str, folder: Path) -> None:
        self.agent_id = f"agent-{uuid.uuid4().hex[:8]}"
        self._caller = caller
        self._type = agent_type
        self._folder = folder
        self._versions = 0
        self._instance = ""

    async def deployed(self, name: str, runtime: Runtime) -> str:
        """An agent as the next version of the type."""
        self._versions += 1
        version = f"{self._versions}.0.0"
        folder = self._folder / version
        return await self._caller.deploy(folder, self._type, source(name, runtime), version=version)

    async def goes_on(self, deployment: str) -> None:
        """Stops where it is and begins under `deployment`."""
        await self.stop()
        self._instance = (await self._caller.create(deployment, agent_id=self.agent_id))["instance_id"]

    async def stop(self) -> None:
        """Stops it, if it is not."""
        if self._instance:
            assert (await self._caller("DELETE", f"/api/v1/instances/{self._instance}")).status == 204
        self._instance = ""

    async def say(self, text: str) -> str:
        """What it answers."""
        path = f"/api/v1/instances/{self._instance}/messages?wait=true"
        answer = await self._caller("POST", path, json={"text": text})
        assert answer.status == 200, answer.text
        return str(answer.body["text"])

    async def state(self) -> dict[str, Any]:
        """What is stored."""
        return dict((await self._caller("GET", f"/api/v1/instances/{self._instance}/state")).body["state"])


@pytest.fixture
def life(caller: Caller, agent_type: str, tmp_path: Path) -> Life:
    """A life that has not begun."""
    return Life(caller, agent_type, tmp_path)


@in_every_language
async def test_what_a_turn_changed_is_stored_exactly_and_found_again(life: Life, runtime: Runtime) -> None:
    tally = await life.deployed("tally", runtime)
    await life.goes_on(tally)
    assert [await life.say(text) for text in ("a b", "a ü/~")] == ["1", "2"]
    assert await life.state() == FIRST
    await life.goes_on(tally)
    assert await life.state() == FIRST
    assert await life.say("b") == "3"


@pytest.mark.parametrize("after", RUNTIMES)
@in_every_language
async def test_a_new_layout_gets_what_its_migration_makes_of_the_old_one_whoever_wrote_it(
    life: Life, runtime: Runtime, after: Runtime
) -> None:
    await life.goes_on(await life.deployed("tally", runtime))
    await life.say("a b")
    await life.goes_on(await life.deployed("tally_raised", after))
    assert await life.state() == {"total": 1, "words": {"a": 1, "b": 1}, "moved_from": 1}
    assert await life.say("more") == "2"


@pytest.mark.proves("STATE-MIGRATION-ATOMIC")
@in_every_language
async def test_a_migration_that_fails_leaves_the_state_as_it_was(caller: Caller, life: Life, runtime: Runtime) -> None:
    tally, raised = await life.deployed("tally", runtime), await life.deployed("tally_raised", runtime)
    await life.goes_on(tally)
    for _ in range(10):
        await life.say("a")
    before = await life.state()
    await life.stop()
    body = {"deployment_id": raised, "agent_id": life.agent_id}
    failed = await caller("POST", "/api/v1/instances", json=body)
    assert (failed.status, failed.code) == (422, "agent_start_failed")
    assert "too many to move" in "\n".join(failed.body["logs"])
    await life.goes_on(tally)
    assert await life.state() == before
    assert await life.say("a") == "11"


@pytest.mark.proves("AGENT-CONTINUES", "SDK-OTHER-LANGUAGE")
@needs_bun
async def test_an_agent_goes_on_in_the_other_language_and_back(life: Life) -> None:
    here, there = await life.deployed("tally", "python"), await life.deployed("tally", "typescript")
    await life.goes_on(here)
    await life.say("a b")
    await life.goes_on(there)
    await life.say("a ü/~")
    assert await life.state() == FIRST
    await life.goes_on(here)
    assert await life.say("b") == "3"
