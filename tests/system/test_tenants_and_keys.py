"""Keys open what they should and nothing else; tenants do not see each other."""

import asyncio
import time
import uuid

import aiohttp
import pytest

from tests.system.api import Caller


@pytest.mark.proves("AUTH-NEEDED-EVERYWHERE")
@pytest.mark.parametrize("key", [None, "nonsense", "pod_", "pod_abc_def", "pod_admin_" + "b" * 40, "x" * 5000])
async def test_without_a_valid_key_nothing_is_told(caller: Caller, key: str | None) -> None:
    for path in ("/api/v1/instances", "/api/v1/deployments", "/api/v1/agents", "/api/v1/keys", "/api/v1/config"):
        answer = await caller.with_key(key)("GET", path)
        assert (answer.status, answer.code) == (401, "unauthenticated"), path
        assert key is None or key not in answer.text


@pytest.mark.proves("TENANT-ISOLATION-404")
async def test_what_belongs_to_another_tenant_does_not_exist(caller: Caller, echo: str) -> None:
    instance = await caller.create(echo)
    iid, aid = instance["instance_id"], instance["agent_id"]
    stranger = caller.with_key(await caller.daemons.key(f"other-{uuid.uuid4().hex[:8]}"))
    for method, path, code in (
        ("GET", f"/api/v1/instances/{iid}", "instance_not_found"),
        ("DELETE", f"/api/v1/instances/{iid}", "instance_not_found"),
        ("GET", f"/api/v1/instances/{iid}/messages", "instance_not_found"),
        ("GET", f"/api/v1/instances/{iid}/events", "instance_not_found"),
        ("GET", f"/api/v1/instances/{iid}/logs", "instance_not_found"),
        ("GET", f"/api/v1/instances/{iid}/state", "instance_not_found"),
        ("GET", f"/api/v1/instances/{iid}/requests", "instance_not_found"),
        ("POST", f"/api/v1/instances/{iid}/turns/turn-aaaaaaaaaaaaaaaa/cancel", "instance_not_found"),
        ("GET", f"/api/v1/agents/{aid}", "agent_not_found"),
        ("DELETE", f"/api/v1/agents/{aid}", "agent_not_found"),
        ("GET", f"/api/v1/deployments/{echo}", "deployment_not_found"),
        ("DELETE", f"/api/v1/deployments/{echo}", "deployment_not_found"),
    ):
        answer = await stranger(method, path)
        assert (answer.status, answer.code) == (404, code), (method, path)
    assert (await stranger("POST", "/api/v1/instances", json={"deployment_id": echo})).code == "deployment_not_found"
    assert (await stranger("GET", "/api/v1/instances")).body["items"] == []
    assert (await stranger("GET", "/api/v1/agents")).body["items"] == []
    url = f"{caller.daemons.url}/api/v1/instances/{iid}/connect"
    async with caller.session.ws_connect(url, headers=stranger.headers) as socket:
        await socket.receive(10)
        assert socket.close_code == 4404
    assert (await caller("GET", f"/api/v1/instances/{iid}")).status == 200


async def test_an_agent_id_of_another_tenant_can_not_be_continued(caller: Caller, echo: str) -> None:
    agent_id = f"shared-{uuid.uuid4().hex[:8]}"
    await caller.create(echo, agent_id=agent_id)
    tenant = f"other-{uuid.uuid4().hex[:8]}"
    stranger = caller.with_key(await caller.daemons.key(tenant))
    answer = await caller.admin(
        "POST",
        "/api/v1/instances",
        json={"deployment_id": echo, "agent_id": agent_id},
        headers={"Podium-Tenant": tenant},
    )
    assert answer.status in (404, 409), answer.text
    assert (await stranger("GET", f"/api/v1/agents/{agent_id}")).status == 404


@pytest.mark.proves("KEY-SHOWN-ONCE", "KEY-HASH-ONLY")
async def test_a_key_is_shown_once_and_only_its_hash_is_kept(caller: Caller) -> None:
    made = await caller.admin("POST", "/api/v1/keys", json={"tenant_id": "acme", "name": "ci"})
    assert made.status == 201
    key, key_id = made.body["key"], made.body["key_id"]
    assert key.startswith("pod_")
    listed = await caller.admin("GET", "/api/v1/keys?limit=1000")
    assert key_id in [item["key_id"] for item in listed.body["items"]]
    assert key not in listed.text
    assert (await caller.with_key(key)("GET", "/api/v1/instances")).status == 200
    for path in caller.daemons.directory.rglob("*"):
        if path.is_file() and path.stat().st_size < 50_000_000:
            assert key.encode() not in path.read_bytes(), path.name


@pytest.mark.proves("KEYS-ADMIN-ONLY")
async def test_a_tenant_key_can_not_make_keys_or_see_hosts(caller: Caller) -> None:
    for method, path in (("POST", "/api/v1/keys"), ("GET", "/api/v1/keys"), ("GET", "/api/v1/coordinators")):
        answer = await caller(method, path, json={"tenant_id": "x"} if method == "POST" else None)
        assert (answer.status, answer.code) == (403, "permission_denied"), path


@pytest.mark.proves("KEY-PERMISSIONS")
async def test_a_key_may_do_only_what_it_is_allowed(caller: Caller, echo: str) -> None:
    reader = caller.with_key(await caller.daemons.key("acme", ["instances:read"]))
    assert (await reader("GET", "/api/v1/instances")).status == 200
    for method, path, body in (
        ("POST", "/api/v1/instances", {"deployment_id": echo}),
        ("PUT", "/api/v1/secrets/some-type", {"A": "b"}),
        ("PUT", "/api/v1/config", {"config": {"a": 1}}),
    ):
        assert (await reader(method, path, json=body)).code == "permission_denied", path
    assert (await caller("PUT", "/api/v1/config", json={"config": {"a": 1}})).code == "permission_denied"


async def test_an_expired_key_opens_nothing(caller: Caller) -> None:
    past = int(time.time() * 1000) - 1000
    made = await caller.admin("POST", "/api/v1/keys", json={"tenant_id": "acme", "expires_at": past})
    assert made.status in (201, 400)
    if made.status == 201:
        assert (await caller.with_key(made.body["key"])("GET", "/api/v1/instances")).status == 401


@pytest.mark.proves("API-KEYS-REVOKE-5S")
async def test_a_revoked_key_is_refused_and_its_connections_close_within_five_seconds(
    caller: Caller, echo: str
) -> None:
    made = await caller.admin("POST", "/api/v1/keys", json={"tenant_id": "acme"})
    admin = caller.admin
    instance = await admin(
        "POST", "/api/v1/instances", json={"deployment_id": echo}, headers={"Podium-Tenant": await _tenant(caller)}
    )
    assert instance.status == 201, instance.text
    owner = caller
    key = await owner.daemons.key(await _tenant(caller))
    listed = (await admin("GET", "/api/v1/keys?limit=1000")).body["items"]
    key_id = next(item["key_id"] for item in listed if key.startswith(("pod_" + item["key_id"], item["key_id"])))
    url = f"{caller.daemons.url}/api/v1/instances/{instance.body['instance_id']}/connect"
    async with caller.session.ws_connect(url, headers={"Authorization": f"Bearer {key}"}) as socket:
        await socket.receive(10)
        started = time.monotonic()
        assert (await admin("DELETE", f"/api/v1/keys/{key_id}")).status == 204
        while (message := await socket.receive(10)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert socket.close_code == 4401
    async with asyncio.timeout(5.0):
        while (await caller.with_key(key)("GET", "/api/v1/instances")).status != 401:
            await asyncio.sleep(0.05)
    assert time.monotonic() - started < 5.0
    assert made.status == 201


async def _tenant(caller: Caller) -> str:
    listed = (await caller.admin("GET", "/api/v1/keys?limit=1000")).body["items"]
    assert caller.key is not None
    return next(
        str(item["tenant_id"]) for item in listed if caller.key.startswith(("pod_" + item["key_id"], item["key_id"]))
    )


@pytest.mark.proves("WS-BROWSER-SUBPROTOCOL-KEY")
async def test_a_browser_gives_its_key_as_a_subprotocol(caller: Caller, echo: str) -> None:
    instance = await caller.create(echo)
    url = f"{caller.daemons.url}/api/v1/instances/{instance['instance_id']}/connect"
    async with caller.session.ws_connect(url, protocols=["podium.v1", f"podium.bearer.{caller.key}"]) as socket:
        assert socket.protocol == "podium.v1"
        assert '"connected"' in (await socket.receive_str(timeout=10))
    async with caller.session.ws_connect(url, protocols=["podium.v1", "podium.bearer.pod_wrong_key"]) as socket:
        await socket.receive(10)
        assert socket.close_code == 4401


@pytest.mark.proves("NO-SECRET-IN-LOGS")
async def test_no_key_is_written_to_a_log(caller: Caller) -> None:
    assert caller.key is not None
    await caller("GET", "/api/v1/instances")
    await caller("GET", f"/api/v1/instances?limit=1&cursor={caller.key}")
    for daemon in ("gateway", "coordinator"):
        said = caller.daemons.said(daemon)
        assert caller.key not in said
        assert "cluster-key-of-a-test" not in said
