"""What is stored goes to the remote tier in the background, and nothing is forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronicle.store.pool import Pool, Uploader
from tests.unit.chronicle.pool.contents import Clock, flip, flip_packed, loose_file, noise, put, sql
from tests.unit.chronicle.pool.remotes import MemoryRemote, keeps_the_contract
from tests.waiting import wait_until

pytestmark = pytest.mark.proves("CHR-REMOTE")

LARGE = noise(6_000_000)


@contextmanager
def uploading(pool: Pool) -> Iterator[Uploader]:
    uploader = Uploader(pool)
    uploader.start()
    try:
        yield uploader
    finally:
        uploader.stop(10)


def test_the_tier_in_memory_keeps_the_contract(remote: MemoryRemote) -> None:
    keeps_the_contract(remote)


def test_everything_arrives_as_it_lies_here(tiered: Pool, remote: MemoryRemote) -> None:
    before = put(tiered, noise(100), noise(100_000))
    with uploading(tiered) as uploader:
        after = put(tiered, LARGE, b"")
        uploader.drain(10)
        assert uploader.lag() == (0, 0, 0.0)
    for stored in (*before, *after):
        assert remote.bodies[stored.digest] == tiered.body(stored.digest)
    assert len(remote.bodies) == sql(tiered, "SELECT count(*) FROM object")[0][0]


def test_a_manifest_arrives_after_its_chunks(tiered: Pool, remote: MemoryRemote) -> None:
    stored = put(tiered, LARGE, noise(8_000_000, 2))
    with uploading(tiered) as uploader:
        uploader.drain(10)
    for one in stored:
        manifest = tiered.object(one.digest).manifest
        assert manifest is not None
        assert all(remote.order.index(chunk) < remote.order.index(one.digest) for chunk in manifest.digests())


def test_what_waits_is_told_with_its_age(tiered: Pool, remote: MemoryRemote, clock: Clock) -> None:
    put(tiered, noise(100))
    clock.now += 30
    put(tiered, noise(200))
    clock.now += 12
    assert Uploader(tiered).lag() == (2, 302, 42.0)


@pytest.mark.noisy("can't be brought to the remote tier")
async def test_uploading_waits_while_the_tier_is_away_and_goes_on_when_it_is_back(
    tiered: Pool, remote: MemoryRemote
) -> None:
    remote.away = True
    with uploading(tiered) as uploader:
        put(tiered, *(noise(100, seed) for seed in range(100)))
        await wait_until(lambda: uploader.failure is not None)
        with pytest.raises(TimeoutError, match=r"100 objects .* is away"):
            uploader.drain(0.0)
        assert uploader.lag().objects == 100
        assert remote.refused < 300
        remote.away = False
        uploader.drain(10)
        await wait_until(lambda: uploader.failure is None)
    assert len(remote.bodies) == 100


def test_a_later_uploader_goes_on_where_one_ended(tiered: Pool, remote: MemoryRemote) -> None:
    put(tiered, noise(100, 1))
    with uploading(tiered) as first:
        first.drain(10)
    put(tiered, noise(100, 2))
    with uploading(tiered) as second:
        second.drain(10)
    assert len(remote.order) == 2


async def test_one_process_uploads_at_a_time_and_another_takes_over(tiered: Pool, clock: Clock) -> None:
    other_remote = MemoryRemote()
    other = Pool.open(tiered.directory, remote=other_remote, clock=clock)
    with uploading(tiered) as first:
        put(tiered, noise(100, 1))
        first.drain(10)
        with uploading(other) as second:
            put(other, noise(100, 2))
            second.drain(10)  # who waits need not be who uploads
            assert other_remote.bodies == {}
            first.stop(10)
            put(other, noise(100, 3))
            second.drain(10)
    assert len(other_remote.bodies) == 1
    other.close()


@pytest.mark.noisy("not brought to the remote tier")
def test_nothing_damaged_is_brought_to_the_remote_tier(broken: Pool, remote: MemoryRemote) -> None:
    broken.remote = remote
    packed, loose, gone, good = put(broken, noise(100), noise(100_000), noise(100_000, 1), noise(200))
    flip_packed(broken, packed.digest)
    flip(loose_file(broken, loose.digest), 99)
    loose_file(broken, gone.digest).unlink()
    with uploading(broken) as uploader:
        uploader.drain(10)
    assert list(remote.bodies) == [good.digest]
    assert sql(broken, "SELECT uploaded FROM object ORDER BY id") == [(-1,), (-1,), (-1,), (1,)]
    put(broken, noise(100_000, 1))
    with uploading(broken) as uploader:
        uploader.drain(10)
    assert set(remote.bodies) == {good.digest, gone.digest}


def test_an_uploader_needs_a_remote_tier(pool: Pool) -> None:
    with pytest.raises(ValueError, match="remote"):
        Uploader(pool)


def test_stopping_what_never_began_is_no_error(tiered: Pool, tmp_path: Path) -> None:
    Uploader(tiered).stop()
