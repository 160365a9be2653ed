"""A budget that holds: the agent is paused and loses nothing, in every language and one that is no amount is refused."""

from pathlib import Path

import pytest

from tests.agents import Runtime, in_every_language, source
from tests.system.api import Answer, Caller
from tests.waiting import wait_until

DOLLAR = 1_000_000


async def say(caller: Caller, instance: str, text: str) -> Answer:
    return await caller("POST", f"/api/v1/instances/{instance}/messages?wait=true", json={"text": text})


@pytest.mark.proves("LIMIT-BUDGET")
@in_every_language
async def test_an_agent_that_spent_its_budget_is_paused_and_goes_on_where_it_was(
    caller: Caller, agent_type: str, tmp_path: Path, runtime: Runtime
) -> None:
    extra = '\n[limits]\nbudget = "1.5 USD"\n'
    made = await caller.create(await caller.deploy(tmp_path, agent_type, source("spender", runtime), extra=extra))
    instance, path = made["instance_id"], f"/api/v1/agents/{made['agent_id']}/budget"

    assert (await say(caller, instance, f"1x{DOLLAR}")).body["text"] == "attempt 1"
    refused = await say(caller, instance, f"150x{DOLLAR // 4}")
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert "podium budget" in refused.body["detail"]

    async def asleep() -> bool:
        return bool((await caller("GET", f"/api/v1/instances/{instance}")).body["status"] == "asleep")

    await wait_until(asleep, 30)
    budget = (await caller("GET", path)).body
    assert budget["paused"]
    assert budget["budget_micro_dollars"] == 3 * DOLLAR // 2
    spent = budget["spent_micro_dollars"]
    assert 3 * DOLLAR // 2 <= spent < 10 * DOLLAR, "what was under way when it was paused, and no more"

    kept = await caller("POST", f"/api/v1/instances/{instance}/messages", json={"text": "0x0"})
    assert kept.status == 202, "messages are taken on, and kept"
    assert (await caller("GET", path)).body == budget

    raised = await caller("PUT", path, json={"budget_micro_dollars": 0})
    assert (raised.status, raised.body["paused"]) == (200, False)

    async def both_answered() -> bool:
        turns = (await caller("GET", f"/api/v1/instances/{instance}/messages?limit=100")).body["items"]
        return [each["text"] for each in turns if each["role"] == "agent"][1:] == ["attempt 2", "attempt 1"]

    await wait_until(both_answered, 60)
    assert (await caller("GET", path)).body["spent_micro_dollars"] == spent + 150 * DOLLAR // 4


@pytest.mark.proves("LIMIT-TENANT-BUDGET")
async def test_a_tenant_that_spent_its_day_is_paused_until_an_operator_allows_more(
    caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    tenant = f"spends-{agent_type}"
    path = f"/api/v1/tenants/{tenant}/budget"
    wanted = {"tenant_id": tenant, "limits": {"budget": {"per_day": 2 * DOLLAR}}}
    theirs = caller.with_key((await caller.admin("POST", "/api/v1/keys", json=wanted)).body["key"])
    assert (await theirs("GET", path)).code == "permission_denied"
    deployment = await theirs.deploy(tmp_path, agent_type, source("spender", "python"))
    made = [(await theirs.create(deployment))["instance_id"] for _ in range(2)]

    assert (await say(theirs, made[0], f"1x{3 * DOLLAR // 2}")).status == 200
    refused = await say(theirs, made[1], f"100x{DOLLAR // 4}")
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert "tenant" in refused.body["detail"]

    async def counted() -> bool:
        shown = (await caller.admin("GET", path)).body
        return bool(shown["paused"] and shown["per_day"] == 2 * DOLLAR <= shown["spent_today"] < 10 * DOLLAR)

    await wait_until(counted, 30, "what was spent")
    assert (await say(theirs, made[0], "0x0")).code == "quota_exceeded"
    raised = await caller.admin("PUT", path, json={"per_day": 0})
    assert (raised.status, raised.body["paused"]) == (200, False)

    async def all_answered() -> bool:
        answers = []
        for instance in made:
            turns = (await theirs("GET", f"/api/v1/instances/{instance}/messages?limit=100")).body["items"]
            answers += [each["text"] for each in turns if each["role"] == "agent"]
        return sorted(answers) == ["attempt 1", "attempt 1", "attempt 2"]

    await wait_until(all_answered, 60, "the turn that was cut off")


@pytest.mark.parametrize("wrong", ["5", "5 EUR", "-1 USD", "1e9 USD", "USD"])
async def test_a_budget_that_is_none_is_refused_with_what_to_write(
    caller: Caller, agent_type: str, tmp_path: Path, wrong: str
) -> None:
    deployment = await caller.deploy(tmp_path, agent_type, source("spender"))
    body = {"deployment_id": deployment, "limits": {"budget": wrong}}
    refused = await caller("POST", "/api/v1/instances", json=body)
    assert refused.code == "invalid_request"
    assert "5 USD" in refused.body["detail"]
