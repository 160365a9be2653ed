"""One real platform for each module of system tests; tests keep apart by tenant and agent type."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.agents import Runtime, source
from tests.system.api import Caller
from tests.system.daemons import Daemons


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    """A gateway and a coordinator, ready; one pair for a module."""
    running = Daemons(tmp_path_factory.mktemp("platform"))
    try:
        asyncio.run(running.start_all())
        yield running
    finally:
        running.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session of the test's own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as made:
        yield made


@pytest.fixture
async def caller(daemons: Daemons, session: aiohttp.ClientSession) -> Caller:
    """A caller with a fresh tenant's key."""
    tenant = f"tenant-{uuid.uuid4().hex[:8]}"
    return Caller(daemons, session, await daemons.key(tenant))


@pytest.fixture
def agent_type() -> str:
    """An agent type of the test's own."""
    return f"t-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def runtime() -> Runtime:
    """The language of the test's agents; each of them in turn for a test that is marked `in_every_language`."""
    return "python"


@pytest.fixture
async def echo(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> str:
    """A deployed echo agent; its deployment id."""
    return await caller.deploy(tmp_path / "echo", agent_type, source("echo", runtime))
