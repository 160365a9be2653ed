"""One platform and one Diminuendo for each module; tests keep apart by tenant."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.agents import Source, source
from tests.system.api import Caller
from tests.system.daemons import Daemons
from tests.system.diminuendo.people import Process, Tenant

COUNTER = Path(__file__).parents[3] / "examples" / "counter" / "agent.py"

AGENTS = ("echo", "asker", "slow", "scribe")
"""Deployed under their names; `counter` is the example."""


@pytest.fixture(scope="module")
def diminuendo(daemons: Daemons, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A Diminuendo over a platform that has agents to talk to."""
    process = asyncio.run(started(daemons, tmp_path_factory.mktemp("diminuendo"), DIMINUENDO_PROXIES="1"))
    try:
        yield process
    finally:
        process.close()
    process.check()


async def started(daemons: Daemons, directory: Path, **environment: str) -> Process:
    """Deploys the agents and starts a Diminuendo, with a Podium tenant of its own."""
    key = await daemons.key(f"people-{uuid.uuid4().hex[:8]}")
    async with aiohttp.ClientSession() as http:
        caller = Caller(daemons, http, key)
        for name in AGENTS:
            await caller.deploy(directory / name, name, source(name))
        code = COUNTER.read_text().replace("class Counter", "class Agent")
        await caller.deploy(directory / "counter", "counter", Source("python", code))
    process = Process(directory, daemons.url, key, **environment)
    await process.start()
    return process


@pytest.fixture
async def mortal(diminuendo: Process, tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Tenant]:
    """A tenant of a Diminuendo that the test may kill: over the same platform, with data of its own."""
    process = diminuendo.another(tmp_path / "mortal")
    await process.start()
    try:
        yield Tenant(process, session, "acme")
    finally:
        process.close()
    process.check()


@pytest.fixture
async def tenant(diminuendo: Process, session: aiohttp.ClientSession) -> Tenant:
    """A tenant of the test's own."""
    return Tenant(diminuendo, session, f"tenant-{uuid.uuid4().hex[:8]}")
