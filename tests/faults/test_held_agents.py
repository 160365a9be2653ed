"""An agent whose host died while it made it is made by another, as soon as nobody holds it any more; whoever asks waits so long."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from podium.base.clock import SystemClock
from podium.base.discovery.embedded import EmbeddedDiscovery
from podium.base.discovery.port import LEASE_TTL_SECONDS
from tests.agents import source
from tests.system.api import Caller
from tests.system.daemons import Daemons


@pytest.mark.slow
async def test_a_create_waits_until_an_agent_is_let_go(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path / "platform")
    try:
        await daemons.start_all()
        async with aiohttp.ClientSession() as session:
            caller = Caller(daemons, session, await daemons.key())
            deployment = await caller.deploy(tmp_path / "echo", "echo", source("echo"))
            discovery = EmbeddedDiscovery.open(daemons.data / "discovery.db", SystemClock())
            try:
                lease = await discovery.acquire_lease("held", "coord-that-died")
                began = time.monotonic()
            finally:
                await discovery.close()
            assert lease is not None
            headers = {"Idempotency-Key": "one"}
            body = {"deployment_id": deployment, "agent_id": "held"}
            made = await caller("POST", "/api/v1/instances", json=body, headers=headers)
            assert made.status == 201, made.text
            assert LEASE_TTL_SECONDS - 1 <= time.monotonic() - began <= LEASE_TTL_SECONDS + 10
            again = await caller("POST", "/api/v1/instances", json=body, headers=headers)
            assert again.body["instance_id"] == made.body["instance_id"]
    finally:
        await asyncio.to_thread(daemons.close)
