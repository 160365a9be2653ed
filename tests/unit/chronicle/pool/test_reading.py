"""Every read is verified; what is damaged or missing here comes from the remote tier, or is an error."""

import os
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from chronicle.model.errors import DamagedError, NotFoundError, StorageError
from chronicle.store.pool import Pool
from tests.unit.chronicle.pool.contents import Clock, flip, flip_packed, found, loose_file, noise, put, sql
from tests.unit.chronicle.pool.remotes import MemoryRemote

LARGE = noise(6_000_000)


def upload(pool: Pool, remote: MemoryRemote) -> None:
    """Has everything in the remote tier, without the uploader."""
    for (digest,) in sql(pool, "SELECT digest FROM object"):
        assert isinstance(digest, bytes)
        body = pool.body(digest)
        assert body is not None
        remote.put_if_absent(digest, body)


def a_chunk(pool: Pool, digest: bytes) -> bytes:
    manifest = pool.object(digest).manifest
    assert manifest is not None
    return list(manifest.digests())[2]


@pytest.mark.proves("CHR-VERIFIED")
def test_damaged_bytes_are_an_error_and_never_given_out(broken: Pool, target: int) -> None:
    small, loose, large = put(broken, noise(100), noise(100_000), LARGE)
    flip_packed(broken, small.digest)
    flip(loose_file(broken, loose.digest), 50_000)
    flip(loose_file(broken, a_chunk(broken, large.digest)), 50_000)
    for stored in (small, loose, large):
        with pytest.raises(DamagedError):
            broken.read(stored.digest)
        with pytest.raises(DamagedError):
            list(broken.pieces(stored.digest))
        with pytest.raises(DamagedError):
            broken.copy_to(stored.digest, target)


def test_what_is_gone_is_damage_and_what_never_was_is_not_found(broken: Pool) -> None:
    small, loose, large = put(broken, noise(100), noise(100_000), LARGE)
    sql(broken, "DELETE FROM packed WHERE id = (SELECT id FROM object WHERE digest = ?)", small.digest)
    loose_file(broken, loose.digest).unlink()
    sql(broken, "DELETE FROM object WHERE digest = ?", a_chunk(broken, large.digest))
    for stored in (small, loose, large):
        with pytest.raises(DamagedError):
            broken.read(stored.digest)
    with pytest.raises(NotFoundError):
        broken.read(bytes(32))
    with pytest.raises(NotFoundError):
        broken.size(bytes(32))
    assert not broken.contains(bytes(32))


def test_a_manifest_of_another_content_is_damage(broken: Pool) -> None:
    first, second = put(broken, LARGE, noise(5_000_000, 1))
    [(body,)] = sql(broken, "SELECT body FROM packed JOIN object USING (id) WHERE digest = ?", second.digest)
    sql(broken, "UPDATE packed SET body = ? WHERE id = (SELECT id FROM object WHERE digest = ?)", body, first.digest)
    with pytest.raises(DamagedError):
        broken.read(first.digest)


def test_a_chunk_of_another_size_is_damage(broken: Pool) -> None:
    [large] = put(broken, LARGE)
    chunk = a_chunk(broken, large.digest)
    body = b"\x00" + noise(10)
    [(number,)] = sql(broken, "SELECT id FROM object WHERE digest = ?", chunk)
    sql(broken, "UPDATE object SET place = 0 WHERE id = ?", number)
    sql(broken, "INSERT INTO packed VALUES (?, ?)", number, body)
    with pytest.raises(DamagedError):
        broken.read(large.digest)


@pytest.mark.proves("CHR-VERIFIED")
def test_damage_is_healed_from_the_remote_tier(tiered: Pool, remote: MemoryRemote) -> None:
    contents = [noise(100), noise(100_000), LARGE]
    small, loose, large = put(tiered, *contents)
    upload(tiered, remote)
    chunk = a_chunk(tiered, large.digest)
    flip_packed(tiered, small.digest)
    flip(loose_file(tiered, loose.digest), 7)
    flip_packed(tiered, large.digest)
    loose_file(tiered, chunk).unlink()
    assert len(found(tiered)) == 4
    assert [tiered.read(stored.digest) for stored in (small, loose, large)] == contents
    asked = remote.gets
    assert found(tiered) == []
    assert [tiered.read(stored.digest) for stored in (small, loose, large)] == contents
    assert remote.gets == asked


@pytest.mark.proves("CHR-REMOTE")
def test_what_is_only_in_the_remote_tier_is_read_from_there_and_kept(
    tiered: Pool, remote: MemoryRemote, tmp_path: Path, clock: Clock
) -> None:
    contents = [noise(100), b"", noise(100_000), bytes(200_000), LARGE]
    stored = put(tiered, *contents)
    upload(tiered, remote)
    elsewhere = Pool.open(tmp_path / "elsewhere", remote=remote, clock=clock)
    assert elsewhere.contains(stored[0].digest)
    assert elsewhere.size(stored[-1].digest) == len(LARGE)
    assert found(elsewhere) == []
    assert [elsewhere.read(one.digest) for one in stored] == contents
    remote.away = True
    assert [elsewhere.read(one.digest) for one in stored] == contents
    assert sql(elsewhere, "SELECT DISTINCT uploaded FROM object") == [(1,)]
    elsewhere.close()


def test_a_remote_tier_that_is_away_is_a_storage_error(tiered: Pool, remote: MemoryRemote) -> None:
    [stored] = put(tiered, b"here")
    remote.away = True
    assert tiered.read(stored.digest) == b"here"
    with pytest.raises(StorageError):
        tiered.read(bytes(32))
    with pytest.raises(StorageError):
        tiered.contains(bytes(32))


def test_damage_in_the_remote_tier_is_not_taken_for_content(tiered: Pool, remote: MemoryRemote) -> None:
    digest = blake3(b"content").digest()
    remote.bodies[digest] = b"\x00contend"
    with pytest.raises(DamagedError):
        tiered.read(digest)
    assert sql(tiered, "SELECT count(*) FROM object") == [(0,)]


def test_many_that_ask_for_the_same_object_at_once_ask_the_remote_tier_once(tiered: Pool, remote: MemoryRemote) -> None:
    content = noise(100_000)
    digest = blake3(content).digest()
    remote.bodies[digest] = b"\x00" + content
    all_ask, asking = threading.Event(), threading.Semaphore(0)

    def first_waits_for_the_others() -> None:
        all_ask.wait(10)

    remote.before_get = first_waits_for_the_others
    read: list[bytes] = []

    def ask() -> None:
        asking.release()
        read.append(tiered.read(digest))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        asking.acquire()
    all_ask.set()
    for thread in threads:
        thread.join()
    assert read == [content] * 8
    assert remote.gets == 1


def test_copying_replaces_longer_content(pool: Pool, target: int) -> None:
    os.pwrite(target, noise(9_000_000, 5), 0)
    for content in (LARGE, noise(100_000), b"short", b""):
        [stored] = put(pool, content)
        pool.copy_to(stored.digest, target)
        assert os.fstat(target).st_size == len(content)
        assert os.pread(target, len(content) + 1, 0) == content
