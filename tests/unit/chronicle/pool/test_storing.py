"""Contents go into a pool: once, small and large, whole or not at all."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from chronicle.model.errors import DamagedError, InvalidInputError, NotFoundError, StorageError
from chronicle.store.pool import Pool
from tests.unit.chronicle.pool.contents import Clock, loose_file, loose_files, noise, put, put_file, sql


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 32 << 10, 40_000, 1 << 20, 4 << 20, (4 << 20) + 1, 9_000_000])
@pytest.mark.parametrize("compressible", [True, False])
def test_what_is_stored_is_read_again(pool: Pool, target: int, size: int, compressible: bool) -> None:
    content = (b"all work and no play " * (size // 21 + 1))[:size] if compressible else noise(size)
    [stored] = put(pool, content)
    assert stored == (blake3(content).digest(), size)
    assert pool.contains(stored.digest)
    assert pool.size(stored.digest) == size
    assert pool.read(stored.digest) == content
    assert b"".join(pool.pieces(stored.digest)) == content
    assert pool.copy_to(stored.digest, target) == size
    assert os.pread(target, size + 1, 0) == content


@pytest.mark.proves("CHR-DEDUPLICATED")
def test_equal_content_is_stored_once_over_all_processes_of_a_pool(pool: Pool, clock: Clock) -> None:
    other = Pool.open(pool.directory, clock=clock)
    contents = [noise(500), noise(50_000), noise(5_000_000)]
    before = put(pool, *contents, *contents)
    count = sql(pool, "SELECT count(*), sum(stored) FROM object")
    assert put(other, *contents) == before[:3]
    assert sql(pool, "SELECT count(*), sum(stored) FROM object") == count
    other.close()


def test_small_bodies_are_packed_and_large_ones_are_files(pool: Pool) -> None:
    small, large, much_but_compressible = put(pool, noise(30_000), noise(40_000), bytes(1_000_000))
    assert loose_files(pool) == [loose_file(pool, large.digest)]
    assert loose_file(pool, large.digest).read_bytes() == b"\x00" + noise(40_000)
    [(body,)] = sql(pool, "SELECT body FROM packed JOIN object USING (id) WHERE digest = ?", small.digest)
    assert body == b"\x00" + noise(30_000)
    [(stored,)] = sql(pool, "SELECT stored FROM object WHERE digest = ?", much_but_compressible.digest)
    assert isinstance(stored, int)
    assert stored < 1000


@pytest.mark.proves("CHR-CHUNKED")
@pytest.mark.parametrize("at", [0, 4_000_000, 7_999_000])
def test_a_changed_line_in_a_large_file_costs_about_one_chunk(pool: Pool, at: int) -> None:
    content = noise(8_000_000)
    put(pool, content)
    [(before,)] = sql(pool, "SELECT sum(stored) FROM object")
    changed = content[:at] + b"one more line\n" + content[at:]
    [stored] = put(pool, changed)
    [(after,)] = sql(pool, "SELECT sum(stored) FROM object")
    assert isinstance(after, int)
    assert isinstance(before, int)
    assert after - before < 1_500_000
    assert pool.read(stored.digest) == changed


def test_a_file_and_bytes_in_memory_are_stored_alike(pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    for size in (3_000, 100_000, 6_000_000):
        file.write_bytes(noise(size))
        assert [put_file(pool, file)] == put(pool, noise(size))


def test_only_the_first_bytes_are_stored_when_so_asked_and_fewer_when_the_file_is_shorter(
    pool: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    content = noise(6_000_000)
    file.write_bytes(content)
    for asked in (0, 10, 100_000, 5_000_000, 6_000_000, 7_000_000):
        stored = put_file(pool, file, asked)
        assert stored == (blake3(content[:asked]).digest(), min(asked, len(content)))
        assert pool.read(stored.digest) == content[:asked]
    file.write_bytes(content[:1000])
    assert put_file(pool, file, 6_000_000) == (blake3(content[:1000]).digest(), 1000)


def test_a_file_with_huge_holes_costs_nothing_for_them_and_has_them_again(
    pool: Pool, tmp_path: Path, target: int
) -> None:
    file = tmp_path / "sparse"
    size = (256 << 20) + 5
    with open(file, "wb") as writing:
        writing.truncate(size)
        writing.seek(100 << 20)
        writing.write(noise(300_000))
    stored = put_file(pool, file)
    assert stored.size == size
    [(kept,)] = sql(pool, "SELECT sum(stored) FROM object")
    assert isinstance(kept, int)
    assert kept < 400_000
    os.pwrite(target, b"old bytes" * 1000, 7 << 20)
    assert pool.copy_to(stored.digest, target) == size
    assert os.fstat(target).st_blocks * 512 < 1_000_000
    whole = blake3()
    for piece in pool.pieces(stored.digest):
        whole.update(piece)
    assert whole.digest() == stored.digest
    again = blake3()
    for start in range(0, size, 1 << 20):
        again.update(os.pread(target, 1 << 20, start))
    assert again.digest() == stored.digest


def test_a_file_full_of_small_holes_does_not_fall_to_dust(pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "dust"
    with open(file, "wb") as writing:
        for island in range(100):
            writing.seek(island * 100_000)
            writing.write(b"x")
        writing.truncate(10_000_000)
    stored = put_file(pool, file)
    assert pool.read(stored.digest) == file.read_bytes()
    [(count,)] = sql(pool, "SELECT count(*) FROM object")
    assert isinstance(count, int)
    assert count < 60


def test_nothing_of_a_batch_that_fails_is_visible(pool: Pool) -> None:
    contents = [noise(100), noise(100_000)]

    def fail() -> None:
        with pool.batch() as batch:
            for content in contents:
                batch.add(content)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    for content in contents:
        assert not pool.contains(blake3(content).digest())
        with pytest.raises(NotFoundError):
            pool.read(blake3(content).digest())
    assert loose_files(pool) == []
    assert list((pool.directory / "tmp").iterdir()) == []


def test_a_batch_becomes_visible_when_it_is_left(pool: Pool) -> None:
    with pool.batch() as batch:
        stored = batch.add(b"content")
        assert not pool.contains(stored.digest)
    assert pool.contains(stored.digest)


def test_batches_of_two_processes_do_not_wait_for_each_other(pool: Pool, clock: Clock) -> None:
    other = Pool.open(pool.directory, clock=clock)
    both = noise(100_000, 1)
    with pool.batch() as batch:
        mine = batch.add(both)
        batch.add(noise(100_000, 2))
        with other.batch() as beside:
            assert beside.add(both) == mine
            third = beside.add(noise(100, 3))
    assert pool.read(mine.digest) == both
    assert pool.read(third.digest) == noise(100, 3)
    other.close()


def test_batches_of_one_process_come_one_after_the_other(pool: Pool) -> None:
    def store(seed: int) -> None:
        for n in range(20):
            put(pool, noise(50, seed + n), noise(40_000, seed + n % 3))

    threads = [threading.Thread(target=store, args=(seed,)) for seed in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.read(blake3(noise(50, 39)).digest()) == noise(50, 39)


def test_a_batch_of_much_commits_in_parts(pool: Pool) -> None:
    with pool.batch() as batch:
        stored = [batch.add(b"%d" % number) for number in range(5000)]
        assert pool.contains(stored[0].digest)
        assert not pool.contains(stored[-1].digest)
    assert pool.read(stored[-1].digest) == b"4999"


def test_a_durable_batch_stores_and_counts_on_what_an_earlier_one_stored(pool: Pool) -> None:
    contents = [noise(100), noise(100_000), noise(5_000_000)]
    put(pool, *contents)
    with pool.batch(durable=True) as batch:
        again = [batch.add(content) for content in contents]
        new = batch.add(noise(100_000, 1))
    for stored, content in zip((*again, new), (*contents, noise(100_000, 1)), strict=True):
        assert pool.read(stored.digest) == content


def test_a_durable_batch_has_its_files_on_the_disk_and_others_wait_for_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        really(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    [found] = put(pool, noise(100_000))
    assert synced == []
    with pool.batch(durable=True) as batch:
        batch.add(noise(100_000))
        new = batch.add(noise(100_000, 1))
    for stored in (found, new):
        path = loose_file(pool, stored.digest)
        assert {str(path), str(path.parent), str(pool.directory)} <= set(synced)


def test_storing_again_mends_a_file_that_is_gone_or_cut(pool: Pool) -> None:
    content = noise(100_000)
    [stored] = put(pool, content)
    file = loose_file(pool, stored.digest)
    file.unlink()
    put(pool, content)
    assert pool.read(stored.digest) == content
    file.chmod(0o600)
    os.truncate(file, 70_000)
    put(pool, content)
    assert pool.read(stored.digest) == content


def test_finding_an_object_counts_as_using_it_once_in_a_while(pool: Pool, clock: Clock) -> None:
    [stored] = put(pool, b"content")

    def used_at() -> object:
        return sql(pool, "SELECT used_at FROM object WHERE digest = ?", stored.digest)[0][0]

    first = used_at()
    clock.now += 60
    put(pool, b"content")
    assert used_at() == first
    clock.now += 3600
    put(pool, b"content")
    assert used_at() == int(clock.now * 1000)


def test_pools_of_a_newer_format_and_other_databases_are_refused(tmp_path: Path) -> None:
    pool = Pool.open(tmp_path / "pool")
    sql(pool, "PRAGMA user_version = 2")
    pool.close()
    with pytest.raises(InvalidInputError, match="upgrade"):
        Pool.open(tmp_path / "pool")
    pool_of_another = tmp_path / "other"
    pool_of_another.mkdir()
    (pool_of_another / "objects.db").write_bytes(b"this is not a database" * 1000)
    with pytest.raises(DamagedError):
        Pool.open(pool_of_another)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        Pool.open(tmp_path / "file")


def test_a_closed_pool_says_so(tmp_path: Path) -> None:
    pool = Pool.open(tmp_path / "pool")
    pool.close()
    with pytest.raises(StorageError, match="closed"):
        pool.read(bytes(32))


def test_workspaces_are_registered_with_their_directories(pool: Pool, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff odd")
    odd.mkdir()
    pool.register("ws-1", tmp_path)
    pool.register("ws-2", odd)
    pool.register("ws-2", odd)
    assert pool.users() == {"ws-1": tmp_path, "ws-2": odd}
    pool.unregister("ws-1")
    pool.unregister("ws-1")
    assert pool.users() == {"ws-2": odd}
    for bad in ("", ".", "..", "a/b", ".hidden", "a\0b"):
        with pytest.raises(InvalidInputError):
            pool.register(bad, tmp_path)


@pytest.mark.proves("CHR-FULL-DISK")
def test_a_batch_whose_part_was_refused_can_not_be_taken_for_stored(pool: Pool, tmp_path: Path) -> None:
    stored = []

    def store_and_go_on() -> None:
        with pool.batch() as batch:
            stored.append(batch.add(noise(100_000)))
            (pool.directory / "tmp").rename(tmp_path / "away")
            with pytest.raises(StorageError):
                batch.commit()
            (tmp_path / "away").rename(pool.directory / "tmp")
            batch.add(noise(100))

    with pytest.raises(StorageError, match="earlier part"):
        store_and_go_on()
    assert not pool.contains(stored[0].digest)
    put(pool, noise(100_000))
    assert pool.read(stored[0].digest) == noise(100_000)


def test_errors_of_others_in_a_batch_stay_theirs(pool: Pool) -> None:
    with pytest.raises(sqlite3.OperationalError), pool.batch():
        sqlite3.connect("/nowhere/at/all")


def test_any_thread_may_read_while_another_stores(pool: Pool) -> None:
    stored = put(pool, *(noise(300 + 1000 * seed, seed) for seed in range(60)))
    wrong: list[int] = []

    def read() -> None:
        for seed, one in enumerate(stored):
            if pool.read(one.digest) != noise(300 + 1000 * seed, seed):
                wrong.append(seed)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for seed in range(20):
        put(pool, noise(500, 1000 + seed))
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("size", [100, 6_000_000])
def test_a_file_that_can_not_be_read_is_its_own_error_and_the_batch_goes_on(
    pool: Pool, tmp_path: Path, size: int
) -> None:
    (tmp_path / "file").write_bytes(noise(size))
    fd = os.open(tmp_path / "file", os.O_WRONLY)
    with pool.batch() as batch:
        with pytest.raises(OSError, match="Bad file descriptor"):
            batch.add_file(fd, size)
        stored = batch.add(b"other")
    os.close(fd)
    assert pool.read(stored.digest) == b"other"
