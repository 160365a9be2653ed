"""Collection: removing what no workspace needs any more, beside running writers.

What is needed (the mark) is told by the caller, from the histories of all workspaces that use the pool, taken *before* the
sweep begins. What came or was counted on later than that is younger than the grace period, and is left.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Final

import msgspec

from chronicle.model.errors import DamagedError, NotFoundError
from chronicle.store.faults import fault
from chronicle.store.pool.catalogue import LOOSE, translated
from chronicle.store.pool.loose import discard
from chronicle.store.pool.pool import Pool

GRACE_S: Final = 24 * 3600.0
"""What was used within so many seconds stays, needed or not: far longer than anything between storing and recording takes."""

AT_ONCE: Final = 500
"""Objects removed in one transaction: a writer waits a few milliseconds for it."""

BREATH_S: Final = 0.002
"""Pause between transactions, in seconds: SQLite gives the lock to whoever asks first, and waiting writers ask rarely."""

PAGES: Final = 2000
"""Pages of the database given back in one transaction."""


class SweepReport(msgspec.Struct, frozen=True):
    """What a sweep removed, or would: `objects` with `bytes` of bodies; `leftovers`, files that belong to nothing, with their
    bytes; `kept` objects stay. `grace_s` is the grace period that was applied."""

    objects: int
    bytes: int
    leftovers: int
    leftover_bytes: int
    kept: int
    dry_run: bool
    grace_s: float


def sweep(
    pool: Pool, live: Iterable[bytes], *, grace_s: float = GRACE_S, now: float | None = None, dry_run: bool = False
) -> SweepReport:
    """Removes the objects that are not `live`, aren't chunks of a live content, and were not used for `grace_s` seconds.

    `live` has digests as histories name them, looked up only now; manifests are looked into here. May be killed anywhere and
    repeated. A `grace_s` below twice the touch interval is applied while no other process has stored into this pool and still
    has it open, and keeps others from beginning to; otherwise twice the touch interval is. `now` is in seconds since 1970.
    Only this host's tier is swept.

    Raises:
        DamagedError: a live manifest can't be read, so that it isn't known what is needed; nothing was removed.
        StorageError: the disk or the remote tier refuses; what was removed till then is removed.
    """
    moment = time.time() if now is None else now
    safe = 2 * pool.touch_after_s
    if grace_s >= safe:
        return _sweep(pool, live, moment, grace_s, dry_run=dry_run)
    with pool.presence.alone() as alone:
        return _sweep(pool, live, moment, grace_s if alone else safe, dry_run=dry_run)


def _sweep(pool: Pool, live: Iterable[bytes], moment: float, grace_s: float, *, dry_run: bool) -> SweepReport:
    before = int((moment - grace_s) * 1000)
    with translated("sweeping"), closing(pool.catalogue.separate()) as connection:
        _mark(pool, connection, live, before)
        objects = size = 0
        for candidates in _candidates(connection, before):
            if dry_run:
                removed = candidates
            else:
                removed = _remove(pool, candidates, before)
                time.sleep(BREATH_S)
            objects += len(removed)
            size += sum(stored for _, _, _, stored in removed)
        leftovers = _leftovers(pool, connection, moment, dry_run=dry_run)
        (count,) = connection.execute("SELECT count(*) FROM object").fetchone()
    if not dry_run:
        _shrink(pool)
    kept = count - objects if dry_run else count
    return SweepReport(objects, size, len(leftovers), sum(leftovers), kept, dry_run, grace_s)


_Candidate = tuple[int, bytes, int, int]
"""id, digest, place, stored"""


def _mark(pool: Pool, connection: sqlite3.Connection, live: Iterable[bytes], before: int) -> None:
    """Fills the temporary table `live`: on disk, since there may be many millions."""
    connection.execute("PRAGMA temp_store = FILE")
    connection.execute("CREATE TEMP TABLE live (digest BLOB PRIMARY KEY) WITHOUT ROWID")
    digests = iter(live)
    while part := [(digest,) for digest in islice(digests, 10_000)]:
        connection.execute("BEGIN")
        connection.executemany("INSERT OR IGNORE INTO live VALUES (?)", part)
        connection.execute("COMMIT")
    manifests = connection.execute(
        "SELECT digest, digest IN (SELECT digest FROM live) FROM object WHERE manifest = 1"
        " AND (used_at >= ? OR digest IN (SELECT digest FROM live))",
        (before,),
    ).fetchall()
    for digest, needed in manifests:
        try:
            manifest = pool.object(digest).manifest
        except NotFoundError:  # another sweep took it
            continue
        except DamagedError:
            if needed:
                raise
            continue
        if manifest is not None:
            connection.execute("BEGIN")
            connection.executemany("INSERT OR IGNORE INTO live VALUES (?)", ((chunk,) for chunk in manifest.digests()))
            connection.execute("COMMIT")


def _candidates(connection: sqlite3.Connection, before: int) -> Iterator[list[_Candidate]]:
    last = 0
    while rows := connection.execute(
        "SELECT id, digest, place, stored FROM object WHERE id > ? AND used_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM live WHERE live.digest = object.digest) ORDER BY id LIMIT ?",
        (last, before, AT_ONCE),
    ).fetchall():
        yield rows
        last = rows[-1][0]


def _remove(pool: Pool, candidates: list[_Candidate], before: int) -> list[_Candidate]:
    """First the records, then, in a second transaction, the files nobody has stored anew: a kill between leaves a leftover,
    never a record without its file."""
    with pool.catalogue.transaction() as writer:
        removed = [
            candidate
            for candidate in candidates
            if writer.execute(
                "DELETE FROM object WHERE id = ? AND digest = ? AND used_at < ?", (*candidate[:2], before)
            ).rowcount
        ]
        fault("sweep.deleted")
    fault("sweep.committed")
    _remove_files(pool, [digest for _, digest, place, _ in removed if place == LOOSE])
    return removed


def _remove_files(pool: Pool, digests: list[bytes]) -> set[bytes]:
    """Removes files that no record names; returns which. Files get their names in the transaction that records them, so
    what has no record during ours is nobody's."""
    removed: set[bytes] = set()
    if digests:
        with pool.catalogue.transaction() as writer:
            for digest in digests:
                if not is_loose(writer, digest):
                    pool.loose.remove(digest)
                    removed.add(digest)
                    fault("sweep.removed")
    return removed


def is_loose(connection: sqlite3.Connection, digest: bytes) -> bool:
    """Whether an object is recorded to lie in a file."""
    row = connection.execute("SELECT 1 FROM object WHERE digest = ? AND place = ?", (digest, LOOSE)).fetchone()
    return row is not None


def _leftovers(pool: Pool, connection: sqlite3.Connection, moment: float, *, dry_run: bool) -> list[int]:
    """Bytes of each file that a killed process left: placed but not recorded, or not even placed. They are removed."""
    unknown = {digest: size for digest, size in pool.loose.all() if not is_loose(connection, digest)}
    abandoned = list(pool.loose.abandoned(moment))
    if not dry_run:
        digests = list(unknown)
        removed: set[bytes] = set()
        for start in range(0, len(digests), AT_ONCE):
            removed |= _remove_files(pool, digests[start : start + AT_ONCE])
        unknown = {digest: unknown[digest] for digest in removed}
        for path, _ in abandoned:
            discard(path)
    return [*unknown.values(), *(size for _, size in abandoned)]


def _shrink(pool: Pool) -> None:
    """Gives the database's free pages back to the disk."""
    while pool.catalogue.give_back(PAGES):
        time.sleep(BREATH_S)
