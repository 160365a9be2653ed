"""What an agent finds when its coordinator runs as root at level `process`: of the platform and of other tenants, nothing."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.api import Caller
from tests.system.daemons import Daemons

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="agents get user ids of their own only from root")

CURIOUS = """
import json, os, signal, socket

from podium.agent import BaseAgent


def look(order):
    found = {"uid": os.getuid(), "pids": [int(n) for n in os.listdir("/proc") if n.isdigit()], "read": [], "written": []}
    for root in order["roots"]:
        for parent, names, files in os.walk(root):
            for name in files:
                path = os.path.join(parent, name)
                try:
                    open(path, "rb").read(1)
                    found["read"].append(path)
                except OSError:
                    pass
            if os.access(parent, os.W_OK):
                found["written"].append(parent)
    for path in order["paths"]:
        try:
            open(path, "rb").read(1)
            found["read"].append(path)
        except OSError:
            pass
    found["environ"] = []
    found["signalled"] = []
    for pid in found["pids"]:
        if pid == os.getpid():
            continue
        try:
            open(f"/proc/{pid}/environ", "rb").read(1)
            found["environ"].append(pid)
        except OSError:
            pass
        try:
            os.kill(pid, 0)
            found["signalled"].append(pid)
        except OSError:
            pass
    found["connected"] = []
    for path in order["sockets"]:
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(path)
                found["connected"].append(path)
            except OSError:
                pass
    return found


class Agent(BaseAgent):
    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        await reply.stream_token(json.dumps(look(json.loads(message["text"]))), final=True)
"""


@pytest.fixture(scope="module")
def daemons() -> Iterator[Daemons]:
    """A platform whose data directory may be passed through, as `podium up` makes it (0711), everything before it too."""
    directory = Path(tempfile.mkdtemp(prefix="podium-open-", dir="/tmp"))
    directory.chmod(0o755)
    running = Daemons(directory, {"PODIUM_ISOLATION": "process"})
    running.data.mkdir(mode=0o711)
    running.data.chmod(0o711)
    try:
        asyncio.run(running.start_all())
        yield running
    finally:
        running.close()
        shutil.rmtree(directory, ignore_errors=True)


async def _ask(caller: Caller, instance_id: str, order: dict[str, Any]) -> dict[str, Any]:
    answer = await caller(
        "POST", f"/api/v1/instances/{instance_id}/messages?wait=true", json={"text": json.dumps(order)}
    )
    assert answer.status == 200, answer.text
    return dict(json.loads(answer.body["text"]))


async def test_an_agent_sees_its_own_deployment_and_directories_and_nothing_else(
    daemons: Daemons, caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    victim = caller.with_key(await daemons.key("victim"))
    theirs = await victim.deploy(tmp_path / "victim", f"v-{agent_type}", CURIOUS)
    other = await victim.create(theirs, secrets={"TOKEN": "very secret"})
    mine = await caller.deploy(tmp_path / "mine", agent_type, CURIOUS)
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
