"""Whose changes are whose, told in the stream and kept in the history; what agents ask of their own workspace."""

import asyncio
from typing import Any

import pytest

from tests.agents import in_every_language
from tests.system.api import Caller
from tests.system.moments.writers import items, said


async def changes(caller: Caller, instance_id: str) -> list[dict[str, Any]]:
    return [event for event in await items(caller, instance_id, "events") if event["messageType"] == "file.changed"]


@pytest.mark.proves("CHR-AGENT-CHANGES", "CHR-AGENT-TURNS")
@in_every_language
async def test_every_change_of_a_turn_is_told_before_its_checkpoint(caller: Caller, writer: dict[str, Any]) -> None:
    async with caller.connect(writer["instance_id"]) as stream:
        await stream.turn("sh printf 1 > a; mkdir d; mv a d/b; printf 22 > d/b; rm d/b")
        seen = [frame for frame in stream.seen if frame["messageType"] == "file.changed"]
        checkpoint = stream.seen[-1]
        assert checkpoint["messageType"] == "checkpoint"
    assert {frame["turnId"] for frame in seen} == {checkpoint["turnId"]}
    told = [(frame["content"]["kind"], frame["content"]["path"]) for frame in seen]
    assert told[0] == ("created", "a")
    assert ("created", "d") in told
    assert ("renamed", "d/b") in told
    assert told[-1] == ("deleted", "d/b")
    assert next(frame["content"] for frame in seen if frame["content"]["kind"] == "renamed")["from"] == "a"
    numbers = [frame["content"]["iteration"] for frame in seen]
    assert numbers == sorted(numbers)
    assert checkpoint["content"]["iteration"] == numbers[-1]


@pytest.mark.proves("CHR-AGENT-TURNS")
@in_every_language
async def test_the_history_knows_the_turn_of_every_version(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id = writer["instance_id"]
    turns = [(await said(caller, instance_id, f"sh printf {n} > a"))[1] for n in range(4)]
    found = (await caller("GET", f"/api/v1/agents/{writer['agent_id']}/files/a/history")).body["iterations"]
    assert [version["turn_id"] for version in found][:4] == turns[::-1]


async def test_a_turn_that_writes_thousands_of_files_does_not_flood(caller: Caller, writer: dict[str, Any]) -> None:
    await said(caller, writer["instance_id"], "sh for i in $(seq 3000); do : > f$i; done")
    told = await changes(caller, writer["instance_id"])
    assert len(told) <= 1001
    last = told[-1]["content"]
    assert last["path"] == ""
    assert last["omitted"] >= 2000
    ends = [
        event for event in await items(caller, writer["instance_id"], "events") if event["messageType"] == "checkpoint"
    ]
    assert ends[-1]["content"]["iteration"] == last["iteration"] == 3000


@in_every_language
async def test_what_an_agent_leaves_running_is_told_as_nobodys(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id = writer["instance_id"]
    put = f"/api/v1/agents/{writer['agent_id']}/files/by-hand"
    await said(caller, instance_id, "one")
    assert (await caller("PUT", put, data=b"x")).status in (200, 201)
    async with asyncio.timeout(20):
        while not await changes(caller, instance_id):
            await asyncio.sleep(0.02)
    assert (await changes(caller, instance_id))[-1]["turnId"] == ""


@pytest.mark.proves("CHR-AGENT-SELF")
@in_every_language
async def test_agents_name_moments_see_versions_and_take_back(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id = writer["instance_id"]
    await said(caller, instance_id, "sh printf one > a; printf b > b")
    named = int((await said(caller, instance_id, "name good"))[0].partition(": ")[2])
    await said(caller, instance_id, "sh printf three > a; rm b")
    versions = (await said(caller, instance_id, "versions a"))[0]
    assert "modify:5" in versions
    assert (await said(caller, instance_id, "back good a"))[0].startswith("5: ")
    assert (await said(caller, instance_id, "read"))[0] == "6: a=one"
    await said(caller, instance_id, f"back {named}")
    assert (await said(caller, instance_id, "read"))[0] == "8: a=one b=b"
    assert "refused" in (await said(caller, instance_id, "back never"))[0]
    assert "refused" in (await said(caller, instance_id, "back 999999"))[0]
