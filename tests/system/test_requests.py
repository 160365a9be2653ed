"""Questions and permissions are durable: listed, replayed, answered once, defaulted at their deadline, kept over crashes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents import Runtime, in_every_language, source
from tests.system.api import Caller, Stream

pytestmark = in_every_language


@pytest.fixture
async def asker(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> str:
    """An instance that asks."""
    deployment = await caller.deploy(tmp_path / "a", agent_type, source("asker", runtime))
    return str((await caller.create(deployment))["instance_id"])


async def _asked(stream: Stream, text: str, **more: Any) -> str:
    await stream.command("process_message", content={"text": text, **more})
    kind = "tool.question_requested" if text == "question" else "tool.permission_requested"
    return str((await stream.until(kind))["content"]["request_id"])


@pytest.mark.proves("REQUEST-FIRST-ANSWER-WINS", "REQUEST-LISTED")
async def test_a_permission_is_listed_answered_once_and_reaches_the_agent(caller: Caller, asker: str) -> None:
    async with caller.connect(asker) as stream:
        request = await _asked(stream, "permission")
        listed = (await caller("GET", f"/api/v1/instances/{asker}/requests")).body["items"]
        assert [item["request_id"] for item in listed if item["status"] == "open"] == [request]
        assert (await caller("GET", f"/api/v1/instances/{asker}")).body["status"] == "waiting"
        await stream.command("answer", id="a1", content={"request_id": request, "option_id": "yes"})
        await stream.until("ack", id="a1")
        resolved = await stream.until("tool.approval_resolved")
        assert (resolved["content"]["outcome"], resolved["content"]["option_id"]) == ("selected", "yes")
        assert (await stream.until("stream_end"))["content"]["text"] == "yes"
        await stream.command("answer", id="a2", content={"request_id": request, "option_id": "no"})
        assert (await stream.until("nack", id="a2"))["content"]["code"] == "already_resolved"


async def test_an_option_that_was_not_offered_is_refused_and_the_request_stays_open(caller: Caller, asker: str) -> None:
    async with caller.connect(asker) as stream:
        request = await _asked(stream, "permission")
        await stream.command("answer", id="x", content={"request_id": request, "option_id": "maybe"})
        assert (await stream.until("nack", id="x"))["content"]["code"] == "invalid_request"
        await stream.command("answer", id="y", content={"request_id": "req-aaaaaaaaaaaaaaaa", "option_id": "yes"})
        assert (await stream.until("nack", id="y"))["content"]["code"] == "request_not_found"
        await stream.command("answer", id="z", content={"request_id": request, "option_id": "no"})
        await stream.until("ack", id="z")
        assert (await stream.until("stream_end"))["content"]["text"] == "no"


async def test_a_question_is_answered_by_rest(caller: Caller, asker: str) -> None:
    async with caller.connect(asker) as stream:
        request = await _asked(stream, "question")
        answer = await caller("POST", f"/api/v1/instances/{asker}/requests/{request}", json={"answers": {"q": "b"}})
        assert answer.status == 200, answer.text
        assert json.loads((await stream.until("stream_end"))["content"]["text"]) == {"q": "b"}


@pytest.mark.proves("REQUEST-DEADLINE-DEFAULT")
async def test_at_its_deadline_the_default_is_taken(caller: Caller, asker: str) -> None:
    async with caller.connect(asker) as stream:
        await _asked(stream, "permission", timeout=0.3)
        resolved = await stream.until("tool.approval_resolved")
        assert (resolved["content"]["outcome"], resolved["content"]["by"]) == ("expired", "deadline")
        assert (await stream.until("stream_end"))["content"]["text"] == "no"


@pytest.mark.proves("REQUEST-CANCELLED-WITH-TURN")
async def test_cancelling_the_turn_cancels_what_it_asked(caller: Caller, asker: str) -> None:
    async with caller.connect(asker) as stream:
        await _asked(stream, "permission")
        await stream.command("cancel")
        await stream.until("checkpoint")
        said = {event["messageType"]: event["content"] for event in stream.seen}
        assert said["tool.approval_resolved"]["outcome"] == "cancelled"
        assert said["stream_end"]["stop_reason"] == "cancelled"


@pytest.mark.proves("REQUEST-REPLAYED-ON-ATTACH")
async def test_an_open_request_is_seen_by_a_client_that_attaches_later(caller: Caller, asker: str) -> None:
    async with caller.connect(asker) as first:
        request = await _asked(first, "permission")
    async with caller.connect(asker) as later:
        again = await later.until("tool.permission_requested")
        assert again["content"]["request_id"] == request
        await later.command("answer", content={"request_id": request, "option_id": "yes"})
        assert (await later.until("stream_end"))["content"]["text"] == "yes"


@pytest.mark.leaves("processes")  # the coordinator that was started anew serves the tests that follow
@pytest.mark.proves("REQUEST-SURVIVES-CRASH")
async def test_a_request_survives_the_death_of_the_coordinator_and_is_answered_after(
    caller: Caller, asker: str
) -> None:
    async with caller.connect(asker) as stream:
        request = await _asked(stream, "permission")
        last = stream.seen[-1]["seq"]
        caller.daemons.kill("coordinator")
        caller.daemons.start("coordinator")
        await caller.daemons.ready()
        async with asyncio.timeout(30):
            while True:
                answer = await caller(
                    "POST", f"/api/v1/instances/{asker}/requests/{request}", json={"option_id": "yes"}
                )
                if answer.status != 503:
                    break
                await asyncio.sleep(0.1)
        assert answer.status == 200, answer.text
    async with caller.connect(asker, after=last) as stream:
        assert (await stream.until("stream_end"))["content"]["text"] == "yes"
        await stream.until("checkpoint")
        numbers = [event["seq"] for event in stream.seen]
        assert numbers == list(range(last + 1, last + 1 + len(numbers)))
