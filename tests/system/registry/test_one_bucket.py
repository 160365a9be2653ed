"""Deployed on one host, run on another: the registry in a real bucket, through real daemons."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import obstore
import pytest

from podium.wire.errors import ErrorCode
from tests.agents import source
from tests.contract.s3_between import Between, hold, pass_on
from tests.contract.s3_server import SECRET_KEY, S3Server, s3_settings
from tests.system.api import Answer, Caller, bundle_of
from tests.system.daemons import Daemons
from tests.system.registry.conftest import StartHost
from tests.waiting import wait_until

ECHO = source("echo").code
ENVIRONMENT = """
import os
from podium.agent import BaseAgent

class Agent(BaseAgent):
    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        await reply.stream_token(" ".join(sorted(os.environ)), final=True)
"""


def bundle_key(prefix: str, agent_type: str, ending: str = "tar.gz") -> str:
    """Where the registry keeps version 1.0.0 of a type."""
    return f"{prefix}/development/deployments/{agent_type}/1.0.0/{agent_type}-1.0.0.{ending}"


async def answer_of(caller: Caller, deployment_id: str) -> str:
    """Creates an instance, asks it something and ends it."""
    made = await caller.create(deployment_id)
    async with caller.connect(made["instance_id"]) as stream:
        said = await stream.turn("hello")
    await caller("DELETE", f"/api/v1/instances/{made['instance_id']}")
    return said


def create(caller: Caller, deployment_id: str) -> asyncio.Task[Answer]:
    """A creation under way."""
    call = caller("POST", "/api/v1/instances", json={"deployment_id": deployment_id})
    return asyncio.get_running_loop().create_task(call)


def making(caller: Caller) -> list[str]:
    """What is being made in a host's data directory."""
    return os.listdir(caller.daemons.data / "deployments" / ".making")


@pytest.mark.proves("REGISTRY-ANY-HOST")
async def test_what_is_deployed_on_one_host_runs_on_the_other(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    bucket = {**server.environment(), "S3_PREFIX": prefix}
    here, there = await start_host(**bucket), await start_host(**bucket)
    bundle = bundle_of(tmp_path / "echo", agent_type, ECHO)
    uploaded = await here.upload(bundle, agent_type)
    assert uploaded.status == 201
    assert bytes(obstore.get(server.client(), bundle_key(prefix, agent_type)).bytes()) == bundle
    for caller in (there, here):
        assert await answer_of(caller, uploaded.body["deployment_id"]) == "1: hello"
        assert list((caller.daemons.data / "deployments" / agent_type).glob("1.0.0@*/bundle/agent.py"))
        assert not (caller.daemons.data / "objects").exists()
    again = await there.upload(bundle, agent_type)
    assert (again.status, again.body) == (200, uploaded.body)
    other = await there.upload(bundle_of(tmp_path / "echo", agent_type, ECHO + "\n"), agent_type)
    assert (other.status, other.code) == (409, "deployment_exists")


async def test_a_bundle_of_many_parts_goes_the_whole_way(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    bucket = {**server.environment(), "S3_PREFIX": prefix}
    here, there = await start_host(**bucket), await start_host(**bucket)
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "weights").write_bytes(os.urandom(40 * 2**20))
    deployment_id = await here.deploy(tmp_path / "echo", agent_type, ECHO)
    assert await answer_of(there, deployment_id) == "1: hello"
    assert os.listdir(here.daemons.data / "uploads") == []


@pytest.mark.proves("REGISTRY-ONE-DOWNLOAD")
async def test_a_hundred_requests_for_a_missing_deployment_cause_one_download(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    bucket = {**server.environment(), "S3_PREFIX": prefix}
    here = await start_host(**bucket)
    deployment_id = await here.deploy(tmp_path / "echo", agent_type, ECHO)
    async with Between(s3_settings(server), pass_on) as between:
        there = await start_host(**{**bucket, "AWS_ENDPOINT_URL": str(between.settings.endpoint)})
        first = create(there, deployment_id)
        others = [create(there, deployment_id) for _ in range(99)]
        await asyncio.sleep(0)
        first.cancel()
        made = await asyncio.gather(*others)
        await asyncio.wait({first})
        assert {answer.status for answer in made} == {201}
        downloads = between.asked.count(b"GET /podium/" + bundle_key(prefix, agent_type).encode() + b" HTTP/1.1")
        assert downloads == 1


@pytest.mark.proves("REGISTRY-VERIFIED")
async def test_a_damaged_bundle_runs_nowhere_and_is_fetched_anew_when_it_is_mended(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    bucket = {**server.environment(), "S3_PREFIX": prefix}
    here, raw = await start_host(**bucket), server.client()
    bundle = bundle_of(tmp_path / "echo", agent_type, ECHO)
    deployment_id = (await here.upload(bundle, agent_type)).body["deployment_id"]
    key = bundle_key(prefix, agent_type)
    kept = obstore.get(raw, key).attributes
    spoiled = bundle[:-20] + bytes(20)
    there = await start_host(**bucket)
    for body, attributes in ((spoiled, kept), (spoiled, {}), (bundle + b"more", {}), (bundle[:100], {}), (b"", {})):
        obstore.put(raw, key, body, attributes=attributes)
        refused = await create(there, deployment_id)
        assert refused.code == ErrorCode.CHECKSUM_MISMATCH, refused.text
        assert making(there) == []
        assert not (there.daemons.data / "deployments" / agent_type).exists()
    assert there.daemons.said("coordinator").count("bundle_checksum_mismatch") == 10, "each was tried twice"
    obstore.put(raw, key, bundle)
    assert await answer_of(there, deployment_id) == "1: hello"


@pytest.mark.proves("REGISTRY-LOCAL-FIRST")
async def test_a_bundle_that_is_nowhere_is_told_and_one_that_is_here_is_not_asked_for(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    bucket = {**server.environment(), "S3_PREFIX": prefix}
    here, there = await start_host(**bucket), await start_host(**bucket)
    deployment_id = await here.deploy(tmp_path / "echo", agent_type, ECHO)
    assert await answer_of(here, deployment_id) == "1: hello"
    obstore.delete(server.client(), bundle_key(prefix, agent_type))
    assert await answer_of(here, deployment_id) == "1: hello"
    refused = await create(there, deployment_id)
    assert (refused.status, refused.code) == (404, "deployment_not_found")
    assert refused.body["detail"] == "Deployment not found locally and not in S3"


@pytest.mark.proves("REGISTRY-LOCAL-FIRST")
async def test_without_a_bucket_it_is_told_that_there_is_none(
    start_host: StartHost, agent_type: str, tmp_path: Path
) -> None:
    here = await start_host()
    deployment_id = await here.deploy(tmp_path / "echo", agent_type, ECHO)
    [stored] = (here.daemons.data / "objects").rglob("*.tar.gz.object")
    stored.unlink()
    refused = await create(here, deployment_id)
    assert (refused.status, refused.code) == (404, "deployment_not_found")
    assert refused.body["detail"] == "Deployment not found locally and S3 not configured"


async def test_a_coordinator_killed_in_a_download_leaves_nothing_and_downloads_when_it_is_back(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    bucket = {**server.environment(), "S3_PREFIX": prefix}
    here = await start_host(**bucket)
    deployment_id = await here.deploy(tmp_path / "echo", agent_type, ECHO)
    async with Between(s3_settings(server), hold(b".tar.gz")) as between:
        there = await start_host(**{**bucket, "AWS_ENDPOINT_URL": str(between.settings.endpoint)})
        waiting = create(there, deployment_id)
        await wait_until(lambda: between.struck == 1, 20, "the download")
        assert len(making(there)) == 1
        there.daemons.kill("coordinator")
        between.strike = pass_on
        there.daemons.start("coordinator")
        assert (await waiting).status in (201, 503)
        await wait_until(lambda: _creates(there, deployment_id), 30, "the coordinator to be back")
        assert await answer_of(there, deployment_id) == "1: hello"
        assert making(there) == []


@pytest.mark.proves("REGISTRY-AWAY")
async def test_while_the_bucket_is_away_agents_go_on_and_what_needs_it_is_refused_clearly(
    mortal: S3Server, start_host: StartHost, agent_type: str, tmp_path: Path
) -> None:
    here = await start_host(**mortal.environment())
    deployment_id = await here.deploy(tmp_path / "echo", agent_type, ECHO)
    running = await here.create(deployment_id)
    async with here.connect(running["instance_id"]) as stream:
        assert await stream.turn("one") == "1: one"
        mortal.stop()
        assert await stream.turn("two") == "2: two"
        ready = await here("GET", "/ready")
        assert (ready.status, ready.body["failing"]) == (503, ["objects"])
        began = time.monotonic()
        refused = await here.upload(
            bundle_of(tmp_path / "other", agent_type, ECHO, version="2.0.0"), agent_type, "2.0.0"
        )
        assert (refused.status, refused.code) == (503, "registry_unavailable")
        assert time.monotonic() - began < 60
        mortal.start()
        await here.daemons.ready()
        assert await stream.turn("three") == "3: three"
    assert await answer_of(here, deployment_id) == "1: hello"


async def test_wrong_credentials_are_seen_and_the_secret_is_not(
    server: S3Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    secret = "a-secret-that-is-not-right"
    daemons = Daemons(tmp_path / "host", {**server.environment(), "AWS_SECRET_ACCESS_KEY": secret})
    try:
        daemons.start("gateway")
        await wait_until(lambda: "object_store_unavailable" in daemons.said("gateway") or _asks(session, daemons), 20)
        said = daemons.said("gateway")
    finally:
        daemons.close()
    assert "S3 refuses access (403 SignatureDoesNotMatch); check the credentials" in said
    assert secret not in said
    assert SECRET_KEY not in said


async def _asks(session: aiohttp.ClientSession, daemons: Daemons) -> bool:
    """Asks whether the gateway is ready, which makes it look; never the answer to what is waited for."""
    with suppress(aiohttp.ClientError):
        async with session.get(f"{daemons.url}/ready") as answer:
            assert answer.status == 503
    return False


async def _creates(caller: Caller, deployment_id: str) -> bool:
    return (await create(caller, deployment_id)).status == 201


async def test_agents_do_not_see_the_credentials(
    server: S3Server, start_host: StartHost, prefix: str, agent_type: str, tmp_path: Path
) -> None:
    here = await start_host(**server.environment(), S3_PREFIX=prefix)
    names = await answer_of(here, await here.deploy(tmp_path / "env", agent_type, ENVIRONMENT))
    assert names
    assert not [name for name in names.split() if name.startswith(("AWS_", "S3_"))]
