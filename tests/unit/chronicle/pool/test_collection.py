"""A sweep removes what nobody needs and leaves everything else."""

import os
from collections.abc import Iterator

import pytest
from blake3 import blake3

from chronicle.model.errors import DamagedError, NotFoundError, StorageError
from chronicle.store.pool import Pool, SweepReport, presence, sweep
from tests.unit.chronicle.pool.contents import (
    DAY,
    Clock,
    flip_packed,
    found,
    loose_file,
    loose_files,
    noise,
    put,
    sql,
)

LARGE = noise(6_000_000)


def gone(pool: Pool, digest: bytes) -> bool:
    try:
        pool.read(digest)
    except NotFoundError:
        return True
    return False


def test_what_is_not_needed_and_was_not_used_for_the_grace_period_is_removed(pool: Pool, clock: Clock) -> None:
    needed = put(pool, noise(100, 1), noise(100_000, 1))
    garbage = put(pool, noise(100, 2), noise(100_000, 2))
    clock.now += 2 * DAY
    young = put(pool, noise(100, 3), noise(100_000, 3))
    report = sweep(pool, [stored.digest for stored in needed], now=clock.now)
    assert report == SweepReport(2, 100_102, 0, 0, 4, False, DAY)
    assert [gone(pool, stored.digest) for stored in garbage] == [True, True]
    assert pool.read(needed[1].digest) == noise(100_000, 1)
    assert pool.read(young[1].digest) == noise(100_000, 3)
    assert not loose_file(pool, garbage[1].digest).exists()
    assert sweep(pool, [stored.digest for stored in needed], now=clock.now).objects == 0


def test_the_chunks_of_what_is_needed_are_needed(pool: Pool, clock: Clock) -> None:
    kept, shared = put(pool, LARGE, LARGE + b"and more")
    clock.now += 2 * DAY
    report = sweep(pool, {kept.digest}, now=clock.now)
    assert 2 <= report.objects <= 3
    assert pool.read(kept.digest) == LARGE
    assert gone(pool, shared.digest)
    report = sweep(pool, (), now=clock.now)
    assert report.kept == 0
    assert loose_files(pool) == []


def test_the_chunks_of_a_young_manifest_stay_with_it(pool: Pool, clock: Clock) -> None:
    [stored] = put(pool, LARGE)
    clock.now += 2 * DAY
    sql(pool, "UPDATE object SET used_at = ? WHERE digest = ?", int(clock.now * 1000), stored.digest)
    assert sweep(pool, (), now=clock.now).objects == 0
    assert pool.read(stored.digest) == LARGE


def test_what_was_found_again_is_young_again(pool: Pool, clock: Clock) -> None:
    contents = [noise(100), noise(100_000), LARGE]
    stored = put(pool, *contents)
    clock.now += 2 * DAY
    put(pool, *contents)
    clock.now += DAY / 2
    assert sweep(pool, (), now=clock.now).objects == 0
    assert [pool.read(one.digest) for one in stored] == contents


@pytest.mark.proves("CHR-RETENTION")
def test_a_dry_run_tells_and_removes_nothing(pool: Pool, clock: Clock) -> None:
    needed, garbage = put(pool, noise(100, 1), noise(100_000, 2))
    (pool.directory / "tmp" / "left").write_bytes(b"left over")
    os.utime(pool.directory / "tmp" / "left", (0, 0))
    clock.now += 2 * DAY
    told = sweep(pool, [needed.digest], now=clock.now, dry_run=True)
    assert told == SweepReport(1, 100_001, 1, 9, 1, True, DAY)
    assert pool.read(garbage.digest) == noise(100_000, 2)
    assert (pool.directory / "tmp" / "left").exists()
    done = sweep(pool, [needed.digest], now=clock.now)
    assert (done.objects, done.bytes, done.leftovers, done.kept) == (1, 100_001, 1, 1)


def test_files_that_belong_to_nothing_are_removed_when_nobody_can_be_writing_them(pool: Pool, clock: Clock) -> None:
    content = noise(100_000)
    digest = blake3(content).digest()
    loose_file(pool, digest).parent.mkdir()
    loose_file(pool, digest).write_bytes(b"\x00" + content)
    arriving, abandoned = pool.directory / "tmp" / "1", pool.directory / "tmp" / "2"
    arriving.write_bytes(b"new")
    abandoned.write_bytes(b"old")
    os.utime(arriving, (clock.now - 60, clock.now - 60))
    os.utime(abandoned, (clock.now - 7200, clock.now - 7200))
    assert found(pool) == ["file-unknown", "temporary-file"]
    report = sweep(pool, (), now=clock.now)
    assert (report.leftovers, report.leftover_bytes) == (2, 100_004)
    assert not loose_file(pool, digest).exists()
    assert arriving.exists()
    assert not abandoned.exists()


def test_a_file_that_was_placed_and_not_recorded_is_adopted_by_storing_its_content(pool: Pool, clock: Clock) -> None:
    content = noise(100_000)
    digest = blake3(content).digest()
    loose_file(pool, digest).parent.mkdir()
    loose_file(pool, digest).write_bytes(b"\x00 half a fi")
    put(pool, content)
    assert pool.read(digest) == content
    assert sweep(pool, (), now=clock.now).leftovers == 0


def test_nothing_is_removed_when_a_needed_manifest_can_not_be_read(broken: Pool, clock: Clock) -> None:
    [kept, garbage] = put(broken, LARGE, noise(100))
    flip_packed(broken, kept.digest, 40)
    clock.now += 2 * DAY
    with pytest.raises(DamagedError):
        sweep(broken, [kept.digest], now=clock.now)
    assert broken.read(garbage.digest) == noise(100)
    assert sweep(broken, (), now=clock.now).kept == 0


def test_the_database_becomes_small_again(pool: Pool, clock: Clock) -> None:
    for start in range(0, 2000, 500):
        put(pool, *(noise(5000, seed) for seed in range(start, start + 500)))
    clock.now += 2 * DAY
    assert sweep(pool, (), now=clock.now).objects == 2000
    [(pages,)] = sql(pool, "PRAGMA page_count")
    assert isinstance(pages, int)
    assert pages < 50


def test_an_object_that_was_swept_can_be_stored_again(pool: Pool, clock: Clock) -> None:
    contents = [noise(100), noise(100_000), LARGE]
    put(pool, *contents)
    clock.now += 2 * DAY
    sweep(pool, (), now=clock.now)
    assert [pool.read(stored.digest) for stored in put(pool, *contents)] == contents


@pytest.mark.proves("CHR-GC-SAFE")
def test_a_short_grace_period_is_applied_only_while_no_other_process_stores(pool: Pool, clock: Clock) -> None:
    other = Pool.open(pool.directory, clock=clock)
    [mine, others] = put(pool, noise(100, 1)) + put(other, noise(100, 2))
    clock.now += 60
    report = sweep(pool, (), grace_s=10, now=clock.now)
    assert (report.objects, report.grace_s) == (0, 1200)
    other.close()
    report = sweep(pool, [others.digest], grace_s=10, now=clock.now)
    assert (report.objects, report.grace_s) == (1, 10)
    assert gone(pool, mine.digest)
    assert pool.read(others.digest) == noise(100, 2)
    put(pool, noise(100, 1))


@pytest.mark.proves("CHR-GC-SAFE")
def test_nobody_begins_to_store_while_a_sweep_without_grace_period_has_the_pool(
    pool: Pool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "WAIT_S", 0.05)
    [stored] = put(pool, noise(100))
    other = Pool.open(pool.directory, clock=clock)

    def marking() -> Iterator[bytes]:
        with pytest.raises(StorageError, match="to itself"):
            put(other, noise(100))
        yield from ()

    assert sweep(pool, marking(), grace_s=-1, now=clock.now).objects == 1
    assert put(other, noise(100)) == [stored]
    assert other.read(stored.digest) == noise(100)
    other.close()
