"""A secret that an agent may use and never sees: what it finds, what the hosts are told, and what others can do with it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.agents import Runtime, in_every_language, source
from tests.contract.servers import certificates
from tests.system.api import Caller
from tests.system.daemons import Daemons

SECRET = "the-real-token-42"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the hosts outside."""
    directory = tmp_path_factory.mktemp("outside")
    certificates(directory)
    return directory


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[Daemons]:
    """A platform that trusts the hosts outside."""
    environment = {"SSL_CERT_FILE": str(authority / "ca.pem")}
    running = Daemons(tmp_path_factory.mktemp("platform"), environment)
    try:
        asyncio.run(running.start_all())
        yield running
    finally:
        running.close()


class Outside:
    """Two hosts on the network: one the manifest allows, one it does not. Each tells what it was told."""

    def __init__(self, allowed: int, other: int, told: list[str]) -> None:
        self.allowed, self.other, self.told = allowed, other, told


@pytest.fixture
async def outside(authority: Path) -> AsyncIterator[Outside]:
    """They speak HTTPS on ports of the loopback."""
    told: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        told.append(request.headers.get("Authorization", ""))
        return web.Response(text=f"heard {len(told)}")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    ports = []
    for _ in range(2):
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        assert site._server is not None
        ports.append(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined] # aiohttp has no other way
    yield Outside(ports[0], ports[1], told)
    await runner.cleanup()


async def asked(caller: Caller, instance: str, url: str) -> dict[str, Any]:
    answer = await caller("POST", f"/api/v1/instances/{instance}/messages?wait=true", json={"text": url})
    assert answer.status == 200, answer.text
    return dict(json.loads(answer.body["text"]))


@pytest.mark.proves("SECRET-BROKERED")
@in_every_language
async def test_a_brokered_secret_is_used_and_never_seen(
    caller: Caller, daemons: Daemons, outside: Outside, agent_type: str, tmp_path: Path, runtime: Runtime
) -> None:
    extra = f'\n[secrets.TOKEN]\nhosts = ["localhost:{outside.allowed}"]\n'
    deployment = await caller.deploy(tmp_path, agent_type, source("caller", runtime), extra=extra)
    made = await caller.create(deployment, secrets={"TOKEN": SECRET, "PLAIN": "seen"})
    instance = made["instance_id"]

    said = await asked(caller, instance, f"https://localhost:{outside.allowed}/v1")
    assert (said["answer"], outside.told) == ("heard 1", [f"Bearer {SECRET}"])
    assert said["secret"] == said["environment"]["TOKEN"]
    assert said["secret"].startswith("podium-brokered-")
    assert said["environment"]["PLAIN"] == "seen"
    assert SECRET not in str(said)

    elsewhere = await asked(caller, instance, f"https://localhost:{outside.other}/v1")
    assert outside.told[1:] == [f"Bearer {said['secret']}"], "another host gets what the agent has: the placeholder"
    assert elsewhere["secret"] == said["secret"]

    assert (await caller("DELETE", f"/api/v1/instances/{instance}")).status == 204
    again = await caller.create(deployment, agent_id=made["agent_id"], secrets={"TOKEN": SECRET})
    later = await asked(caller, again["instance_id"], f"https://localhost:{outside.allowed}/v1")
    assert later["secret"] == said["secret"], "the agent may have written it down"
    assert later["environment"]["HTTPS_PROXY"] != said["environment"]["HTTPS_PROXY"]
    assert SECRET not in daemons.said("coordinator")
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.ClientHttpProxyError) as refused:  # the credentials of a process that has ended
            await stranger.get(f"https://localhost:{outside.allowed}/", proxy=said["environment"]["HTTPS_PROXY"])
    assert refused.value.status == 407


async def test_a_secret_that_is_no_header_is_refused_with_what_to_do(
    caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    extra = '\n[secrets.TOKEN]\nhosts = ["api.example.com"]\n'
    deployment = await caller.deploy(tmp_path, agent_type, source("caller"), extra=extra)
    body = {"deployment_id": deployment, "secrets": {"TOKEN": "one\r\nX-Evil: two"}}
    refused = await caller("POST", "/api/v1/instances", json=body)
    assert (refused.status, refused.code) == (422, "agent_start_failed")
    assert "set TOKEN anew" in refused.body["detail"]
    assert "X-Evil" not in refused.text
