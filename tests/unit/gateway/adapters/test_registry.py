"""The registry over an object store in memory, and what a crash between two writes leaves."""

from collections.abc import AsyncIterator

import pytest

from podium.base.clock import ManualClock
from podium.base.objects.memory import MemoryObjects
from podium.gateway.adapters.registry import Registry, StoredDeployment
from podium.wire.errors import PodiumError
from podium.wire.refs import parse_ref


def deployment(
    version: str = "1.0.0", sha: str = "a", tenant_id: str = "acme", agent_type: str = "echo"
) -> StoredDeployment:
    """A deployment whose checksum is made of one character."""
    return StoredDeployment(
        f"{agent_type}:{version}@{sha * 8}",
        agent_type,
        version,
        f"sha256:{sha * 64}",
        3,
        "python",
        1,
        tenant_id=tenant_id,
    )


async def data() -> AsyncIterator[bytes]:
    """A bundle's bytes."""
    yield b"abc"


@pytest.fixture
def store() -> MemoryObjects:
    """An empty store."""
    return MemoryObjects(ManualClock())


@pytest.fixture
def registry(store: MemoryObjects) -> Registry:
    """A registry over it."""
    return Registry(store, "test")


async def test_a_deployment_lies_where_the_specification_says(store: MemoryObjects, registry: Registry) -> None:
    assert await registry.add(deployment(), data()) == (deployment(), True)
    keys = [info.key async for info in store.list("test/")]
    assert keys == ["test/deployments/echo/1.0.0/echo-1.0.0.json", "test/deployments/echo/1.0.0/echo-1.0.0.tar.gz"]
    assert (await store.head(keys[1])).metadata["sha256"] == "a" * 64


@pytest.mark.proves("DEPLOY-SAME-BYTES-200", "DEPLOY-OTHER-BYTES-409")
async def test_the_same_again_is_the_same_and_another_is_a_conflict(registry: Registry) -> None:
    await registry.add(deployment(), data())
    assert (await registry.add(deployment(), data()))[1] is False
    for other in (deployment(sha="b"), deployment(tenant_id="other")):
        with pytest.raises(PodiumError, match="deployment_exists"):
            await registry.add(other, data())


async def test_a_description_that_a_crash_left_out_is_made_by_the_next_upload(
    store: MemoryObjects, registry: Registry
) -> None:
    await registry.add(deployment(), data())
    await store.delete("test/deployments/echo/1.0.0/echo-1.0.0.json")
    with pytest.raises(PodiumError, match="deployment_not_found"):
        await registry.find(parse_ref("echo:1.0.0"), "acme")
    assert (await registry.add(deployment(), data()))[1] is True
    assert await registry.find(parse_ref("echo:1.0.0"), "acme") == deployment()


async def test_a_description_that_a_crash_left_behind_does_not_block_the_version(
    store: MemoryObjects, registry: Registry
) -> None:
    await registry.add(deployment(), data())
    await store.delete("test/deployments/echo/1.0.0/echo-1.0.0.tar.gz")
    assert await registry.add(deployment(sha="b"), data()) == (deployment(sha="b"), True)
    assert await registry.find(parse_ref("echo:1.0.0"), "acme") == deployment(sha="b")


@pytest.mark.proves("DEPLOYMENT-REFERENCES", "DEPLOYMENT-HASH-422")
async def test_a_reference_means_the_newest_release_unless_it_says_more(registry: Registry) -> None:
    for version in ("1.0.0", "1.2.0", "2.0.0-rc.1"):
        await registry.add(deployment(version), data())
    await registry.add(deployment("9.0.0", tenant_id="other"), data())
    for reference, version in (
        ("echo", "1.2.0"),
        ("echo:1.0.0@aaaaaaaa", "1.0.0"),
        ("echo:1.0.0@local", "1.0.0"),
        ("echo:2.0.0-rc.1", "2.0.0-rc.1"),
    ):
        assert (await registry.find(parse_ref(reference), "acme")).version == version
    assert (await registry.find(parse_ref("echo"), None)).version == "9.0.0"
    with pytest.raises(PodiumError, match="checksum_mismatch"):
        await registry.find(parse_ref("echo:1.0.0@bbbbbbbb"), "acme")
    for missing in ("echo:9.0.0", "echo:3.0.0", "nothing"):
        with pytest.raises(PodiumError, match="deployment_not_found"):
            await registry.find(parse_ref(missing), "acme")


async def test_pages_show_a_tenant_its_own(registry: Registry) -> None:
    for number in range(5):
        await registry.add(deployment(f"1.0.{number}", tenant_id="acme" if number % 2 == 0 else "other"), data())
    first, cursor = await registry.list("acme", None, None, 2)
    second, end = await registry.list("acme", None, cursor, 2)
    assert [d.version for d in first + second] == ["1.0.0", "1.0.2", "1.0.4"]
    assert end is None
    await registry.remove(deployment("1.0.2"))
    assert [d.version for d in (await registry.list("acme", "echo", None, 10))[0]] == ["1.0.0", "1.0.4"]


async def test_a_description_that_is_none_is_not_there(store: MemoryObjects, registry: Registry) -> None:
    async def nonsense() -> AsyncIterator[bytes]:
        yield b"{"

    await store.put("test/deployments/echo/1.0.0/echo-1.0.0.json", nonsense())
    with pytest.raises(PodiumError, match="deployment_not_found"):
        await registry.find(parse_ref("echo:1.0.0"), None)
    assert await registry.list(None, None, None, 10) == ([], None)
