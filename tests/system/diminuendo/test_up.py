"""Diminuendo as a part of `podium up`."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from podium.cli.project import Project
from podium.cli.upload import deploy
from podium.client import ClientSettings, PodiumClient
from tests.system.cli.platforms import eventually, running
from tests.system.diminuendo.people import Person
from tests.system.diminuendo.test_conversations import begun, talked

COUNTER = Path(__file__).parents[3] / "examples" / "counter"


@pytest.mark.proves("DIM-UP")
def test_it_is_there_with_the_platform_and_takes_the_development_key(tmp_path: Path) -> None:
    with running(tmp_path, DIMINUENDO_ENABLE="true") as up:
        addresses, key = up.ready(), (up.data / "dev-key").read_text().strip()
        assert asyncio.run(_conversation(addresses["gateway"], addresses["diminuendo"], key, deploying=True)) == 1
        before = up.daemons()["diminuendo"]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: up.daemons().get("diminuendo", before) != before)
        assert asyncio.run(_conversation(addresses["gateway"], addresses["diminuendo"], key, deploying=False)) == 2
        text = (up.data / "log" / "diminuendo.log").read_text()
        assert key not in text


async def _conversation(gateway: str, diminuendo: str, key: str, *, deploying: bool) -> int:
    """A turn in a new session; how many sessions there are then."""
    if deploying:
        async with PodiumClient(ClientSettings(gateway, key)) as podium:
            await deploy(podium, Project(COUNTER))
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                socket = await http.ws_connect(f"{diminuendo}/ws")
            except aiohttp.ClientError:  # it is being started again
                await asyncio.sleep(0.05)
                continue
            break
        async with Person(socket) as developer:
            known = await developer.ask("authenticate", token=key)
            assert (known["identity"]["tenantId"], known["identity"]["role"]) == ("dev", "owner")
            session_id = await begun(developer, "counter")
            assert (await talked(developer, session_id, "hi"))["finalText"] == "message 1: 'hi'"
            return len((await developer.ask("list_sessions"))["sessions"])
