"""Makes the data of a release: `python -m tests.releases.make COMMIT FILE`, run once, before its successor changes what is written.

The agents it leaves behind: `scribe` with state, a conversation and two versions of a file, asleep; `fork`, made from it; `asker` in the middle of a
turn, with a question that nobody has answered.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from tests.agents import source
from tests.releases import code_of
from tests.system.api import Caller
from tests.system.daemons import Daemons
from tests.waiting import wait_until

REBUILT = ("uploads", "processes", "cache")
"""Directories that a coordinator makes anew."""


async def live(caller: Caller, folder: Path) -> dict[str, Any]:
    """Everything that is to be found again."""
    scribe = await caller.deploy(folder / "scribe", "scribe", source("scribe"))
    await caller("PUT", "/api/v1/secrets/scribe", json={"TOKEN": "kept"})
    await caller.admin("PUT", "/api/v1/config", json={"config": {"greeting": "hello"}})
    made = await caller.create(scribe, agent_id="scribe", idle_timeout="1s")
    path = f"/api/v1/instances/{made['instance_id']}"
    for text in ("sh echo one > notes", "sh echo two > notes; mkdir -p deep; echo three > deep/more", "hello"):
        assert (await caller("POST", f"{path}/messages?wait=true", json={"text": text})).status == 200
    fork = (await caller("POST", "/api/v1/agents/scribe/fork", json={"agent_id": "fork"})).body
    asker = await caller.create(await caller.deploy(folder / "asker", "asker", source("asker")), agent_id="asker")
    asked = f"/api/v1/instances/{asker['instance_id']}"
    await caller("POST", f"{asked}/messages", json={"text": "question"})

    async def is_open() -> bool:
        return bool((await caller("GET", f"{asked}/requests?status=open")).body["items"])

    async def sleeps() -> bool:
        return bool((await caller("GET", path)).body["status"] == "asleep")

    await wait_until(is_open, 30)
    await wait_until(sleeps, 30)
    return {
        "key": caller.key,
        "scribe": made["instance_id"],
        "fork": fork["instance_id"],
        "asker": asker["instance_id"],
        "messages": (await caller("GET", f"{path}/messages?limit=100")).body["items"],
        "state": (await caller("GET", f"{path}/state")).body,
        "history": (await caller("GET", "/api/v1/agents/scribe/files/notes/history")).body["iterations"],
    }


async def make(commit: str, file: Path) -> None:
    """Runs the release, and packs what it leaves."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        directory = Path(place)
        code = code_of(commit, directory / "code")
        assert code is not None, f"git does not have {commit}"
        daemons = Daemons(directory / "platform", {"PYTHONPATH": str(code)})
        try:
            await daemons.start_all()
            async with aiohttp.ClientSession() as session:
                said = await live(Caller(daemons, session, await daemons.key()), directory)
        finally:
            daemons.close()
        (daemons.data / "said.json").write_text(json.dumps(said, indent=1))
        kept = sorted(entry.name for entry in daemons.data.iterdir() if entry.name not in REBUILT)
        command = ["tar", "--xattrs", "-cJf", str(file.absolute()), "-C", str(daemons.data), *kept]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1], Path(sys.argv[2])))
