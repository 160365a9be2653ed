"""The REST interface over a stub coordinator: what is decided here, what is passed on, what is refused."""

import asyncio
import gzip
import io
import json
import tarfile
from typing import Any

import aiohttp
import pytest
from yarl import URL

from podium.base.discovery import AgentRecord
from podium.gateway.adapters import creator, once
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import CREATE_TIMEOUT_SECONDS
from podium.wire.status import InstanceStatus
from tests.system.gateway.conftest import ADMIN_KEY, House
from tests.waiting import wait_until

MANIFEST = '[agent]\ntype = "{}"\nversion = "{}"\nruntime = "python"\nentry = "agent:Agent"\n'


def bundle(agent_type: str = "echo", version: str = "1.0.0", code: bytes = b"") -> bytes:
    """A small bundle."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as out, tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in (("podium.toml", MANIFEST.format(agent_type, version).encode()), ("agent.py", code)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


async def upload(
    house: House, agent_type: str = "echo", version: str = "1.0.0", code: bytes = b"", **more: Any
) -> tuple[int, Any]:
    """Uploads a bundle."""
    form = aiohttp.FormData({"agent_type": agent_type, "version": version})
    form.add_field("file", bundle(agent_type, version, code), filename="b.tar.gz", content_type="application/gzip")
    return await house.call("POST", "/api/v1/deployments", data=form, **more)


# ── deployments ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_version_is_written_once(house: House) -> None:
    first = await upload(house)
    assert first[0] == 201
    assert await upload(house) == (200, first[1])
    status, body = await upload(house, code=b"# other")
    assert (status, body["code"]) == (409, "deployment_exists")
    await wait_until(lambda: [call[1] for call in house.stub.calls] == ["/deploy/agent"])


async def test_of_racing_uploads_with_other_bytes_one_wins(house: House) -> None:
    answers = await asyncio.gather(*(upload(house, code=b"#%d" % number) for number in range(8)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 7


async def test_a_version_of_another_tenant_is_neither_seen_nor_overwritten(house: House) -> None:
    await upload(house)
    stranger, _ = await house.tenant_key("other")
    assert (await upload(house, key=stranger))[0] == 409
    assert (await house.call("GET", "/api/v1/deployments", stranger))[1]["items"] == []
    assert (await house.call("GET", "/api/v1/deployments/echo:1.0.0@local", stranger))[0] == 404
    admin = await house.call("GET", "/api/v1/deployments", ADMIN_KEY)
    assert len(admin[1]["items"]) == 1


@pytest.mark.proves("DEPLOYMENT-REFERENCES")
async def test_a_reference_names_a_deployment_in_four_ways(house: House) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"):
        await upload(house, version=version)
    exact = (await house.call("GET", "/api/v1/deployments/echo:1.9.0"))[1]["deployment_id"]
    for reference, version in (("echo", "1.10.0"), (exact, "1.9.0"), ("echo:2.0.0-rc.1@local", "2.0.0-rc.1")):
        assert (await house.call("GET", f"/api/v1/deployments/{reference}"))[1]["version"] == version
    status, body = await house.call("GET", "/api/v1/deployments/echo:1.9.0@00000000")
    assert (status, body["code"]) == (422, "checksum_mismatch")
    for nothing in ("nothing", "echo:9.9.9", "ECHO", "echo:x", "echo@local"):
        assert (await house.call("GET", f"/api/v1/deployments/{nothing}"))[1]["code"] == "deployment_not_found"


@pytest.mark.proves("LISTS-PAGINATED")
async def test_deployments_come_in_pages(house: House) -> None:
    for number in range(5):
        await upload(house, version=f"1.0.{number}")
    seen, cursor = [], ""
    while cursor is not None:
        query = f"?limit=2&agent_type=echo{f'&cursor={cursor}' if cursor else ''}"
        _, page = await house.call("GET", f"/api/v1/deployments{query}")
        seen += [item["version"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"1.0.{number}" for number in range(5)]


async def test_a_deployment_in_use_stays(house: House) -> None:
    _, deployed = await upload(house)
    _, made = await house.call("POST", "/api/v1/instances", json={"deployment_id": "echo"})
    path = f"/api/v1/deployments/{deployed['deployment_id']}"
    assert (await house.call("DELETE", path))[1]["code"] == "deployment_in_use"
    await house.instance(made["instance_id"], status=InstanceStatus.TERMINATED, deployment_id=deployed["deployment_id"])
    assert (await house.call("DELETE", path))[0] == 204
    assert (await house.call("GET", path))[0] == 404
    assert (await upload(house, code=b"# the version may be used again"))[0] == 201


@pytest.mark.parametrize(
    ("fields", "content_type", "status", "code"),
    [
        ({"agent_type": "echo"}, None, 400, "invalid_request"),
        ({"agent_type": "echo", "version": "one", "file": b"x"}, None, 400, "invalid_request"),
        ({"agent_type": "Echo!", "version": "1.0.0", "file": b"x"}, None, 400, "invalid_request"),
        ({"agent_type": "echo", "version": "1.0.0", "file": b"x"}, None, 400, "invalid_bundle"),
        ({"agent_type": "e" * 5000, "version": "1.0.0", "file": b"x"}, None, 400, "invalid_request"),
        (None, "application/json", 415, "unsupported_media_type"),
        (None, "multipart/form-data", 400, "invalid_request"),
        (None, "multipart/form-data; boundary=abc", 400, "invalid_request"),
    ],
)
async def test_a_broken_form_is_refused(
    house: House, fields: dict[str, Any] | None, content_type: str | None, status: int, code: str
) -> None:
    if fields is not None:
        form = aiohttp.FormData({name: value for name, value in fields.items() if name != "file"})
        if "file" in fields:
            form.add_field("file", fields["file"], filename="f", content_type="application/gzip")
        else:
            form.add_field("other", b"x", filename="f", content_type="application/gzip")
        answer = await house.call("POST", "/api/v1/deployments", data=form)
    else:
        headers = {"Content-Type": content_type or ""}
        answer = await house.call("POST", "/api/v1/deployments", data=b"--abc\r\nnonsense", headers=headers)
    assert (answer[0], answer[1]["code"]) == (status, code)


# ── creating ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("CREATE-IDEMPOTENCY-KEY")
async def test_one_key_makes_one_instance_also_while_the_first_call_runs(house: House) -> None:
    await upload(house)
    house.stub.create_gate.clear()
    calls = [
        house.call("POST", "/api/v1/instances", json={"deployment_id": "echo"}, headers={"Idempotency-Key": "k"})
        for _ in range(5)
    ]
    running = asyncio.gather(*calls)
    await wait_until(lambda: house.stub.created)
    house.stub.create_gate.set()
    answers = await running
    assert {status for status, _ in answers} == {201}
    assert len({body["instance_id"] for _, body in answers}) == 1
    assert len(house.stub.created) == 1
    later = await house.call(
        "POST", "/api/v1/instances", json={"deployment_id": "echo"}, headers={"Idempotency-Key": "k"}
    )
    assert later == answers[0]
    status, body = await house.call(
        "POST",
        "/api/v1/instances",
        json={"deployment_id": "echo", "agent_id": "other"},
        headers={"Idempotency-Key": "k"},
    )
    assert (status, body["code"]) == (409, "idempotency_conflict")


async def test_a_key_whose_call_failed_may_be_used_again(house: House) -> None:
    await upload(house)
    house.stub.refuse = PodiumError(ErrorCode.AGENT_START_FAILED, "no", logs=["line"])
    call: Any = {"json": {"deployment_id": "echo"}, "headers": {"Idempotency-Key": "k"}}
    status, body = await house.call("POST", "/api/v1/instances", **call)
    assert (status, body["code"], body["logs"]) == (422, "agent_start_failed", ["line"])
    house.stub.refuse = None
    assert (await house.call("POST", "/api/v1/instances", **call))[0] == 201


@pytest.mark.proves("INSTANCE-CREATE-504")
async def test_an_instance_that_is_not_ready_in_time_is_found_again_by_its_key(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CREATE_TIMEOUT_SECONDS == 60.0
    monkeypatch.setattr(creator, "CREATE_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(once, "CLAIM_HOLD_SECONDS", 0.1)
    await upload(house)
    house.stub.create_gate.clear()
    call: Any = {"json": {"deployment_id": "echo"}, "headers": {"Idempotency-Key": "k"}}
    status, body = await house.call("POST", "/api/v1/instances", **call)
    assert (status, body["code"]) == (504, "agent_timeout")
    house.stub.create_gate.set()
    status, body = await house.call("POST", "/api/v1/instances", **call)
    assert status == 201
    assert {asked.instance_id for asked in house.stub.created} == {body["instance_id"]}


async def test_later_layers_of_the_environment_win(house: House) -> None:
    await upload(house)
    await house.call("PUT", "/api/v1/secrets/echo", json={"A": "type", "B": "type"})
    await house.call("PUT", "/api/v1/config", ADMIN_KEY, json={"config": {"model": "big"}})
    wanted = {
        "deployment_id": "echo",
        "environment": {"A": "environment", "C": "environment"},
        "secrets": {"B": "call"},
        "config": {"tone": "dry"},
    }
    assert (await house.call("POST", "/api/v1/instances", json=wanted))[0] == 201
    asked = house.stub.created[0]
    assert asked.environment == {"A": "environment", "C": "environment"}
    assert asked.secrets == {"A": "type", "B": "call"}
    assert (asked.config, asked.runtime_config, asked.tenant_id) == ({"tone": "dry"}, {"model": "big"}, "acme")


async def test_an_agent_that_is_alive_is_returned_or_refused(house: House) -> None:
    _, first = await upload(house)
    _, second = await upload(house, version="2.0.0")
    await house.instance(agent_id="agent-1", deployment_id=first["deployment_id"])
    await house.discovery.put_agent(
        AgentRecord("agent-1", "acme", "echo", first["deployment_id"], 1, 1, "inst-aaaaaaaaaaaaaaaa", "coord-1")
    )
    status, body = await house.call(
        "POST", "/api/v1/instances", json={"deployment_id": first["deployment_id"], "agent_id": "agent-1"}
    )
    assert (status, body["instance_id"]) == (200, "inst-aaaaaaaaaaaaaaaa")
    status, body = await house.call(
        "POST", "/api/v1/instances", json={"deployment_id": second["deployment_id"], "agent_id": "agent-1"}
    )
    assert (status, body["code"]) == (409, "agent_in_use")
    stranger, _ = await house.tenant_key("other")
    await upload(house, "theirs", key=stranger)
    status, body = await house.call(
        "POST", "/api/v1/instances", stranger, json={"deployment_id": "theirs", "agent_id": "agent-1"}
    )
    assert (status, body["code"]) == (404, "agent_not_found")


async def test_an_agent_whose_host_is_away_is_not_started_elsewhere(house: House) -> None:
    _, deployed = await upload(house)
    await house.discovery.put_agent(AgentRecord("a", "acme", "echo", deployed["deployment_id"], 1, 1, None, "coord-9"))
    status, body = await house.call("POST", "/api/v1/instances", json={"deployment_id": "echo", "agent_id": "a"})
    assert (status, body["code"]) == (503, "coordinator_unreachable")


@pytest.mark.parametrize(
    "more",
    [
        {"agent_id": "a b"},
        {"agent_id": "a\n"},
        {"agent_id": ""},
        {"environment": {"1A": "x"}},
        {"environment": {"A": "x\0y"}},
        {"secrets": {"A": "x" * 200_000}},
        {"limits": {"memory": "much"}},
        {"limits": {"cpu": -1}},
        {"idle_timeout": "soon"},
        {"unknown": 1},
        {"deployment_id": ""},
        {"config": []},
    ],
)
async def test_a_create_call_that_makes_no_sense_is_refused(house: House, more: dict[str, Any]) -> None:
    await upload(house)
    status, body = await house.call("POST", "/api/v1/instances", json={"deployment_id": "echo", **more})
    assert (status, body["code"]) == (400, "invalid_request")
    assert body["errors"]
    assert house.stub.created == []


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_an_idempotency_key_has_bounds(house: House, key: str) -> None:
    await upload(house)
    status, body = await house.call(
        "POST", "/api/v1/instances", json={"deployment_id": "echo"}, headers={"Idempotency-Key": key}
    )
    assert (status, body["code"]) == (400, "invalid_request")


# ── passing on ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("route", ["messages", "events", "logs", "state", "requests"])
async def test_what_a_coordinator_answers_is_passed_back(house: House, route: str) -> None:
    await house.instance()
    status, body = await house.call("GET", f"/api/v1/instances/inst-aaaaaaaaaaaaaaaa/{route}?limit=7")
    assert (status, body) == (200, {"said": f"/agent/{{id}}/{route}"})
    method, _, headers, query = house.stub.calls[0]
    assert (method, query) == ("GET", b"limit=7")
    assert headers["podium-tenant"] == "acme"


async def test_event_streams_are_passed_through_as_they_come(house: House) -> None:
    await house.instance()
    async with house.session.get(
        f"{house.url}/api/v1/instances/inst-aaaaaaaaaaaaaaaa/events",
        headers={"Authorization": f"Bearer {house.key}", "Accept": "text/event-stream", "Last-Event-ID": "4"},
    ) as answer:
        assert answer.content_type == "text/event-stream"
        assert (await answer.text()).count("data: {}") == 3
    assert house.stub.calls[0][2]["last-event-id"] == "4"


async def test_problems_of_a_coordinator_keep_their_code_and_get_our_request_id(house: House) -> None:
    await house.instance()
    house.stub.refuse = PodiumError(ErrorCode.QUOTA_EXCEEDED, "the queue is full", retry_after=3)
    path = "/api/v1/instances/inst-aaaaaaaaaaaaaaaa/messages"
    async with house.session.post(
        house.url + path,
        json={"text": "x"},
        headers={"Authorization": f"Bearer {house.key}", "X-Request-Id": "mine-1"},
    ) as answer:
        body = await answer.json(content_type=None)
        assert (answer.status, body["code"], body["request_id"]) == (429, "quota_exceeded", "mine-1")
        assert (answer.headers["Retry-After"], answer.headers["X-Request-Id"]) == ("3", "mine-1")
    assert house.stub.calls[0][2]["x-request-id"] == "mine-1"


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("GET", "/state"), ("POST", "/messages")])
async def test_a_coordinator_that_is_away_is_503_with_retry_after(house: House, method: str, rest: str) -> None:
    await house.instance()
    await house.stub.kill()
    async with house.session.request(
        method,
        f"{house.url}/api/v1/instances/inst-aaaaaaaaaaaaaaaa{rest}",
        headers={"Authorization": f"Bearer {house.key}"},
        json={"text": "x"} if method == "POST" else None,
    ) as answer:
        body = await answer.json(content_type=None)
        assert (answer.status, body["code"]) == (503, "coordinator_unreachable")
        assert int(answer.headers["Retry-After"]) >= 1
    await house.stub.start()


@pytest.mark.proves("INSTANCE-STOPPED-404")
async def test_a_stopped_instance_is_not_there(house: House) -> None:
    await house.instance(status=InstanceStatus.TERMINATED)
    for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/messages")):
        status, body = await house.call(method, f"/api/v1/instances/inst-aaaaaaaaaaaaaaaa{rest}")
        assert (status, body["code"]) == (404, "instance_not_found")


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_agent_is_erased_where_its_data_are_and_then_forgotten(house: House) -> None:
    await house.instance()
    await house.discovery.put_agent(
        AgentRecord("agent-1", "acme", "echo", "echo:1.0.0@00000000", 1, 1, "inst-aaaaaaaaaaaaaaaa", "coord-1")
    )
    assert (await house.call("GET", "/api/v1/agents"))[1]["items"][0]["status"] == "ready"
    assert (await house.call("DELETE", "/api/v1/agents/agent-1"))[1]["code"] == "agent_in_use"
    await house.instance(status=InstanceStatus.TERMINATED)
    assert (await house.call("DELETE", "/api/v1/agents/agent-1"))[0] == 204
    assert [call[1] for call in house.stub.calls] == ["/agents/{agent_id}"]
    assert (await house.call("GET", "/api/v1/agents/agent-1"))[0] == 404


async def test_secrets_are_sealed_where_they_are_kept(house: House) -> None:
    status, body = await house.call("PUT", "/api/v1/secrets/echo", json={"TOKEN": "very secret"})
    assert (status, body) == (200, {"agent_type": "echo", "names": ["TOKEN"]})
    record = await house.discovery.secrets("acme", "echo")
    assert record is not None
    assert "very secret" not in str(record)
    assert (await house.call("GET", "/api/v1/secrets/echo"))[1]["code"] == "permission_denied"
    seen = await house.call("GET", "/api/v1/secrets/echo", ADMIN_KEY, headers={"Podium-Tenant": "acme"})
    assert seen[1]["names"] == ["TOKEN"]
    assert (await house.call("DELETE", "/api/v1/secrets/echo/TOKEN"))[0] == 204
    assert (await house.call("DELETE", "/api/v1/secrets/echo/TOKEN"))[1]["code"] == "secret_not_found"


@pytest.mark.proves("ADMIN-ACTS-FOR-TENANT")
async def test_an_admin_sees_all_and_acts_for_one(house: House) -> None:
    await house.instance()
    await house.instance("inst-bbbbbbbbbbbbbbbb", tenant_id="other", agent_id="b")
    assert len((await house.call("GET", "/api/v1/instances", ADMIN_KEY))[1]["items"]) == 2
    one = await house.call("GET", "/api/v1/instances", ADMIN_KEY, headers={"Podium-Tenant": "other"})
    assert [item["agent_id"] for item in one[1]["items"]] == ["b"]
    status, body = await house.call("GET", "/api/v1/instances", headers={"Podium-Tenant": "other"})
    assert (status, body["code"]) == (403, "permission_denied")


async def test_a_key_that_has_expired_opens_nothing(house: House) -> None:
    key, _ = await house.tenant_key("acme", expires_at=5)
    assert (await house.call("GET", "/api/v1/instances", key))[0] == 401


@pytest.mark.proves("READY-NAMES-DEPENDENCY")
async def test_without_discovery_nothing_pretends(house: House) -> None:
    house.discovery.available = False
    assert (await house.call("GET", "/ready", None)) == (503, {"status": "not_ready", "failing": ["discovery"]})
    status, body = await house.call("GET", "/api/v1/instances")
    assert (status, body["code"]) == (503, "registry_unavailable")
    assert (await house.call("GET", "/health", None))[0] == 200
    house.discovery.available = True


async def test_coordinators_are_listed_and_drained_by_admins(house: House) -> None:
    _, page = await house.call("GET", "/api/v1/coordinators", ADMIN_KEY)
    assert [item["coordinator_id"] for item in page["items"]] == ["coord-1"]
    assert (await house.call("POST", "/api/v1/coordinators/coord-1/drain", ADMIN_KEY))[0] == 202
    assert (await house.call("POST", "/api/v1/coordinators/nobody/drain", ADMIN_KEY))[0] == 404


@pytest.mark.proves("ERRORS-PROBLEM-JSON")
@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("PATCH", "/api/v1/instances", {}, 405, "method_not_allowed"),
        (
            "POST",
            "/api/v1/instances",
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "invalid_json",
        ),
        ("POST", "/api/v1/instances", {"data": b'{"deployment_id":"\xff"}'}, 400, "invalid_json"),
        ("POST", "/api/v1/instances", {"data": b"[" * 100_000 + b"]" * 100_000}, 400, "invalid_request"),
        ("PUT", "/api/v1/config", {"data": b'{"config":' * 60_000}, 400, "invalid_json"),
        ("POST", "/api/v1/instances", {"data": b" " * 1_100_000}, 413, "message_too_large"),
        ("POST", "/api/v1/instances", {"data": {"a": "b"}}, 415, "unsupported_media_type"),
        ("GET", "/api/v1/instances?limit=1001", {}, 400, "invalid_request"),
        ("GET", "/api/v1/instances?limit=1&limit=2", {}, 400, "invalid_request"),
        ("GET", "/api/v1/instances/inst-aaaaaaaaaaaaaaaa%2F..", {}, 404, "instance_not_found"),
        ("GET", "/api/v1/instances/%ff", {}, 404, "not_found"),
    ],
)
async def test_every_error_is_a_problem(
    house: House, method: str, path: str, more: dict[str, Any], status: int, code: str
) -> None:
    url = URL(house.url + path, encoded=True)
    key = ADMIN_KEY if "config" in path else house.key
    headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
    if isinstance(more.get("data"), bytes):
        headers.setdefault("Content-Type", "application/json")
        more = {"data": io.BytesIO(more["data"])}
    async with house.session.request(method, url, headers=headers, **more) as answer:
        body = json.loads(await answer.read())
        assert (answer.status, body["code"]) == (status, code)
        assert answer.content_type == "application/problem+json"
        assert body["request_id"] == answer.headers["X-Request-Id"]
