"""Sweeps and a writer in other processes, against each other: whatever a committed batch counted on is there."""

from pathlib import Path

import pytest

from chronicle.store.pool import Pool, check
from tests.faults.chronicle.pool.programs import SharedClock, noise
from tests.faults.chronicle.pool.test_killed_processes import start

ROUNDS = 120


@pytest.mark.proves("CHR-GC-SAFE")
def test_every_content_a_committed_batch_counted_on_is_readable_while_sweeps_run(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock")
    pool = Pool.open(tmp_path / "pool", clock=clock)
    needed = [noise(500, -1), noise(70_000, -2), noise(6_000_000, -3)]
    with pool.batch() as batch:
        stored = [batch.add(content) for content in needed]
    (tmp_path / "live").write_text("\n".join(one.digest.hex() for one in stored))
    (tmp_path / "go").touch()
    writer = start("write_and_read", pool.directory, ROUNDS)
    sweepers = [start("sweep_on_and_on", pool.directory) for _ in range(2)]
    try:
        writer.communicate(timeout=100)
    finally:
        (tmp_path / "go").unlink()
        said = [sweeper.communicate(timeout=60)[0] for sweeper in sweepers]
    assert writer.returncode == 0
    assert sum(map(int, said)) > ROUNDS  # much was removed, and stored again
    assert [pool.read(one.digest) for one in stored] == needed
    assert list(check(pool)) == []
    pool.close()
    clock.close()
