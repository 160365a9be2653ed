"""Checking a pool: every body against its name, every record against the files, every manifest against its chunks."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from chronicle.model.errors import DamagedError, StorageError
from chronicle.model.findings import Finding
from chronicle.store.pool import presence, uploading
from chronicle.store.pool.bodies import Opened, open_body
from chronicle.store.pool.catalogue import FILE, translated
from chronicle.store.pool.collect import is_loose
from chronicle.store.pool.loose import ARRIVING
from chronicle.store.pool.manifests import Manifest
from chronicle.store.pool.pool import Pool
from chronicle.store.pool.users import USERS

_AT_ONCE: Final = 500
_OWN: Final = {FILE, f"{FILE}-wal", f"{FILE}-shm", ARRIVING, USERS, uploading.LOCK, presence.LOCK}

_Row = tuple[int, bytes, int, int, int]
"""id, digest, size, manifest, stored"""


def check(pool: Pool) -> Iterator[Finding]:
    """Everything that is not as it should be; reads every object. Writers may go on.

    Kinds: `pool-database`, `object-missing`, `object-damaged`, `object-record`, `chunk-missing`, `chunk-size`,
    `body-unknown`, `file-unknown`, `file-unexpected`, `temporary-file`, `workspace-gone`. What is missing or damaged here
    and whole in the remote tier is mended by reading it; the message says so.

    Raises:
        StorageError: the disk refuses.
    """
    with translated("checking the pool"), closing(pool.catalogue.separate()) as connection:
        broken = list(_database(pool, connection))
        yield from broken
        if broken:
            return
        for row in _objects(connection):
            yield from _object(pool, connection, row)
        yield from _bodies(connection)
        yield from _files(pool, connection)
        yield from _users(pool)


def _database(pool: Pool, connection: sqlite3.Connection) -> Iterator[Finding]:
    where = str(pool.directory / FILE)
    try:
        for (said,) in connection.execute("PRAGMA integrity_check(20)"):
            if said != "ok":
                yield Finding("pool-database", where, f"the database is damaged: {said}")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        yield Finding("pool-database", where, f"the database is damaged: {error}")


def _objects(connection: sqlite3.Connection) -> Iterator[_Row]:
    last = 0
    while rows := connection.execute(
        "SELECT id, digest, size, manifest, stored FROM object WHERE id > ? ORDER BY id LIMIT ?", (last, _AT_ONCE)
    ).fetchall():
        yield from rows
        last = rows[-1][0]


def _object(pool: Pool, connection: sqlite3.Connection, row: _Row) -> Iterator[Finding]:
    _, digest, size, manifest, stored = row
    where = f"object {digest.hex()}"
    try:
        body = pool.body(digest)
    except DamagedError:
        yield Finding("object-missing", where, f"its bytes are gone; {_elsewhere(pool, digest)}", "loss")
        return
    if body is None:  # swept meanwhile
        return
    try:
        opened = open_body(digest, body)
    except DamagedError as damage:
        yield Finding("object-damaged", where, f"{damage}; {_elsewhere(pool, digest)}")
        return
    known = (_size(opened), int(opened.manifest is not None), len(body))
    if known != (size, manifest, stored):
        message = f"it is recorded as {(size, manifest, stored)} and is {known} (size, manifest, bytes stored)"
        yield Finding("object-record", where, message)
    if opened.manifest is not None:
        yield from _chunks(pool, connection, digest, opened.manifest)


def _chunks(pool: Pool, connection: sqlite3.Connection, whole: bytes, manifest: Manifest) -> Iterator[Finding]:
    where = f"object {whole.hex()}"
    seen: set[bytes] = set()
    for extent in manifest.extents():
        digest = extent.digest
        if digest is None or digest in seen:
            continue
        seen.add(digest)
        known = connection.execute("SELECT size, manifest FROM object WHERE digest = ?", (digest,)).fetchone()
        if known is None:
            if not _is_elsewhere(
                pool, digest
            ):  # what came from the remote tier has its chunks there until they are read
                message = f"its chunk {digest.hex()} at {extent.offset} is missing; {_elsewhere(pool, digest)}"
                yield Finding("chunk-missing", where, message, "loss")
        elif known != (extent.size, 0):
            message = f"its chunk {digest.hex()} at {extent.offset} has {known[0]} bytes and should have {extent.size}"
            yield Finding("chunk-size", where, message)


def _bodies(connection: sqlite3.Connection) -> Iterator[Finding]:
    unknown = "SELECT id FROM packed WHERE id NOT IN (SELECT id FROM object WHERE place = 0)"
    for (number,) in connection.execute(unknown).fetchall():
        yield Finding("body-unknown", f"{FILE}: packed {number}", "a packed body belongs to no object", "leftover")


def _files(pool: Pool, connection: sqlite3.Connection) -> Iterator[Finding]:
    suspects = [digest for digest, _ in pool.loose.all() if not is_loose(connection, digest)]
    for digest in suspects:
        with pool.catalogue.transaction() as writer:  # a writer may have been about to record it
            unknown = not is_loose(writer, digest) and pool.loose.stored(digest) is not None
        if unknown:
            yield Finding(
                "file-unknown", pool.loose.path(digest), "no object is in this file; a sweep removes it", "leftover"
            )
    for path, _ in pool.loose.abandoned(pool.clock()):
        yield Finding("temporary-file", path, "a process that was killed left it; a sweep removes it", "leftover")
    for path in pool.loose.unexpected(_OWN):
        yield Finding("file-unexpected", path, "nothing of this name belongs into a pool", "leftover")


def _users(pool: Pool) -> Iterator[Finding]:
    for workspace_id, root in pool.users().items():
        if not os.path.isdir(root):
            message = f"it is registered at {root}, and nothing is there; what it needs can't be known"
            yield Finding("workspace-gone", f"workspace {workspace_id}", message, "leftover")


def _size(opened: Opened) -> int:
    return len(opened.content) if opened.manifest is None else opened.manifest.total_size


def _is_elsewhere(pool: Pool, digest: bytes) -> bool:
    try:
        return pool.remote is not None and pool.remote.exists(digest)
    except StorageError:
        return False


def _elsewhere(pool: Pool, digest: bytes) -> str:
    if pool.remote is None:
        return "there is no remote tier to mend it from"
    try:
        there = pool.remote.exists(digest)
    except StorageError as error:
        return f"whether the remote tier has it is not known ({error})"
    return "the remote tier has it: reading it mends it" if there else "the remote tier hasn't it either"
