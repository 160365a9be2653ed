"""One cluster for each module of tests."""

import uuid
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.system.api import Caller
from tests.system.cluster.cluster import Cluster, running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two hosts and a gateway."""
    made = running(tmp_path_factory.mktemp("cluster"), COORDINATOR_DRAIN="5s")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
async def calls(cluster: Cluster) -> AsyncIterator[Caller]:
    """A caller with a fresh tenant's key."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Caller(cluster.gateway, session, await cluster.gateway.key(f"tenant-{uuid.uuid4().hex[:8]}"))
