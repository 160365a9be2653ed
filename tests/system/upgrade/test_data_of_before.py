"""The data of the previous release: everything is there, and goes on."""

import json
from pathlib import Path

import aiohttp
import pytest

from podium.coordinator.adapters.store import validate_directory
from tests.releases import DATA, unpack
from tests.system.api import Caller
from tests.system.daemons import Daemons
from tests.waiting import wait_until


@pytest.mark.proves("UPGRADE-DATA")
async def test_everything_of_the_previous_release_is_there_and_goes_on(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path / "platform")
    unpack(DATA.read_bytes(), daemons.data)
    said = json.loads((daemons.data / "said.json").read_text())
    try:
        await daemons.start_all()
        async with aiohttp.ClientSession() as session:
            caller = Caller(daemons, session, said["key"])
            path = f"/api/v1/instances/{said['scribe']}"

            async def text(instance: str, words: str) -> str:
                answer = await caller("POST", f"/api/v1/instances/{instance}/messages?wait=true", json={"text": words})
                assert answer.status == 200, answer.text
                return str(answer.body["text"])

            assert (await caller("GET", f"{path}/messages?limit=100")).body["items"] == said["messages"]
            assert (await caller("GET", f"{path}/state")).body == said["state"]
            history = (await caller("GET", "/api/v1/agents/scribe/files/notes/history")).body["iterations"]
            assert history == said["history"]
            first = history[-1]["iteration"]
            assert (await caller("GET", f"/api/v1/agents/scribe/files/notes/at/{first}")).text == "one\n"

            assert await text(said["scribe"], "read") == "4: deep/more=three\n notes=two\n"
            assert await text(said["fork"], "read") == "4: deep/more=three\n notes=two\n"
            assert (await caller.admin("GET", "/api/v1/config")).body["config"] == {"greeting": "hello"}
            assert (await caller.admin("GET", "/api/v1/secrets/scribe?tenant_id=acme")).status == 200

            asked = f"/api/v1/instances/{said['asker']}"
            (request,) = (await caller("GET", f"{asked}/requests?status=open")).body["items"]
            answered = await caller("POST", f"{asked}/requests/{request['request_id']}", json={"answers": {"q": "a"}})
            assert answered.status == 200, answered.text

            async def is_done() -> bool:
                last = (await caller("GET", f"{asked}/messages?limit=100")).body["items"][-1]
                return bool(last["role"] == "agent" and '"a"' in last["text"])

            await wait_until(is_done, 30, "the turn that waited for its answer")
            events = (await caller("GET", f"{path}/events?limit=1000")).body["items"]
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert daemons.stop("coordinator") == 0
        for agent in ("scribe", "fork", "asker"):
            assert validate_directory(daemons.data / "agents" / agent) == []
    finally:
        daemons.close()
