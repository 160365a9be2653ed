"""Deployments appear on a host whole, once, verified; or not at all."""

import asyncio
import hashlib
import io
import os
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.base.bundles import pack
from podium.base.clock import ManualClock
from podium.base.objects.memory import MemoryObjects
from podium.coordinator.adapters.deployments import DeploymentOptions, LocalDeployments
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.refs import deployment_id
from podium.wire.rest import Deployment

OPTIONS = DeploymentOptions("test", cache_bytes=10**9, make_seconds=60.0)


class CountingObjects(MemoryObjects):
    """Counts downloads; `damage` of them come with a wrong byte."""

    def __init__(self, damage: int = 0) -> None:
        super().__init__(ManualClock())
        self.downloads = 0
        self.damage = damage

    async def get(self, key: str) -> AsyncIterator[bytes]:
        self.downloads += 1
        async for chunk in super().get(key):
            if self.downloads <= self.damage:
                yield chunk[:-1] + bytes([chunk[-1] ^ 1])
            else:
                yield chunk


async def _registered(objects: MemoryObjects, folder: Path, name: str = "thing", **files: str | bytes) -> Deployment:
    folder.mkdir()
    manifest = f'[agent]\ntype = "{name}"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:Agent"\n'
    for path, content in {"podium.toml": manifest, "agent.py": "x = 1\n", **files}.items():
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    packed = io.BytesIO()
    pack(folder, packed)
    return await _stored(objects, name, packed.getvalue())


async def _stored(objects: MemoryObjects, name: str, data: bytes) -> Deployment:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    await objects.put(f"test/deployments/{name}/1.0.0/{name}-1.0.0.tar.gz", chunks())
    digest = hashlib.sha256(data).hexdigest()
    return Deployment(deployment_id(name, "1.0.0", digest), name, "1.0.0", f"sha256:{digest}", len(data), "python", 0)


async def test_a_hundred_waiters_cause_one_download(tmp_path: Path) -> None:
    objects = CountingObjects()
    deployment = await _registered(objects, tmp_path / "bundle")
    deployments = LocalDeployments(tmp_path / "d", objects, OPTIONS)
    prepared = await asyncio.gather(*(deployments.ensure(deployment) for _ in range(100)))
    assert objects.downloads == 1
    assert {each.directory for each in prepared} == {prepared[0].directory}
    assert (prepared[0].directory / "agent.py").read_text() == "x = 1\n"
    assert prepared[0].manifest.agent_type == "thing"
    again = LocalDeployments(tmp_path / "d", None, OPTIONS)
    assert (await again.ensure(deployment)).directory == prepared[0].directory


@pytest.mark.noisy("download_damaged")
async def test_a_damaged_download_is_tried_once_more_and_then_refused(tmp_path: Path) -> None:
    objects = CountingObjects(damage=1)
    deployment = await _registered(objects, tmp_path / "bundle")
    await LocalDeployments(tmp_path / "d", objects, OPTIONS).ensure(deployment)
    assert objects.downloads == 2
    objects.downloads, objects.damage = 0, 99
    with pytest.raises(PodiumError) as caught:
        await LocalDeployments(tmp_path / "e", objects, OPTIONS).ensure(deployment)
    assert caught.value.code is ErrorCode.CHECKSUM_MISMATCH
    assert objects.downloads == 2
    assert list((tmp_path / "e" / ".making").iterdir()) == []


@pytest.mark.parametrize("store", ["empty", "none"])
async def test_what_is_nowhere_is_said_to_be_nowhere(tmp_path: Path, store: str) -> None:
    deployment = await _registered(CountingObjects(), tmp_path / "bundle")
    objects = CountingObjects() if store == "empty" else None
    with pytest.raises(PodiumError, match="Deployment not found locally and S3 not configured") as caught:
        await LocalDeployments(tmp_path / "d", objects, OPTIONS).ensure(deployment)
    assert caught.value.code is ErrorCode.DEPLOYMENT_NOT_FOUND


async def test_a_bundle_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    objects = CountingObjects()
    deployment = await _stored(objects, "bad", b"no archive")
    with pytest.raises(PodiumError) as caught:
        await LocalDeployments(tmp_path / "d", objects, OPTIONS).ensure(deployment)
    assert caught.value.code is ErrorCode.INVALID_BUNDLE
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [".locks", ".making"]


async def test_what_a_crash_left_half_made_is_removed_and_made_anew(tmp_path: Path) -> None:
    objects = CountingObjects()
    deployment = await _registered(objects, tmp_path / "bundle")
    half = tmp_path / "d" / ".making" / "left"
    half.mkdir(parents=True)
    unmarked = tmp_path / "d" / "thing" / deployment.deployment_id.split(":", 1)[1] / "bundle"
    unmarked.mkdir(parents=True)
    prepared = await LocalDeployments(tmp_path / "d", objects, OPTIONS).ensure(deployment)
    assert (prepared.directory / "agent.py").exists()
    assert not half.exists()


async def test_a_cancelled_waiter_does_not_end_the_work_of_the_others(tmp_path: Path) -> None:
    objects = CountingObjects()
    deployment = await _registered(objects, tmp_path / "bundle")
    deployments = LocalDeployments(tmp_path / "d", objects, OPTIONS)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(deployments.ensure(deployment))
        second = group.create_task(deployments.ensure(deployment))
        await asyncio.sleep(0)
        first.cancel()
    assert second.result().directory.is_dir()
    assert objects.downloads == 1


async def test_the_least_recently_used_goes_when_the_cache_is_full_and_what_is_in_use_stays(tmp_path: Path) -> None:
    objects = CountingObjects()
    small = DeploymentOptions("test", cache_bytes=3_000, make_seconds=60.0)
    made = [await _registered(objects, tmp_path / name, name, big=b"x" * 1_000) for name in ("a", "b", "c")]
    deployments = LocalDeployments(tmp_path / "d", objects, small, lambda: frozenset({made[0].deployment_id}))
    prepared = []
    for age, deployment in enumerate(made):
        prepared.append(await deployments.ensure(deployment))
        os.utime(prepared[-1].directory.parent / "ready.json", (1000 + age, 1000 + age))
    assert [each.directory.exists() for each in prepared] == [True, False, True]


def _wheel() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as wheel:
        wheel.writestr("tiny_dep.py", "ANSWER = 42\n")
        wheel.writestr("tiny_dep-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-dep\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_dep-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("tiny_dep-1.0.dist-info/RECORD", "tiny_dep.py,,\ntiny_dep-1.0.dist-info/METADATA,,\n")
    return data.getvalue()


@pytest.mark.proves("ENVIRONMENT-ATOMIC")
async def test_dependencies_get_an_environment_of_their_own_whole_or_not_at_all(tmp_path: Path) -> None:
    objects = CountingObjects()
    name = "tiny_dep-1.0-py3-none-any.whl"
    files: dict[str, str | bytes] = {name: _wheel(), "requirements.txt": f"./{name}\n"}
    good = await _registered(objects, tmp_path / "good", "good", **files)
    deployments = LocalDeployments(tmp_path / "d", objects, OPTIONS)
    prepared = await deployments.ensure(good)
    code = "import tiny_dep, sys; print(tiny_dep.ANSWER)"
    said = subprocess.run([prepared.python, "-I", "-c", code], capture_output=True, check=True, timeout=30)
    assert said.stdout == b"42\n"
    bad = await _registered(objects, tmp_path / "bad", "bad", **{"requirements.txt": "./no-such.whl\n"})
    with pytest.raises(PodiumError) as caught:
        await deployments.ensure(bad)
    assert caught.value.code is ErrorCode.AGENT_START_FAILED
    assert any("no-such" in line for line in caught.value.logs or [])
    assert not (tmp_path / "d" / "bad").exists()
