import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.store.pool import Pool, check
from tests.unit.chronicle.pool.contents import Clock
from tests.unit.chronicle.pool.remotes import MemoryRemote


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remote() -> MemoryRemote:
    return MemoryRemote()


@pytest.fixture
def pool(tmp_path: Path, clock: Clock) -> Iterator[Pool]:
    """A pool without a remote tier; it must be in order at the end."""
    pool = Pool.open(tmp_path / "pool", clock=clock)
    yield pool
    assert list(check(pool)) == []
    pool.close()


@pytest.fixture
def broken(tmp_path: Path, clock: Clock) -> Iterator[Pool]:
    """A pool that may be damaged."""
    pool = Pool.open(tmp_path / "broken", clock=clock)
    yield pool
    pool.close()


@pytest.fixture
def tiered(tmp_path: Path, clock: Clock, remote: MemoryRemote) -> Iterator[Pool]:
    """A pool with a remote tier in memory."""
    pool = Pool.open(tmp_path / "tiered", remote=remote, clock=clock)
    yield pool
    remote.away = False
    assert list(check(pool)) == []
    pool.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    """A file to be written to."""
    fd = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)
