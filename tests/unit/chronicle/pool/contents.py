"""Contents and damage for the tests of pools."""

import os
import random
import sqlite3
from pathlib import Path

from chronicle.model.findings import Finding
from chronicle.store.pool import Pool, Stored, check

DAY = 24 * 3600.0


class Clock:
    """A clock that is moved by hand, in seconds since 1970."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that don't compress, the same for the same seed."""
    return random.Random(f"{size} {seed}").randbytes(size)


def put(pool: Pool, *contents: bytes) -> list[Stored]:
    """Stores contents in one batch."""
    with pool.batch() as batch:
        return [batch.add(content) for content in contents]


def put_file(pool: Pool, path: Path, size: int | None = None) -> Stored:
    """Stores a file in a batch of its own."""
    fd = os.open(path, os.O_RDONLY)
    try:
        with pool.batch() as batch:
            return batch.add_file(fd, path.stat().st_size if size is None else size)
    finally:
        os.close(fd)


def loose_file(pool: Pool, digest: bytes) -> Path:
    """Where a loose object lies."""
    return pool.directory / digest.hex()[:2] / digest.hex()


def loose_files(pool: Pool) -> list[Path]:
    """All loose objects."""
    return sorted(path for path in pool.directory.glob("??/*"))


def flip(path: Path, at: int) -> None:
    """Damages one byte of a file."""
    path.chmod(0o600)
    body = bytearray(path.read_bytes())
    body[at] ^= 0x10
    path.write_bytes(body)


def sql(pool: Pool, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Does something to the database behind the pool's back; constraints don't matter."""
    connection = sqlite3.connect(pool.directory / "objects.db", isolation_level=None)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def flip_packed(pool: Pool, digest: bytes, at: int = 50) -> None:
    """Damages one byte of a packed object."""
    [(number, body)] = sql(
        pool, "SELECT id, body FROM packed WHERE id = (SELECT id FROM object WHERE digest = ?)", digest
    )
    assert isinstance(body, bytes)
    damaged = bytearray(body)
    damaged[at] ^= 0x10
    sql(pool, "UPDATE packed SET body = ? WHERE id = ?", bytes(damaged), number)


def found(pool: Pool) -> list[str]:
    """The kinds of what a check finds."""
    return [finding.kind for finding in check(pool)]


def the_finding(pool: Pool) -> Finding:
    """The one finding there must be."""
    [finding] = check(pool)
    return finding
