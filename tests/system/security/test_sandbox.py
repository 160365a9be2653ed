"""What an agent finds at level `sandbox`: its own, a read-only system, and nothing of the host, of the platform or of any other agent."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podium.coordinator.adapters.processes import probe
from tests.agents import Runtime, in_every_language, source
from tests.system.api import Caller
from tests.system.daemons import Daemons
from tests.system.security.conftest import open_platform

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a host of agents runs as root"),
    pytest.mark.skipif("sandbox" not in probe(), reason="this host gives no sandbox"),
]

PROBES = {
    "a file of a person": "cat {secret}",
    "what a person has": "ls /root",
    "sockets of services": "ls /run/*",
    "a temporary file": "echo x > /tmp/podium-sandbox-test",
    "the system": "touch /etc/podium /usr/podium",
    "the deployment": "touch {deployments}/x",
    "another agent": "ls {agents}/{other}",
    "the list of agents": "ls {agents}",
    "the platform": "ls {data} && cat {data}/discovery.db",
    "a namespace": "unshare --user --map-root-user true",
    "a mount": "mount -t tmpfs none .",
    "another root": "chroot . true",
    "the environment of others": "cat /proc/1/environ",
    "a signal": "kill -0 1",
    "the kernel's log": "dmesg",
}
"""What is tried, each as a command that must fail and print nothing of what it wanted."""

ALLOWED = {
    "the workspace": "echo mine > file && cat file",
    "its home": "echo mine > ~/file && cat ~/file",
    "its temporary directory": 'f=$(mktemp) && echo mine > "$f" && cat "$f"',
    "devices": "echo mine | tee /dev/null && head -c 1 /dev/urandom > /dev/null",
    "shared memory": "echo mine > /dev/shm/$AGENT && cat /dev/shm/$AGENT && rm /dev/shm/$AGENT",
    "programs and their children": "sh -c 'git --version > /dev/null; echo mine'",
    "itself": "grep -q Name /proc/self/status && echo mine",
}


@pytest.fixture(scope="module")
def daemons() -> Iterator[Daemons]:
    """A platform that isolates by sandbox."""
    with open_platform("sandbox") as running:
        yield running


async def sh(caller: Caller, instance: str, script: str) -> str:
    answer = await caller(
        "POST", f"/api/v1/instances/{instance}/messages?wait=true", json={"text": "sh", "script": script}
    )
    assert answer.status == 200, answer.text
    return str(answer.body["text"])


@pytest.mark.proves("ISOLATION-SANDBOX")
@in_every_language
async def test_an_agent_gets_nothing_that_is_not_its_own(
    daemons: Daemons, caller: Caller, agent_type: str, tmp_path: Path, runtime: Runtime
) -> None:
    deployment = await caller.deploy(tmp_path, agent_type, source("shell", runtime))
    victim = await caller.create(deployment, secrets={"TOKEN": "very secret"})
    assert await sh(caller, victim["instance_id"], "echo private > notes") == ""
    made = await caller.create(deployment)
    secret = Path(f"/tmp/podium-secret-{agent_type}")
    secret.write_text("for people")
    secret.chmod(0o644)
    places: dict[str, Any] = {
        "secret": secret,
        "data": daemons.data,
        "agents": daemons.data / "agents",
        "deployments": daemons.data / "deployments",
        "other": victim["agent_id"],
    }
    try:
        tried = [
            f"{{ {command.format(**places)}; }} >&1 2>/dev/null && echo GOT-{name}" for name, command in PROBES.items()
        ]
        said = await sh(caller, made["instance_id"], "\n".join(tried) + "\ntrue")
        assert "GOT" not in said
        assert "for people" not in said
    finally:
        secret.unlink()
    may = [
        f'AGENT={made["agent_id"]}; [ "$({command})" = mine ] || echo NOT-{name}' for name, command in ALLOWED.items()
    ]
    assert await sh(caller, made["instance_id"], "\n".join(may)) == ""

    pids = (await sh(caller, made["instance_id"], "ls /proc | grep '^[0-9]'")).split()
    assert len(pids) <= 5, f"processes of others are in sight: {pids}"
    environment = await sh(caller, made["instance_id"], "env; cat /proc/*/environ 2>/dev/null")
    assert "very secret" not in environment
    assert "secrets-key-of-a-test" not in environment
    status = await sh(caller, made["instance_id"], "grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status")
    assert status.split() == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    events = (await caller("GET", f"/api/v1/instances/{made['instance_id']}/events?limit=50")).body["items"]
    (started,) = [event["content"] for event in events if event["messageType"] == "sandbox.init"]
    assert started["isolation"] == "sandbox"
