"""An agent dies at each point of a turn: the turn is run again, is done once, and nothing of it is left over."""

import json
import uuid
from pathlib import Path

import pytest

from tests.agents import Runtime, in_every_language, source
from tests.contract.process_host.parts import commands
from tests.faults.checker import check_answers, check_checkpoints, check_journal, check_turns
from tests.system.api import Caller
from tests.system.moments.writers import items

POINTS = (
    "begin",
    "state",
    "started",
    "thought",
    "word",
    "tool",
    "tool result",
    "answered",
    "file",
    "command",
    "command over",
    "checkpoint",
    "end",
)
RESTART = '[process]\nrestart = { attempts = 3, window = "60s", backoff = "20ms" }\n'


@pytest.mark.proves("AGENT-CRASH-RERUN-ATTEMPT", "STREAM-NO-GAP", "ISOLATION-NO-ORPHAN", "SDK-ASK-SURVIVES-RESTART")
@in_every_language
@pytest.mark.parametrize("point", POINTS)
async def test_a_turn_whose_agent_dies_in_the_middle_is_done_once(
    caller: Caller, agent_type: str, tmp_path: Path, runtime: Runtime, point: str
) -> None:
    deployment = await caller.deploy(tmp_path / "mortal", agent_type, source("mortal", runtime), extra=RESTART)
    instance = (await caller.create(deployment))["instance_id"]
    seconds = f"{10**6 + uuid.uuid4().int % 10**9}"
    async with caller.connect(instance, after=0) as stream:
        await stream.command("process_message", content={"text": point, "seconds": seconds})
        asked = (await stream.until("tool.permission_requested"))["content"]["request_id"]
        await stream.command("answer", content={"request_id": asked, "option_id": "allow_once"})
        end = await stream.until("stream_end", stop_reason="end_turn")
        await stream.until("checkpoint")
        assert end["content"]["text"] == "some words"
    assert commands(seconds) == []
    info = (await caller("GET", f"/api/v1/instances/{instance}")).body
    assert info["restarts"] == 1
    state = (await caller("GET", f"/api/v1/instances/{instance}/state")).body["state"]
    assert state["count"] == 1
    assert (await caller("GET", f"/api/v1/instances/{instance}/files/file")).text == "allow_once"
    journal = {event["seq"]: json.dumps(event) for event in await items(caller, instance, "events")}
    findings = check_journal(journal) + check_answers(journal) + check_turns(journal) + check_checkpoints(journal)
    assert findings == []
