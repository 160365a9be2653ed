"""Forks of whole agents over REST: state, conversation, files; quick whatever there is."""

import asyncio
from typing import Any
from unittest.mock import ANY

import pytest

from tests.agents import in_every_language
from tests.system.api import Answer, Caller
from tests.system.moments.writers import fork, items, said


@pytest.mark.proves("CHR-AGENT-FORK")
@in_every_language
async def test_a_fork_has_state_conversation_and_files_of_its_moment_and_goes_its_own_way(
    caller: Caller, writer: dict[str, Any]
) -> None:
    source = writer["instance_id"]
    _, first = await said(caller, source, "sh printf one > a; mkdir d; printf deep > d/b")
    await said(caller, source, "sh printf two > a; rm -r d")
    made = await fork(caller, writer["agent_id"], at=first, agent_id=f"{writer['agent_id']}-2")
    assert made.status == 201, made.text
    child = made.body
    assert child["agent_id"] == f"{writer['agent_id']}-2"
    assert child["status"] == "asleep"
    assert child["source_agent_id"] == writer["agent_id"]
    assert child["moment"]["turn_id"] == first
    assert await said(caller, child["instance_id"], "read") == ("2: a=one d/b=deep", ANY)
    assert (await said(caller, source, "read"))[0] == "3: a=two"
    await said(caller, child["instance_id"], "sh printf mine > a")
    assert (await said(caller, source, "read"))[0] == "4: a=two"
    assert (await said(caller, child["instance_id"], "read"))[0] == "4: a=mine d/b=deep"


@in_every_language
async def test_a_fork_without_a_moment_is_of_now_and_its_stream_goes_on_without_a_gap(
    caller: Caller, writer: dict[str, Any]
) -> None:
    await said(caller, writer["instance_id"], "one")
    child = (await fork(caller, writer["agent_id"])).body
    assert child["agent_id"].startswith("agt-")
    async with caller.connect(child["instance_id"], after=0) as stream:
        await stream.until("agent.forked")
        assert await stream.turn("two") == "2: two"
        seen = [frame["seq"] for frame in stream.seen]
        assert seen == list(range(1, len(seen) + 1))
        assert "agent.forked" in [frame["messageType"] for frame in stream.seen]
    assert [message["text"] for message in await items(caller, child["instance_id"], "messages")] == [
        "one", "1: one", "two", "2: two",
    ]  # fmt: skip
    past = await items(caller, writer["instance_id"], "events")
    assert {event["agentId"] for event in await items(caller, child["instance_id"], "events")} == {child["agent_id"]}
    assert past[-1]["seq"] >= child["moment"]["seq"]


async def test_a_fork_that_is_asked_for_again_with_the_same_key_is_made_once(
    caller: Caller, writer: dict[str, Any]
) -> None:
    agent_id = writer["agent_id"]
    await said(caller, writer["instance_id"], "sh printf one > a")

    async def keyed(key: str, source: str = agent_id, **body: Any) -> Answer:
        return await caller("POST", f"/api/v1/agents/{source}/fork", json=body, headers={"Idempotency-Key": key})

    key = f"{agent_id}-fork"
    first, *others = await asyncio.gather(*(keyed(key) for _ in range(4)))
    assert first.status == 201, first.text
    assert [(other.status, other.body) for other in others] == [(201, first.body)] * 3
    assert (await said(caller, first.body["instance_id"], "read"))[0] == "2: a=one"
    named = await keyed(f"{key}-named", agent_id=f"{agent_id}-named")
    assert (await keyed(f"{key}-named", agent_id=f"{agent_id}-named")).body == named.body
    agents = [each["agent_id"] for each in (await caller("GET", "/api/v1/agents?limit=1000")).body["items"]]
    assert sorted(agents) == sorted([agent_id, first.body["agent_id"], named.body["agent_id"]])
    for other in (await keyed(key, agent_id="else"), await keyed(key, first.body["agent_id"])):
        assert (other.status, other.code) == (409, "idempotency_conflict")
    create = {"deployment_id": writer["deployment_id"]}
    mixed = await caller("POST", "/api/v1/instances", json=create, headers={"Idempotency-Key": key})
    assert mixed.code == "idempotency_conflict"
    assert (await keyed("x" * 256)).code == "invalid_request"
    assert (await keyed(key + "-lost", at="turn-unknown")).code == "turn_not_found"
    assert (await keyed(key + "-lost")).status == 201  # a refusal uses up no key
    await caller("DELETE", f"/api/v1/instances/{writer['instance_id']}")
    assert (await caller("DELETE", f"/api/v1/agents/{agent_id}")).status == 204
    assert (await keyed(key)).body == first.body  # also when the source is gone


async def test_what_can_not_be_forked_is_told(caller: Caller, writer: dict[str, Any]) -> None:
    agent_id = writer["agent_id"]
    await said(caller, writer["instance_id"], "one")
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"at": "turn-unknown"}, 404, "turn_not_found"),
        ({"at": 10**9}, 404, "turn_not_found"),
        ({"at": 0}, 404, "turn_not_found"),
        ({"at": -1}, 400, "invalid_request"),
        ({"at": []}, 400, "invalid_request"),
        ({"agent_id": "no/slash"}, 400, "invalid_request"),
        ({"agent_id": agent_id}, 409, "agent_in_use"),
        ({"from": 1}, 400, "invalid_request"),
    ]
    for body, status, code in wrong:
        answer = await fork(caller, agent_id, **body)
        assert (answer.status, answer.code) == (status, code), body
    assert (await fork(caller, "nobody")).code == "agent_not_found"


async def test_another_tenants_agent_is_not_there(caller: Caller, writer: dict[str, Any]) -> None:
    stranger = caller.with_key(await caller.daemons.key("stranger"))
    for method, path in (("POST", "fork"), ("POST", "rewind"), ("GET", "moments")):
        answer = await stranger(method, f"/api/v1/agents/{writer['agent_id']}/{path}", json={"at": 1})
        assert answer.code == "agent_not_found", path


@pytest.mark.proves("CHR-AGENT-FORK")
@in_every_language
async def test_sleeping_stopped_and_busy_agents_are_forked_alike_and_not_disturbed(
    caller: Caller, writer: dict[str, Any]
) -> None:
    instance_id, agent_id = writer["instance_id"], writer["agent_id"]
    await said(caller, instance_id, "one")
    running = await caller(
        "POST", f"/api/v1/instances/{instance_id}/messages", json={"text": "sh until [ -e go ]; do sleep 0.05; done"}
    )
    made = await asyncio.gather(*(fork(caller, agent_id) for _ in range(4)))
    assert [answer.status for answer in made] == [201] * 4
    for answer in made:
        assert (await said(caller, answer.body["instance_id"], "two"))[0] == "2: two"
    busy = await fork(caller, agent_id, at=running.body["turn_id"])
    assert busy.code == "busy"
    assert (await caller("PUT", f"/api/v1/agents/{agent_id}/files/go", data=b"")).status == 201
    async with asyncio.timeout(30):
        while (await caller("GET", f"/api/v1/instances/{instance_id}")).body["turn"] is not None:
            await asyncio.sleep(0.02)
    assert (await said(caller, instance_id, "three"))[0] == "3: three"
    assert (await caller("DELETE", f"/api/v1/instances/{instance_id}")).status == 204
    stopped = await fork(caller, agent_id)
    assert (await said(caller, stopped.body["instance_id"], "four"))[0] == "4: four"


@in_every_language
async def test_a_source_can_be_erased_and_its_forks_go_on(caller: Caller, writer: dict[str, Any]) -> None:
    await said(caller, writer["instance_id"], "sh printf one > a")
    child = (await fork(caller, writer["agent_id"])).body
    grandchild = (await fork(caller, child["agent_id"])).body
    for instance in (writer, child):
        assert (await caller("DELETE", f"/api/v1/instances/{instance['instance_id']}")).status == 204
        assert (await caller("DELETE", f"/api/v1/agents/{instance['agent_id']}")).status == 204
    assert (await said(caller, grandchild["instance_id"], "read"))[0] == "2: a=one"
    assert len(await items(caller, grandchild["instance_id"], "messages")) == 4


async def test_moments_are_listed_newest_first(caller: Caller, writer: dict[str, Any]) -> None:
    turns = [(await said(caller, writer["instance_id"], text))[1] for text in ("one", "two", "three")]
    path = f"/api/v1/agents/{writer['agent_id']}/moments"
    page = (await caller("GET", f"{path}?limit=2")).body
    rest = (await caller("GET", f"{path}?limit=2&cursor={page['next_cursor']}")).body
    assert [moment["turn_id"] for moment in page["items"] + rest["items"]] == turns[::-1]
    one = (await caller("GET", f"{path}?at={turns[1]}")).body["items"]
    assert [moment["turn_id"] for moment in one] == [turns[1]]
