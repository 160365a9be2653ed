"""The disk is full: a clear error, nothing half visible, and everything goes on when there is space again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from chronicle.model.errors import StorageError
from chronicle.store.pool import Pool, check
from tests.faults.chronicle.pool.programs import noise

pytestmark = pytest.mark.proves("CHR-FULL-DISK")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs can't be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("size", [500, 20_000, 100_000, 5_000_000])
def test_a_batch_that_does_not_fit_is_an_error_and_leaves_nothing(small_disk: Path, size: int) -> None:
    pool = Pool.open(small_disk / "pool")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    with pool.batch() as batch:
        first = [batch.add(noise(200, -1)), batch.add(noise(60_000, -2))]
    many = [noise(size, seed) for seed in range(4_000_000 // size + 1)]

    def store() -> None:
        with pool.batch() as batch:
            for content in many:
                batch.add(content)

    with pytest.raises(StorageError):
        store()
    visible = [pool.contains(blake3(content).digest()) for content in many]
    assert visible == sorted(visible, reverse=True)  # a batch that commits in parts has its first parts
    if size > 500:
        assert not any(visible)
    assert list((pool.directory / "tmp").iterdir()) == []
    assert [pool.read(one.digest) for one in first] == [noise(200, -1), noise(60_000, -2)]
    assert {finding.severity for finding in check(pool)} <= {"leftover"}
    ballast.unlink()
    with pool.batch() as batch:
        again = batch.add(noise(50_000, -3))
    assert pool.read(again.digest) == noise(50_000, -3)
    pool.close()
