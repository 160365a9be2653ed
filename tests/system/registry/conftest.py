"""Hosts with nothing in common but a bucket: each has a gateway, a coordinator and a data directory of its own."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.contract.s3_server import S3Server, serving
from tests.system.api import Caller
from tests.system.daemons import Daemons

StartHost = Callable[..., Awaitable[Caller]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for those tests that let it live."""
    with serving(tmp_path_factory.mktemp("s3") / "data") as running:
        yield running


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[S3Server]:
    """A server of the test's own."""
    with serving(tmp_path / "mortal") as running:
        yield running


@pytest.fixture
async def start_host(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[StartHost]:
    """Starts a host, with these settings, and returns a caller with a key of the tenant `acme` there."""
    running: list[Daemons] = []

    async def start(**environment: str) -> Caller:
        name = f"host-{len(running)}"
        plain = {"CHRONICLE_ENABLE": "false", "COORDINATOR_ID": name}
        running.append(Daemons(tmp_path / name, {**plain, **environment}))
        await running[-1].start_all()
        return Caller(running[-1], session, await running[-1].key("acme"))

    yield start
    for daemons in running:
        daemons.close()


@pytest.fixture
def prefix() -> str:
    """A part of the bucket that is the test's own."""
    return f"tests/{uuid.uuid4().hex}"
