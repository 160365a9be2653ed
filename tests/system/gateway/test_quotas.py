"""What a tenant may have and do, by the limits its key has; each is reached, told, and costs nothing."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from podium.wire.close import CloseCode
from tests.system.api import bundle_of
from tests.system.gateway.conftest import ADMIN_KEY, House

ECHO = "from podium.agent import BaseAgent\n\n\nclass Agent(BaseAgent): ...\n"


async def key_with(house: House, **limits: int) -> str:
    """A key of the tenant `acme`, made as an operator makes it."""
    status, made = await house.call("POST", "/api/v1/keys", ADMIN_KEY, json={"tenant_id": "acme", "limits": limits})
    assert (status, made["limits"]) == (201, limits)
    return str(made["key"])


@pytest.mark.proves("LIMIT-TENANT")
async def test_messages_are_limited_per_tenant(house: House) -> None:
    await house.instance()
    key = await key_with(house, messages_per_minute=30)
    path = "/api/v1/instances/inst-aaaaaaaaaaaaaaaa/messages"
    answers = [await house.call("POST", path, key, json={"text": "x"}) for _ in range(5)]
    assert [status for status, _ in answers] == [200, 200, 200, 429, 429]
    assert answers[-1][1]["code"] == "rate_limited"


@pytest.mark.proves("LIMIT-TENANT")
async def test_deployments_are_limited_per_tenant(house: House, tmp_path: Path) -> None:
    key = await key_with(house, deployments=2)

    async def upload(name: str) -> tuple[int, str]:
        form = aiohttp.FormData({"agent_type": name, "version": "1.0.0"})
        form.add_field("file", bundle_of(tmp_path / name, name, ECHO), filename="bundle.tar.gz")
        status, body = await house.call("POST", "/api/v1/deployments", key, data=form)
        return status, body.get("code", "")

    assert [await upload(name) for name in ("a", "b", "c")] == [(201, ""), (201, ""), (429, "quota_exceeded")]
    assert await upload("b") == (200, ""), "what is there already counts once"


@pytest.mark.proves("LIMIT-TENANT")
async def test_connections_are_limited_per_tenant(house: House) -> None:
    await house.instance()
    headers = {"Authorization": f"Bearer {await key_with(house, connections=2)}"}
    async with (
        house.connect("inst-aaaaaaaaaaaaaaaa", headers=headers) as one,
        house.connect("inst-aaaaaaaaaaaaaaaa", headers=headers),
    ):
        async with house.connect("inst-aaaaaaaaaaaaaaaa", headers=headers) as refused, asyncio.timeout(10):
            assert (await refused.receive()).data == CloseCode.RATE_LIMITED
        await one.close()
    async with house.connect("inst-aaaaaaaaaaaaaaaa", headers=headers) as again, asyncio.timeout(10):
        assert (await again.receive_json())["messageType"] == "connected"


async def test_a_limit_that_is_none_is_refused(house: House) -> None:
    for limits in ({"instances": 0}, {"instanecs": 3}, {"connections": -1}):
        body = {"tenant_id": "acme", "limits": limits}
        status, problem = await house.call("POST", "/api/v1/keys", ADMIN_KEY, json=body)
        assert (status, problem["code"]) == (400, "invalid_request")
