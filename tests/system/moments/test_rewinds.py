"""Agents taken back over REST: state, conversation and files; undone again."""

import asyncio
from typing import Any

import pytest

from tests.agents import in_every_language
from tests.system.api import Caller
from tests.system.moments.writers import items, rewind, said


@pytest.mark.proves("CHR-AGENT-REWIND")
@in_every_language
async def test_a_turns_damage_is_undone_wholly_and_can_be_redone(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id, agent_id = writer["instance_id"], writer["agent_id"]
    make = "sh mkdir -p src/deep; printf a > src/a; printf b > src/deep/b; ln -s a src/link; chmod 700 src/a; git init -q ."
    await said(caller, instance_id, make)
    (before, good) = await said(caller, instance_id, "read")
    await said(caller, instance_id, "sh sed -i s/a/A/ src/a; rm -rf src/deep; mv src/link l; printf new > c")
    (broken, _) = await said(caller, instance_id, "read")
    assert before.partition(": ")[2] != broken.partition(": ")[2]
    done = await rewind(caller, agent_id, good)
    assert done.status == 200, done.text
    assert done.body["moment"]["turn_id"] == good
    (after, _) = await said(caller, instance_id, "read")
    assert after == before.replace("2: ", "3: ", 1)
    assert (await said(caller, instance_id, "sh test -x src/a && test -L src/link && git status"))[0] == "4: exit 0"
    assert (await rewind(caller, agent_id, done.body["undo"])).status == 200
    assert (await said(caller, instance_id, "read"))[0].partition(": ")[2] == broken.partition(": ")[2]


@pytest.mark.proves("CHR-AGENT-REWIND")
@in_every_language
async def test_what_the_agent_and_its_clients_see_ends_at_the_moment(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id, agent_id = writer["instance_id"], writer["agent_id"]
    _, one = await said(caller, instance_id, "one")
    await said(caller, instance_id, "two")
    async with caller.connect(instance_id) as stream:
        done = (await rewind(caller, agent_id, one)).body
        event = await stream.until("agent.rewound")
        assert event["seq"] == done["seq"]
        assert event["content"]["turn_id"] == one
        assert event["content"]["seq"] == done["moment"]["seq"]
    assert [message["text"] for message in await items(caller, instance_id, "messages")] == ["one", "1: one"]
    assert (await said(caller, instance_id, "talk"))[0] == "2: one|1: one|talk"
    numbers = [event["seq"] for event in await items(caller, instance_id, "events")]
    assert numbers == list(range(1, len(numbers) + 1))
    state = (await caller("GET", f"/api/v1/instances/{instance_id}/state")).body
    assert state["state"] == {"count": 2}
    assert state["version"] > done["state_version"]


@in_every_language
async def test_a_running_turn_is_in_the_way_unless_it_may_be_cancelled(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id, agent_id = writer["instance_id"], writer["agent_id"]
    _, one = await said(caller, instance_id, "sh printf 1 > a")
    running = await caller(
        "POST", f"/api/v1/instances/{instance_id}/messages", json={"text": "sh printf 2 > a; sleep 60"}
    )
    refused = await rewind(caller, agent_id, one)
    assert (refused.status, refused.code) == (409, "busy")
    done = await rewind(caller, agent_id, one, "?cancel=true")
    assert done.status == 200, done.text
    assert (await said(caller, instance_id, "read"))[0] == "2: a=1"
    ended = [
        event["content"]["stop_reason"]
        for event in await items(caller, instance_id, "events")
        if event["turnId"] == running.body["turn_id"] and event["messageType"] == "stream_end"
    ]
    assert ended == ["cancelled"]


async def test_moments_that_never_were_and_stopped_agents_are_told(caller: Caller, writer: dict[str, Any]) -> None:
    instance_id, agent_id = writer["instance_id"], writer["agent_id"]
    _, one = await said(caller, instance_id, "one")
    for at, status, code in (
        ("turn-unknown", 404, "turn_not_found"),
        (10**9, 404, "turn_not_found"),
        (0, 404, "turn_not_found"),
        (-1, 400, "invalid_request"),
    ):
        answer = await rewind(caller, agent_id, at)
        assert (answer.status, answer.code) == (status, code), at
    assert (await rewind(caller, "nobody", one)).code == "agent_not_found"
    assert (await caller("DELETE", f"/api/v1/instances/{instance_id}")).status == 204
    assert (await rewind(caller, agent_id, one)).code == "instance_not_found"


@in_every_language
async def test_an_agent_continued_in_another_instance_can_go_back_behind_its_beginning(
    caller: Caller, writer: dict[str, Any]
) -> None:
    _, one = await said(caller, writer["instance_id"], "sh printf 1 > a")
    await said(caller, writer["instance_id"], "sh printf 2 > a")
    assert (await caller("DELETE", f"/api/v1/instances/{writer['instance_id']}")).status == 204
    again = await caller.create(writer["deployment_id"], agent_id=writer["agent_id"])
    assert (await said(caller, again["instance_id"], "read"))[0] == "3: a=2"
    assert (await rewind(caller, writer["agent_id"], one)).status == 200
    assert (await said(caller, again["instance_id"], "read"))[0] == "2: a=1"


async def test_rewinds_at_once_are_done_one_after_the_other_or_refused(caller: Caller, writer: dict[str, Any]) -> None:
    _, one = await said(caller, writer["instance_id"], "sh printf 1 > a")
    await said(caller, writer["instance_id"], "sh printf 2 > a")
    answers = await asyncio.gather(*(rewind(caller, writer["agent_id"], one) for _ in range(5)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert 200 in {answer.status for answer in answers}
    assert (await said(caller, writer["instance_id"], "read"))[0] == "2: a=1"
