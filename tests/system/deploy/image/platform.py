"""What a platform out of the image is proved by: an agent in each language, its answer, its files."""

import uuid
from pathlib import Path

import aiohttp

from tests.agents import Runtime, source
from tests.system.api import Caller
from tests.system.daemons import Daemons


async def talk(gateway: Daemons, directory: Path, runtimes: tuple[Runtime, ...] = ("python", "typescript")) -> str:
    """Deploys, creates, talks, and reads an older version of a file; returns the key that was made for it."""
    async with aiohttp.ClientSession() as session:
        key = await gateway.key(f"tenant-{uuid.uuid4().hex[:8]}")
        caller = Caller(gateway, session, key)
        for runtime in runtimes:
            name = f"t-{uuid.uuid4().hex[:10]}"
            deployment = await caller.deploy(directory / name, name, source("echo", runtime))
            instance = (await caller.create(deployment))["instance_id"]
            async with caller.connect(instance) as stream:
                await stream.say("hello out of an image")
                await stream.until("checkpoint")
            for text in ("one", "two"):
                put = await caller("PUT", f"/api/v1/instances/{instance}/files/notes.txt", data=text)
                assert put.status in (200, 201, 204), put.text
            history = (await caller("GET", f"/api/v1/instances/{instance}/files/notes.txt/history")).body
            # Between the two it may also have been seen empty, just made.
            assert len([each for each in history["iterations"] if each.get("size") == 3]) == 2, history
            assert (await caller("DELETE", f"/api/v1/instances/{instance}")).status in (200, 202, 204)
        return key
