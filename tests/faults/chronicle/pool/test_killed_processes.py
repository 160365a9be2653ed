"""A process that uses a pool is killed; what was committed is there, what wasn't is nowhere, and everything goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from chronicle.model.errors import NotFoundError
from chronicle.store.faults import FAULT
from chronicle.store.pool import Pool, check, sweep
from tests.faults.chronicle.pool.programs import batch_contents, contents


def start(name: str, directory: Path, *arguments: int, fault: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.chronicle.pool.programs", name, str(directory), *map(str, arguments)],
        env={**os.environ, FAULT: fault},
        stdout=subprocess.PIPE,
        text=True,
    )


def run_until_killed(name: str, directory: Path, fault: str) -> None:
    process = start(name, directory, fault=fault)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    pool = Pool.open(tmp_path / "pool")
    yield pool
    pool.close()


def readable(pool: Pool) -> int:
    """How many of the contents that the program stores can be read; none is ever wrong."""
    count = 0
    for content in contents(1):
        try:
            assert pool.read(blake3(content).digest()) == content
            count += 1
        except NotFoundError:
            continue
    return count


@pytest.mark.proves("CHR-CRASH")
@pytest.mark.parametrize(("fault", "survive"), [("pool.written", 0), ("pool.placed", 0), ("pool.committed", 3)])
def test_a_killed_writer_leaves_a_batch_whole_or_none_of_it(pool: Pool, fault: str, survive: int) -> None:
    run_until_killed("store", pool.directory, fault)
    assert readable(pool) == survive
    assert {finding.severity for finding in check(pool)} <= {"leftover"}
    with pool.batch() as batch:
        for content in contents(1):
            batch.add(content)
    assert readable(pool) == 3
    sweep(pool, [blake3(content).digest() for content in contents(1)], now=time.time() + 7200)
    assert list(check(pool)) == []
    assert readable(pool) == 3


@pytest.mark.parametrize("fault", ["pool.written", "pool.placed"])
def test_what_a_killed_writer_left_is_swept(pool: Pool, fault: str) -> None:
    run_until_killed("store", pool.directory, fault)
    report = sweep(pool, (), now=time.time() + 7200)
    assert report.leftovers > 10
    assert report.leftover_bytes > 5_000_000
    assert list(check(pool)) == []
    assert list(pool.directory.glob("tmp/*")) == list(pool.directory.glob("??/*")) == []


@pytest.mark.proves("CHR-GC-SAFE")
@pytest.mark.parametrize("fault", ["sweep.deleted", "sweep.committed", "sweep.removed"])
def test_a_killed_sweep_is_finished_by_the_next(pool: Pool, fault: str) -> None:
    with pool.batch() as batch:
        for content in contents(1):
            batch.add(content)
    run_until_killed("collect", pool.directory, fault)
    assert readable(pool) in (0, 3)
    assert {finding.severity for finding in check(pool)} <= {"leftover"}
    report = sweep(pool, (), grace_s=0, now=time.time() + 7200)
    assert report.kept == 0
    assert list(check(pool)) == []
    assert list(pool.directory.glob("??/*")) == []


@pytest.mark.proves("CHR-CRASH")
def test_writers_that_are_killed_anywhere_lose_nothing_they_committed(pool: Pool) -> None:
    for kill in range(3):
        processes = [start("store_on_and_on", pool.directory, (kill * 2 + beside) * 1_000_000) for beside in range(2)]
        committed = []
        for process in processes:
            assert process.stdout is not None
            committed += [int(process.stdout.readline()) for _ in range(10 + 7 * kill)]
        for process in processes:
            process.kill()
            assert process.stdout is not None
            committed += [int(line) for line in process.stdout.read().splitlines() if line]
            process.wait()
            process.stdout.close()
        for number in committed:
            for content in batch_contents(number):
                assert pool.read(blake3(content).digest()) == content
    assert {finding.severity for finding in check(pool)} <= {"leftover"}
    sweep(pool, (), grace_s=0, now=time.time() + 7200)
    assert list(check(pool)) == []
