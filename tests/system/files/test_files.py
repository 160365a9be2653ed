"""Files over REST, at the gateway, of an agent that is awake, asleep, or gone."""

from pathlib import Path

import pytest

from tests.system.api import Caller


@pytest.fixture
async def agent(caller: Caller, echo: str) -> dict[str, str]:
    """An instance of an echo agent."""
    return await caller.create(echo)


async def test_a_file_that_is_put_can_be_read_listed_and_removed(caller: Caller, agent: dict[str, str]) -> None:
    base = f"/api/v1/instances/{agent['instance_id']}/files"
    made = await caller("PUT", f"{base}/notes/today.md", data=b"first")
    assert made.status == 201, made.text
    read = await caller("GET", f"{base}/notes/today.md")
    assert (read.status, read.text, read.headers["content-type"]) == (200, "first", "text/markdown; charset=utf-8")
    listed = await caller("GET", f"{base}?depth=2")
    assert [entry["path"] for entry in listed.body["entries"]] == ["notes", "notes/today.md"]
    again = await caller("GET", f"/api/v1/agents/{agent['agent_id']}/files/notes/today.md")
    assert again.text == "first"
    gone = await caller("DELETE", f"{base}/notes/today.md")
    assert gone.status == 200, gone.text
    assert (await caller("GET", f"{base}/notes/today.md")).code == "file_not_found"
