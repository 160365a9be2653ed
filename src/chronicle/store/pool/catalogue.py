"""`objects.db`: which objects a pool holds, where they lie, and the small ones themselves."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from chronicle.model.errors import ChronicleError, DamagedError, InvalidInputError, StorageError

FILE: Final = "objects.db"

APPLICATION_ID: Final = 0x4348504F
"""`CHPO`, in the file's header: what `file(1)` and we know a pool by."""

FORMAT: Final = 1
"""`user_version` of the file; a higher one is refused."""

BUSY_MS: Final = 5000
"""How long, in milliseconds, one process waits for another's transaction; ours take a few."""

IDLE_READERS: Final = 4
"""Connections kept for the next reader: as many as threads commonly read at once."""

PACKED, LOOSE = 0, 1
WAITING, UPLOADED, UNSENDABLE = 0, 1, -1

SCHEMA: Final = f"""
CREATE TABLE object (
    id INTEGER PRIMARY KEY,        -- order of arrival: the uploader works in it
    digest BLOB NOT NULL UNIQUE,   -- BLAKE3 (32 bytes) of the content
    size INTEGER NOT NULL,         -- bytes of content; of a manifest: of the whole content that it describes
    manifest INTEGER NOT NULL,     -- 1: the body is a manifest, the content lies in the chunks it names
    place INTEGER NOT NULL,        -- 0: the body is in `packed`; 1: it is the file {{hash[0:2]}}/{{hash}}
    stored INTEGER NOT NULL,       -- bytes of the body
    created_at INTEGER NOT NULL,   -- when it came here, in ms since 1970
    used_at INTEGER NOT NULL,      -- when something last counted on it, in ms, give or take the touch interval; sweeps look at it
    uploaded INTEGER NOT NULL      -- 0: not yet in the remote tier; 1: there; -1: damaged here, so that it can't be sent
);
CREATE TABLE packed (
    id INTEGER PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    body BLOB NOT NULL             -- see bodies.py; its own table, so that looking through objects reads no bodies
);
CREATE INDEX waiting ON object (id) WHERE uploaded = {WAITING};
CREATE INDEX manifests ON object (id) WHERE manifest = 1;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""


class Record(NamedTuple):
    """A row of `object`, with the body when it is packed."""

    id: int
    size: int
    manifest: int
    place: int
    stored: int
    used_at: int
    body: bytes | None


_FIND: Final = """
SELECT object.id, size, manifest, place, stored, used_at, body FROM object LEFT JOIN packed ON packed.id = object.id
WHERE digest = ?
"""


class Catalogue:
    """Connections to `objects.db`: one that writes, behind a lock, and as many that read as there are readers at once.

    No connection may be taken through a `fork`: open the pool in the process that uses it.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._write_lock = threading.Lock()
        self._closed = False
        self._idle: list[sqlite3.Connection] = []
        with translated(f"opening {self._path}"), _alone(directory):
            self._writer = _connect(self._path)
            try:
                _prepare(self._writer, self._path)
            except BaseException:
                self._writer.close()
                raise

    def find(self, digest: bytes) -> Record | None:
        """What is known of an object."""
        with self.reading() as connection:
            row = connection.execute(_FIND, (digest,)).fetchone()
        return Record._make(row) if row else None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for this thread alone, as long as the block lasts; the block's database errors become ours."""
        with self.lent() as connection:
            try:
                yield connection
            except sqlite3.Error as error:
                raise failure(f"reading {self._path}", error) from error

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """As `reading`, for blocks in which others work, too, whose errors are not about this file."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._fresh()
        try:
            yield connection
        finally:
            if self._closed or len(self._idle) >= IDLE_READERS:
                connection.close()
            else:
                self._idle.append(connection)

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the file's write lock from its beginning: commits at the end, rolls back on an exception.

        With `durable` it is on the disk, not only in the page cache, when the block has been left.

        Raises:
            StorageError: the disk refuses, or another process holds the lock for longer than 5 s. Nothing was changed.
        """
        with self._write_lock, translated(f"writing {self._path}"):
            writer = self._writer
            if durable:
                writer.execute("PRAGMA synchronous = FULL")
            try:
                writer.execute("BEGIN IMMEDIATE")
                try:
                    yield writer
                    writer.execute("COMMIT")
                except BaseException:
                    if writer.in_transaction:
                        writer.execute("ROLLBACK")
                    raise
            finally:
                if durable:
                    writer.execute("PRAGMA synchronous = NORMAL")

    def give_back(self, pages: int) -> bool:
        """Shortens the file by up to so many free pages, in one transaction; whether any are left.

        Raises:
            StorageError: as of `transaction`.
        """
        with self._write_lock, translated(f"shortening {self._path}"):
            (free,) = self._writer.execute("PRAGMA freelist_count").fetchone()
            if not free:
                return False
            # A script runs the statement to its end; `execute` takes one of its steps, which is one page.
            self._writer.executescript(f"PRAGMA incremental_vacuum({pages});")
            (left,) = self._writer.execute("PRAGMA freelist_count").fetchone()
        return bool(0 < left < free)

    def separate(self) -> sqlite3.Connection:
        """A connection of the caller's own (its temporary tables, its long reading); the caller closes it."""
        return self._fresh()

    def close(self) -> None:
        """Closes all; connections that are being read from follow when their reader is done."""
        with self._write_lock:
            self._closed = True
            self._writer.close()
            while self._idle:
                self._idle.pop().close()

    def _fresh(self) -> sqlite3.Connection:
        if self._closed:
            raise StorageError(f"{self._path} has been closed")
        with translated(f"opening {self._path}"):
            return _connect(self._path)


def failure(what: str, error: sqlite3.Error | OSError) -> ChronicleError:
    """The error of ours that an error of the database or the disk is.

    `OperationalError` is what surrounds the file (full, read-only, locked), other errors are about what is in it.
    """
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return DamagedError(f"{what}: {error}")
    return StorageError(f"{what}: {error}")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of the database and the disk become ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise failure(what, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One process at a time prepares a pool: switching to WAL would not wait for the other."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        return
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise DamagedError(f"{path} is a database, but not of a pool")
    if version > FORMAT:
        raise InvalidInputError(f"{path} has format {version}; this Chronicle knows up to {FORMAT}: upgrade it")
