"""Keys: who holds them, for how long they are believed."""

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import KeyRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.keys import MadeKey, make_key
from podium.gateway.adapters.callers import HOME_TENANT, REMEMBER_SECONDS, Callers
from podium.wire.errors import PodiumError

ADMIN = "an admin key of the operator's own making"


@pytest.fixture
def clock() -> ManualClock:
    """Time."""
    return ManualClock()


@pytest.fixture
def discovery(clock: ManualClock) -> MemoryDiscovery:
    """Discovery."""
    return MemoryDiscovery(clock)


@pytest.fixture
def callers(discovery: MemoryDiscovery, clock: ManualClock) -> Callers:
    """What is tested."""
    return Callers(discovery, clock, ADMIN)


async def _stored(discovery: MemoryDiscovery, *permissions: str, expires_at: int | None = None) -> MadeKey:
    made = make_key()
    await discovery.put_key(KeyRecord(made.key_id, made.key_hash, "acme", list(permissions), 1, expires_at))
    return made


async def test_a_key_tells_tenant_and_permissions(callers: Callers, discovery: MemoryDiscovery) -> None:
    made = await _stored(discovery, "instances:read")
    found = await callers.identify(made.key)
    assert (found.tenant_id, found.is_admin, found.permissions, found.key_id) == (
        "acme", False, frozenset({"instances:read"}), made.key_id,
    )  # fmt: skip


@pytest.mark.proves("ADMIN-ACTS-FOR-TENANT")
async def test_an_admin_sees_all_or_acts_for_one(callers: Callers, discovery: MemoryDiscovery) -> None:
    made = await _stored(discovery, "admin")
    for key, home in ((ADMIN, HOME_TENANT), (made.key, "acme")):
        everyone, one = await callers.identify(key), await callers.identify(key, "other")
        assert (everyone.tenant_id, everyone.owner, everyone.is_admin) == (None, home, True)
        assert (one.tenant_id, one.owner) == ("other", "other")


async def test_others_do_not_act_for_another_tenant(callers: Callers, discovery: MemoryDiscovery) -> None:
    made = await _stored(discovery, "instances:read")
    assert (await callers.identify(made.key, "acme")).tenant_id == "acme"
    with pytest.raises(PodiumError, match="permission_denied"):
        await callers.identify(made.key, "other")


@pytest.mark.parametrize("key", [None, "", "nonsense", "pod_aaaaaaaaaaaa_" + "a" * 32, "\udcff", "x" * 100_000])
async def test_what_is_no_key_opens_nothing(callers: Callers, key: str | None) -> None:
    with pytest.raises(PodiumError, match="unauthenticated"):
        await callers.identify(key)


async def test_the_public_part_of_a_key_is_not_enough(callers: Callers, discovery: MemoryDiscovery) -> None:
    made = await _stored(discovery, "admin")
    with pytest.raises(PodiumError, match="unauthenticated"):
        await callers.identify(made.key[:-1] + ("a" if made.key[-1] != "a" else "b"))


@pytest.mark.proves("KEY-EXPIRES")
async def test_a_key_is_refused_from_the_moment_it_expires(
    callers: Callers, discovery: MemoryDiscovery, clock: ManualClock
) -> None:
    made = await _stored(discovery, expires_at=clock.now_ms() + 1_000)
    await callers.identify(made.key)
    clock.advance(1.0)
    with pytest.raises(PodiumError, match="unauthenticated"):
        await callers.identify(made.key)


@pytest.mark.proves("API-KEYS-REVOKE-5S")
async def test_a_revoked_key_is_believed_for_a_moment_at_most(
    callers: Callers, discovery: MemoryDiscovery, clock: ManualClock
) -> None:
    one, two = await _stored(discovery), await _stored(discovery)
    for made in (one, two):
        await callers.identify(made.key)
        await discovery.remove_key(made.key_id)
        await callers.identify(made.key)
    callers.forget(one.key_id)
    with pytest.raises(PodiumError, match="unauthenticated"):
        await callers.identify(one.key)
    clock.advance(REMEMBER_SECONDS)
    with pytest.raises(PodiumError, match="unauthenticated"):
        await callers.identify(two.key)
    assert not await callers.still_valid(two.key_id)
