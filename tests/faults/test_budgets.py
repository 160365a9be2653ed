"""What an agent has spent outlives its host, its instance and its deployment; a fork begins with nothing spent."""

from pathlib import Path

from tests.agents import source
from tests.faults.test_moments import platform, told
from tests.system.api import Answer, Caller


async def say(caller: Caller, instance: str, text: str) -> Answer:
    return await told(caller, "POST", f"/api/v1/instances/{instance}/messages?wait=true", json={"text": text})


async def test_what_was_spent_outlives_the_host_and_a_new_instance(tmp_path: Path) -> None:
    async with platform(tmp_path / "platform") as caller:
        deployment = await caller.deploy(tmp_path / "agent", "spender", source("spender"))
        made = await caller.create(deployment)
        instance, path = made["instance_id"], f"/api/v1/agents/{made['agent_id']}/budget"
        await say(caller, instance, "3x500")
        assert (await caller("PUT", path, json={"budget_micro_dollars": 1000})).body["paused"]
        caller.daemons.kill("coordinator")
        caller.daemons.start("coordinator")
        await caller.daemons.ready()
        now = (await told(caller, "GET", path)).body
        assert (now["paused"], now["spent_micro_dollars"], now["budget_micro_dollars"]) == (True, 1500, 1000)
        assert (await say(caller, instance, "1x1")).code == "quota_exceeded"

        assert (await caller("DELETE", f"/api/v1/instances/{instance}")).status == 204
        assert (await caller("PUT", path, json={"budget_micro_dollars": 0})).code == "instance_stopping"
        again = await caller.create(deployment, agent_id=made["agent_id"], limits={"budget": "0.0016 USD"})
        assert (await say(caller, again["instance_id"], "1x50")).status == 200
        assert (await say(caller, again["instance_id"], "1x50")).code == "quota_exceeded"
        fork = await caller("POST", f"/api/v1/agents/{made['agent_id']}/fork", json={})
        assert (await caller("GET", f"/api/v1/agents/{fork.body['agent_id']}/budget")).body["spent_micro_dollars"] == 0
