"""What an agent finds when its coordinator runs as root at level `process`: of the platform and of other tenants, nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.agents import RUNTIMES, Runtime, in_every_language, source
from tests.system.api import Caller
from tests.system.daemons import Daemons

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="agents get user ids of their own only from root")


async def _ask(caller: Caller, instance_id: str, order: dict[str, Any]) -> dict[str, Any]:
    answer = await caller(
        "POST", f"/api/v1/instances/{instance_id}/messages?wait=true", json={"text": json.dumps(order)}
    )
    assert answer.status == 200, answer.text
    return dict(json.loads(answer.body["text"]))


@in_every_language
@pytest.mark.parametrize("neighbour", RUNTIMES)
async def test_an_agent_sees_its_own_deployment_and_directories_and_nothing_else(
    daemons: Daemons, caller: Caller, agent_type: str, tmp_path: Path, runtime: Runtime, neighbour: Runtime
) -> None:
    victim = caller.with_key(await daemons.key("victim"))
    theirs = await victim.deploy(tmp_path / "victim", f"v-{agent_type}", source("curious", neighbour))
    other = await victim.create(theirs, secrets={"TOKEN": "very secret"})
    mine = await caller.deploy(tmp_path / "mine", agent_type, source("curious", runtime))
    made = await caller.create(mine)
    data = daemons.data.resolve()
    everything = [str(path) for path in data.rglob("*") if path.is_file() and not path.is_symlink()]
    report = await _ask(
        caller,
        made["instance_id"],
        {
            "roots": [str(data), str(data / "agents"), str(data / "deployments"), str(data / "objects")],
            "paths": everything,
            "sockets": [str(path) for path in data.rglob("*.sock")] + [str(data / "agents" / other["agent_id"])],
        },
    )
    assert report["uid"] >= 200_000
    own = (str(data / "agents" / made["agent_id"]), str(data / "deployments" / agent_type), str(data / "processes"))
    assert [path for path in report["read"] if not path.startswith(own)] == []
    assert any(path.startswith(own[1]) for path in report["read"])
    assert [path for path in report["written"] if not path.startswith(own[0])] == []
    assert report["environ"] == []
    assert report["signalled"] == []
    assert report["connected"] == []
    assert max(report["pids"]) < 1000, "processes of the host are in sight"
    assert report["secret"] == ""
    nothing: dict[str, Any] = {"roots": [], "paths": [], "sockets": []}
    assert (await _ask(victim, other["instance_id"], nothing))["secret"] == "very secret"
