"""What a bundle declares as dependencies is installed by code of its author: it learns nothing of the host and leaves nothing."""

import json
import os
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.agents import Runtime, in_every_language, source
from tests.bun import needs_bun
from tests.contract.process_host.parts import commands
from tests.system.api import Caller, bundle_of
from tests.system.daemons import Daemons
from tests.system.security.packages import bundle_with_spy
from tests.system.test_hostile_bundles import packed, special

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="installers get a user id of their own only from root")

PRIVATE = "very private words of another tenant"


@pytest.fixture
async def private(caller: Caller, agent_type: str, tmp_path: Path) -> Path:
    """A file in a deployment of another tenant, on this host."""
    victim = caller.with_key(await caller.daemons.key("victim"))
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "private.txt").write_text(PRIVATE + "\n")
    (folder / "package.json").write_text('{"name": "private", "version": "1.0.0"}')
    name = f"v-{agent_type}"
    await victim.create(await victim.deploy(folder, name, source("echo")), secrets={"TOKEN": PRIVATE})
    (found,) = (caller.daemons.data / "deployments" / name).rglob("private.txt")
    return found


async def _told(caller: Caller, deployment: str) -> Any:
    made = await caller.create(deployment)
    path = f"/api/v1/instances/{made['instance_id']}/messages?wait=true"
    answer = await caller("POST", path, json={"text": "tell"})
    return json.loads(answer.body["text"])


@pytest.mark.proves("PACKAGES-END-WITH-INSTALLER")
@in_every_language
async def test_a_script_of_a_package_reaches_nothing_of_the_host_and_does_not_live_on(
    caller: Caller, daemons: Daemons, agent_type: str, tmp_path: Path, runtime: Runtime, private: Path
) -> None:
    data = daemons.data.resolve()
    everything = [path for path in data.rglob("*") if not path.is_symlink()]
    seconds = f"{10**6 + uuid.uuid4().int % 10**9}"
    order = {
        "paths": [str(path) for path in everything if path.is_file()],
        "folders": [str(path) for path in [data, *everything] if path.is_dir()],
        "sleep": seconds,
    }
    bundle_with_spy(tmp_path / "mine", runtime, order)
    found = await _told(caller, await caller.deploy(tmp_path / "mine", agent_type, source("carrier", runtime)))
    assert found["uid"] not in (0, os.geteuid())
    assert found["read"] == []
    assert found["written"] == []
    assert found["told"] == []
    assert commands(seconds) == []


@needs_bun
async def test_a_script_of_a_package_nobody_trusts_is_not_run(caller: Caller, agent_type: str, tmp_path: Path) -> None:
    bundle_with_spy(tmp_path / "mine", "typescript", {}, trusted=False)
    deployment = await caller.deploy(tmp_path / "mine", agent_type, source("carrier", "typescript"))
    assert await _told(caller, deployment) == "nothing was run"


def _declaring(folder: Path, runtime: Runtime, private: Path) -> None:
    """Declares what lies in another tenant's deployment."""
    if runtime == "python":
        (folder / "requirements.txt").write_text(f"-r {private}\n")
    else:
        (folder / "package.json").write_text(json.dumps({"dependencies": {"private": f"file:{private.parent}"}}))


@in_every_language
async def test_what_another_tenant_deployed_can_not_be_declared(
    caller: Caller, agent_type: str, tmp_path: Path, runtime: Runtime, private: Path
) -> None:
    (tmp_path / "mine").mkdir()
    _declaring(tmp_path / "mine", runtime, private.resolve())
    deployment = await caller.deploy(tmp_path / "mine", agent_type, source("echo", runtime))
    refused = await caller("POST", "/api/v1/instances", json={"deployment_id": deployment})
    assert (refused.status, refused.code) == (422, "agent_start_failed")
    assert PRIVATE not in refused.text
    assert "very" not in refused.text.replace(str(private), "")


LINKED = (
    "package.json",
    "bun.lock",
    "node_modules",
    "node_modules/spy",
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
)


@pytest.mark.proves("BUNDLE-REFUSED-WHOLE")
@pytest.mark.parametrize("name", LINKED)
async def test_a_file_an_installer_reads_can_not_be_a_link_out_of_the_bundle(
    caller: Caller, agent_type: str, name: str
) -> None:
    bundle = packed(agent_type, special(name, tarfile.SYMTYPE, "../" * name.count("/") + "../../../etc/passwd"))
    answer = await caller.upload(bundle, agent_type)
    assert (answer.status, answer.code) == (400, "invalid_bundle")


@needs_bun
async def test_a_lock_or_an_sdk_that_is_a_link_inside_the_bundle_is_followed_nowhere_else(
    caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    bundle_with_spy(folder, "typescript", {}, trusted=False)
    (folder / "package.json").rename(folder / "real.json")
    (folder / "package.json").symlink_to("real.json")
    (folder / "node_modules" / "@podium").mkdir(parents=True)
    (folder / "node_modules" / "@podium" / "ts").symlink_to("../../spy")
    bundle = bundle_of(folder, agent_type, source("carrier", "typescript"))
    uploaded = await caller.upload(bundle, agent_type)
    assert uploaded.status == 201, uploaded.text
    assert await _told(caller, uploaded.body["deployment_id"]) == "nothing was run"
