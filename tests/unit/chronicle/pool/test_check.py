"""A check finds each kind of damage, and says whether the remote tier can mend it."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from chronicle.store.pool import Pool, check
from tests.unit.chronicle.pool.contents import (
    Clock,
    flip,
    flip_packed,
    found,
    loose_file,
    noise,
    put,
    sql,
    the_finding,
)
from tests.unit.chronicle.pool.remotes import MemoryRemote

pytestmark = pytest.mark.proves("CHR-FSCK-FINDS")

LARGE = noise(6_000_000)


def test_nothing_is_found_in_a_pool_in_order(broken: Pool, tmp_path: Path) -> None:
    put(broken, b"", noise(100), noise(100_000), LARGE, bytes(5_000_000))
    broken.register("ws", tmp_path)
    assert found(broken) == []


def test_a_flipped_byte_of_a_packed_object(broken: Pool) -> None:
    [stored, _] = put(broken, noise(100), noise(200))
    flip_packed(broken, stored.digest)
    finding = the_finding(broken)
    assert (finding.kind, finding.severity) == ("object-damaged", "damage")
    assert stored.digest.hex() in finding.where
    assert "no remote tier" in finding.message


def test_a_flipped_byte_of_a_loose_object(broken: Pool) -> None:
    [stored] = put(broken, noise(100_000))
    flip(loose_file(broken, stored.digest), 99_999)
    assert the_finding(broken).kind == "object-damaged"


def test_a_loose_object_that_is_cut(broken: Pool) -> None:
    [stored] = put(broken, noise(100_000))
    loose_file(broken, stored.digest).chmod(0o600)
    os.truncate(loose_file(broken, stored.digest), 0)
    assert the_finding(broken).kind == "object-damaged"


def test_a_flipped_byte_of_a_manifest(broken: Pool) -> None:
    [stored] = put(broken, LARGE)
    flip_packed(broken, stored.digest, 50)
    assert the_finding(broken).kind == "object-damaged"


def test_a_missing_loose_object(broken: Pool) -> None:
    [stored] = put(broken, noise(100_000))
    loose_file(broken, stored.digest).unlink()
    finding = the_finding(broken)
    assert (finding.kind, finding.severity) == ("object-missing", "loss")


def test_a_missing_packed_body(broken: Pool) -> None:
    [stored] = put(broken, noise(100))
    sql(broken, "DELETE FROM packed")
    assert (the_finding(broken).kind, the_finding(broken).where) == ("object-missing", f"object {stored.digest.hex()}")


def test_a_manifest_that_names_a_missing_chunk(broken: Pool) -> None:
    [stored] = put(broken, LARGE)
    [(digest,)] = sql(broken, "SELECT digest FROM object WHERE manifest = 0 LIMIT 1")
    assert isinstance(digest, bytes)
    sql(broken, "DELETE FROM object WHERE digest = ?", digest)
    loose_file(broken, digest).unlink()
    finding = the_finding(broken)
    assert (finding.kind, finding.severity, finding.where) == ("chunk-missing", "loss", f"object {stored.digest.hex()}")
    assert digest.hex() in finding.message


@pytest.mark.parametrize("column", ["size", "stored", "manifest"])
def test_a_record_that_says_something_else_than_the_body(broken: Pool, column: str) -> None:
    put(broken, noise(100))
    sql(broken, f"UPDATE object SET {column} = {column} + 1")
    assert the_finding(broken).kind == "object-record"


def test_a_chunk_that_is_recorded_with_another_size(broken: Pool) -> None:
    put(broken, LARGE)
    sql(broken, "UPDATE object SET size = size + 1 WHERE id = 1")
    assert found(broken) == ["object-record", "chunk-size"]


def test_a_packed_body_without_an_object(broken: Pool) -> None:
    put(broken, noise(100))
    sql(broken, "DELETE FROM object")
    assert (the_finding(broken).kind, the_finding(broken).severity) == ("body-unknown", "leftover")


def test_a_file_without_a_record(broken: Pool) -> None:
    content = noise(100_000)
    path = loose_file(broken, blake3(content).digest())
    path.parent.mkdir()
    path.write_bytes(b"\x00" + content)
    assert (the_finding(broken).kind, the_finding(broken).severity) == ("file-unknown", "leftover")


def test_a_file_that_a_killed_process_was_writing(broken: Pool, clock: Clock) -> None:
    path = broken.directory / "tmp" / "4711-0"
    path.write_bytes(b"half")
    os.utime(path, (clock.now - 60, clock.now - 60))
    assert found(broken) == []
    os.utime(path, (clock.now - 7200, clock.now - 7200))
    assert (the_finding(broken).kind, the_finding(broken).severity) == ("temporary-file", "leftover")


def test_files_that_nobody_expects(broken: Pool) -> None:
    put(broken, noise(100_000))
    (broken.directory / "notes.txt").write_bytes(b"")
    (broken.directory / "ab").mkdir(exist_ok=True)
    (broken.directory / "ab" / "core").write_bytes(b"")
    (broken.directory / "ab" / ("cd" * 32)).write_bytes(b"")
    assert [finding.severity for finding in check(broken)] == ["leftover"] * 3
    assert found(broken) == ["file-unexpected"] * 3


def test_a_workspace_that_is_gone(broken: Pool, tmp_path: Path) -> None:
    broken.register("ws", tmp_path / "gone")
    assert (the_finding(broken).kind, the_finding(broken).where) == ("workspace-gone", "workspace ws")


def test_a_database_with_torn_pages(broken: Pool) -> None:
    for start in range(0, 300, 100):
        put(broken, *(noise(3000, seed) for seed in range(start, start + 100)))
    sql(broken, "PRAGMA wal_checkpoint(TRUNCATE)")
    broken.close()
    path = broken.directory / "objects.db"
    body = bytearray(path.read_bytes())
    for start in range(8 * 4096, len(body) - 4096, 5 * 4096):
        body[start : start + 16] = noise(16, start)
    path.write_bytes(body)
    again = Pool.open(broken.directory)
    assert set(found(again)) == {"pool-database"}
    again.close()


def test_what_the_remote_tier_has_is_said_to_be_mendable(broken: Pool, remote: MemoryRemote) -> None:
    [there, nowhere] = put(broken, noise(100, 1), noise(100, 2))
    body = broken.body(there.digest)
    assert body is not None
    remote.bodies[there.digest] = body
    for stored in (there, nowhere):
        flip_packed(broken, stored.digest)
    broken.remote = remote
    first, second = check(broken)
    assert "reading it mends it" in first.message
    assert "hasn't it either" in second.message
    remote.away = True
    assert "not known" in next(check(broken)).message
