"""Deployments on this host: one download for many, nothing half made, bounded."""

import asyncio
import fcntl
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from podium.base.bun import find_bun, sdk_directory
from podium.base.bundles import pack
from podium.base.clock import SystemClock
from podium.base.objects import ObjectDamagedError, ObjectStoreUnavailableError
from podium.base.objects.memory import MemoryObjects
from podium.coordinator.adapters.deployments import LocalDeployments
from podium.coordinator.adapters.deployments.cache import DeploymentCache
from podium.coordinator.adapters.deployments.environments import commands
from podium.coordinator.adapters.deployments.layout import Layout
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Deployment
from tests.bun import needs_bun

MANIFEST = '[agent]\ntype = "{}"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:Agent"\n'


@dataclass(frozen=True)
class Settings:
    """What the adapter is configured with."""

    data: Path
    environment: str = "dev"
    deployments_cache: int = 2**30
    environment_seconds: float = 60.0
    s3_bucket: str | None = None


class Store(MemoryObjects):
    """Counts reads, and may give other bytes."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.reads = 0
        self.spoil: Callable[[int, bytes], bytes] = lambda _number, data: data

    async def get(self, key: str) -> AsyncIterator[bytes]:
        self.reads += 1
        number = self.reads
        async for chunk in super().get(key):
            await asyncio.sleep(0)
            yield self.spoil(number, chunk)


class Shelf:
    """A data directory and a store with bundles in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.store = Store()

    def open(self, cache: int = 2**30, in_use: Callable[[], Collection[str]] | None = None) -> LocalDeployments:
        """The adapter."""
        settings = Settings(self.data, deployments_cache=cache)
        return LocalDeployments(settings, self.store, in_use, recent_seconds=-1.0 if in_use else 600.0)

    async def bundle(self, name: str, **files: bytes) -> Deployment:
        """Uploads a bundle of that type; `files` are named with `__` for a dot."""
        folder = self.directory / f"folder-{name}"
        folder.mkdir()
        (folder / "podium.toml").write_text(MANIFEST.format(name))
        (folder / "agent.py").write_text("class Agent: ...\n")
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_bytes(content)
        out = io.BytesIO()
        pack(folder, out)
        return await self.upload(name, out.getvalue())

    async def upload(self, name: str, data: bytes) -> Deployment:
        """Uploads bytes as a bundle of that type."""

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        key = f"dev/deployments/{name}/1.0.0/{name}-1.0.0.tar.gz"
        await self.store.put(key, chunks())
        digest = hashlib.sha256(data).hexdigest()
        return Deployment(f"{name}:1.0.0@{digest[:8]}", name, "1.0.0", f"sha256:{digest}", len(data), "python", 0)

    def left_half_made(self) -> list[str]:
        """What is left of work that did not succeed."""
        root = self.data / "deployments"
        return [str(path) for place in (".making", ".going") for path in (root / place).iterdir()]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def wheel(folder: Path) -> str:
    """A wheel of a package `tiny`, for installing without a network."""
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("tiny.py", "VALUE = 42\n")
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "")
    return name


async def test_a_hundred_callers_cause_one_download(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    there = shelf.open()
    made = await asyncio.gather(*(there.ensure(deployment) for _ in range(100)))
    assert shelf.store.reads == 1
    assert {prepared.directory for prepared in made} == {made[0].directory}
    assert (made[0].directory / "agent.py").is_file()
    assert made[0].manifest.entry == "agent:Agent"
    await there.close()


async def test_what_was_prepared_once_is_found_by_the_next_coordinator(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    for _ in range(2):
        there = shelf.open()
        await there.ensure(deployment)
        await there.close()
    assert shelf.store.reads == 1


@pytest.mark.noisy("bundle_checksum_mismatch")
async def test_wrong_bytes_are_fetched_once_more_and_then_refused(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    shelf.store.spoil = lambda number, data: data + b"!" if number == 1 else data
    there = shelf.open()
    await there.ensure(deployment)
    assert shelf.store.reads == 2
    await there.close()


@pytest.mark.noisy("bundle_checksum_mismatch")
async def test_bytes_that_stay_wrong_leave_nothing(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    shelf.store.spoil = lambda _number, data: data + b"!"
    there = shelf.open()
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.CHECKSUM_MISMATCH
    assert shelf.left_half_made() == []
    assert not (shelf.data / "deployments" / "echo").exists()
    await there.close()


async def test_a_deployment_that_is_nowhere_is_not_found(shelf: Shelf) -> None:
    there = shelf.open()
    deployment = Deployment("no:1.0.0@00000000", "no", "1.0.0", "sha256:" + "0" * 64, 1, "python", 0)
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.DEPLOYMENT_NOT_FOUND
    assert refused.value.detail == "Deployment not found locally and S3 not configured"
    await there.close()


async def test_where_there_is_a_bucket_it_is_told_that_it_was_looked_into(shelf: Shelf) -> None:
    there = LocalDeployments(Settings(shelf.data, s3_bucket="b"), shelf.store)
    deployment = Deployment("no:1.0.0@00000000", "no", "1.0.0", "sha256:" + "0" * 64, 1, "python", 0)
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert (refused.value.code, refused.value.detail) == (
        ErrorCode.DEPLOYMENT_NOT_FOUND, "Deployment not found locally and not in S3"
    )  # fmt: skip
    await there.close()


@pytest.mark.noisy("bundle_checksum_mismatch")
async def test_no_more_is_read_than_just_too_much(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    read: list[int] = []

    def spoil(_number: int, data: bytes) -> bytes:
        read.append(len(data))
        return data

    shelf.store.spoil = spoil
    await shelf.upload("echo", b"x" * 5 * 2**20)
    there = shelf.open()
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.CHECKSUM_MISMATCH
    assert sum(read) == 2 * 2**20, "a chunk for each of two tries"
    assert shelf.left_half_made() == []
    await there.close()


@pytest.mark.noisy("bundle_checksum_mismatch")
async def test_damage_that_the_store_sees_is_fetched_once_more(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")

    def damaged(number: int, data: bytes) -> bytes:
        if number == 1:
            raise ObjectDamagedError("the object is damaged")
        return data

    shelf.store.spoil = damaged
    there = shelf.open()
    assert (await there.ensure(deployment)).directory.is_dir()
    assert shelf.store.reads == 2
    await there.close()


async def test_a_store_that_is_away_is_told_and_asked_again_by_the_next(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")

    def away(number: int, data: bytes) -> bytes:
        if number == 1:
            raise ObjectStoreUnavailableError("gone")
        return data

    shelf.store.spoil = away
    there = shelf.open()
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.REGISTRY_UNAVAILABLE
    assert shelf.left_half_made() == []
    assert (await there.ensure(deployment)).directory.is_dir()
    await there.close()


async def test_what_somebody_removed_is_made_anew(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    there = shelf.open()
    shutil.rmtree((await there.ensure(deployment)).directory.parent)
    assert (await there.ensure(deployment)).directory.is_dir()
    assert shelf.store.reads == 2
    await there.close()


async def test_what_is_nobodys_work_any_more_goes_when_a_coordinator_starts(shelf: Shelf) -> None:
    shelf.open()
    root = shelf.data / "deployments"
    for name in ("crashed", "held"):
        (root / ".making" / name / "bundle").mkdir(parents=True)
    with (root / ".locks" / "held").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        shelf.open()
    assert [path.name for path in (root / ".making").iterdir()] == ["held"]


async def test_what_is_used_while_room_is_made_stays(shelf: Shelf) -> None:
    there = shelf.open()
    directories = [(await there.ensure(await shelf.bundle(name))).directory.parent for name in ("one", "two", "three")]
    await there.close()
    asked = 0

    def in_use() -> list[Path]:
        """Meanwhile somebody begins to use the first."""
        nonlocal asked
        asked += 1
        os.utime(directories[0] / "ready")
        return [directories[2]]

    gone: list[Path] = []
    cache = DeploymentCache(Layout(shelf.data / "deployments"), 0, -3600.0)
    await cache.make_room(in_use, gone.append)
    assert (gone, asked) == ([directories[1]], 3)
    assert [directory.is_dir() for directory in directories] == [True, False, True]
    assert shelf.left_half_made() == []


async def test_a_bundle_of_another_type_is_refused(shelf: Shelf) -> None:
    other = await shelf.bundle("other")
    async for data in shelf.store.get("dev/deployments/other/1.0.0/other-1.0.0.tar.gz"):
        deployment = await shelf.upload("echo", data)
    there = shelf.open()
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.INVALID_BUNDLE
    assert (shelf.left_half_made(), other.agent_type) == ([], "other")
    await there.close()


@pytest.mark.proves("ENVIRONMENT-ATOMIC")
async def test_what_a_killed_coordinator_left_half_made_is_made_anew(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    shelf.open()
    name = f"echo-1.0.0@{deployment.checksum[7:15]}"
    half = shelf.data / "deployments" / ".making" / name / "bundle"
    half.mkdir(parents=True)
    (half / "agent.py").write_text("half")
    there = shelf.open()
    prepared = await there.ensure(deployment)
    assert (prepared.directory / "agent.py").read_text() == "class Agent: ...\n"
    assert shelf.left_half_made() == []
    await there.close()


@pytest.mark.proves("ENVIRONMENT-ATOMIC")
async def test_an_environment_that_can_not_be_made_tells_why_and_leaves_nothing(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo", requirements__txt=b"./missing-1-py3-none-any.whl\n")
    there = shelf.open()
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.AGENT_START_FAILED
    assert any("missing" in line for line in refused.value.logs or [])
    assert shelf.left_half_made() == []
    await there.close()


async def test_dependencies_are_installed_into_an_environment_of_the_deployment(shelf: Shelf) -> None:
    name = wheel(shelf.directory)
    content = (shelf.directory / name).read_bytes()
    folder = {name.replace(".", "__"): content, "requirements__txt": f"./{name}\n".encode()}
    deployment = await shelf.bundle("echo", **folder)
    there = shelf.open()
    prepared = await there.ensure(deployment)
    assert prepared.interpreter.parent.parent == prepared.directory.parent / "env"
    process = await asyncio.create_subprocess_exec(
        str(prepared.interpreter), "-I", "-c", "import tiny; print(tiny.VALUE)", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said == b"42\n"
    await there.close()


async def test_a_caller_that_goes_away_does_not_stop_the_others(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    there = shelf.open()
    first = asyncio.get_running_loop().create_task(there.ensure(deployment))
    second = asyncio.get_running_loop().create_task(there.ensure(deployment))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).deployment == deployment
    await asyncio.wait({first})
    await there.close()


async def test_the_least_recently_used_go_first_and_those_in_use_never(shelf: Shelf) -> None:
    size = os.urandom(64 * 1024)
    names = ["one", "two", "three"]
    bundles = [await shelf.bundle(name, big=size) for name in names]
    used = {bundles[0].deployment_id}
    there = shelf.open(cache=150_000, in_use=lambda: used)
    prepared = [await there.ensure(bundle) for bundle in bundles]
    assert [one.directory.is_dir() for one in prepared] == [True, False, True]
    assert (await there.ensure(bundles[1])).directory.is_dir()
    await there.close()


async def test_what_was_just_asked_for_is_kept_though_there_is_no_room(shelf: Shelf) -> None:
    bundles = [await shelf.bundle(name, big=os.urandom(64 * 1024)) for name in ("one", "two")]
    there = shelf.open(cache=1)
    prepared = [await there.ensure(bundle) for bundle in bundles]
    assert all(one.directory.is_dir() for one in prepared)
    await there.close()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"requirements.txt": "# nothing\n"}, None),
        ({"pyproject.toml": '[project]\nname = "x"\n'}, None),
        ({"requirements.txt": "tiny\n"}, "requirements.txt"),
        ({"pyproject.toml": '[project]\ndependencies = ["tiny"]\n'}, "pyproject.toml"),
        ({"pyproject.toml": '[project]\ndependencies = ["tiny"]\n', "uv.lock": ""}, "sync"),
    ],
)
def test_what_is_installed_follows_what_is_declared(tmp_path: Path, files: dict[str, str], told: str | None) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    todo = commands(tmp_path, tmp_path / "env", "uv")
    assert bool(todo) == (told is not None)
    if told is not None:
        assert told in " ".join(todo[1])


async def test_another_bundle_with_the_same_id_is_refused(shelf: Shelf) -> None:
    deployment = await shelf.bundle("echo")
    deployments = shelf.open()
    await deployments.ensure(deployment)
    other = msgspec.structs.replace(deployment, checksum=f"{deployment.checksum[:15]}{'0' * 56}")
    with pytest.raises(PodiumError) as refused:
        await deployments.ensure(other)
    assert refused.value.code is ErrorCode.CHECKSUM_MISMATCH
    await deployments.close()


async def test_no_other_user_can_look_around_among_deployments(shelf: Shelf) -> None:
    deployments = shelf.open()
    await deployments.ensure(await shelf.bundle("echo"))
    await deployments.close()
    root = shelf.data / "deployments"
    assert {path.name: path.stat().st_mode & 0o777 for path in (root, *root.iterdir())} == {
        "deployments": 0o711, ".locks": 0o700, ".making": 0o711, ".going": 0o700, "echo": 0o711
    }  # fmt: skip


TYPESCRIPT = MANIFEST.replace("python", "typescript").replace("agent:Agent", "agent.ts")


@needs_bun
async def test_a_typescript_deployment_runs_on_bun_and_finds_the_sdk(shelf: Shelf) -> None:
    files = {"podium__toml": TYPESCRIPT.format("echo").encode(), "agent__ts": b"export default 1;\n"}
    deployment = await shelf.bundle("echo", **files)
    there = shelf.open()
    prepared = await there.ensure(deployment)
    assert prepared.interpreter == find_bun()
    link = prepared.directory.parent / "node_modules" / "@podium" / "ts"
    assert link.readlink() == sdk_directory()
    assert not list(prepared.directory.rglob("__pycache__"))
    await there.close()
    link.unlink()  # as when Podium was installed somewhere else
    link.symlink_to("/gone")
    again = shelf.open()
    await again.ensure(deployment)
    assert link.readlink() == sdk_directory()
    await again.close()


@needs_bun
@pytest.mark.proves("ENVIRONMENT-ATOMIC")
async def test_packages_that_can_not_be_installed_leave_nothing(shelf: Shelf) -> None:
    package = b'{"dependencies": {"gone": "file:./gone"}}'
    files = {"podium__toml": TYPESCRIPT.format("echo").encode(), "package__json": package, "agent__ts": b""}
    deployment = await shelf.bundle("echo", **files)
    there = shelf.open()
    with pytest.raises(PodiumError) as refused:
        await there.ensure(deployment)
    assert refused.value.code is ErrorCode.AGENT_START_FAILED
    assert any("gone" in line for line in refused.value.logs or [])
    assert shelf.left_half_made() == []
    await there.close()


async def test_without_bun_a_typescript_deployment_is_refused_with_what_to_do(shelf: Shelf) -> None:
    files = {"podium__toml": TYPESCRIPT.format("echo").encode(), "agent__ts": b""}
    deployment = await shelf.bundle("echo", **files)
    there = LocalDeployments(Settings(shelf.data), shelf.store, bun=shelf.directory / "nothing")
    with pytest.raises(PodiumError, match="set PODIUM_BUN"):
        await there.ensure(deployment)
    assert shelf.left_half_made() == []
    await there.close()
