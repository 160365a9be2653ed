"""SQLite files as all daemons open them: one set of pragmas, numbered forward-only migrations, clear refusals.

A file carries two numbers in its header: `application_id` says whose it is, `user_version` how many of its migrations
have run. Migrations are package files `NNNN_name.sql`, numbered from 0001 without gaps; each runs in a transaction
together with the new `user_version`, so a crash leaves the file before or after it, never between.
"""

import importlib.resources
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

BUSY_TIMEOUT_MS: Final = 5_000
"""How long a statement waits for another process's write lock before it fails with `database is locked`."""

_MIGRATION_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_CONNECTION_PRAGMAS: Final = (
    # Changed pages beyond this stay in the WAL until the next checkpoint; the file is cut back to it afterwards.
    "PRAGMA journal_size_limit = 4194304",
    # Temporary b-trees (sorts) in memory: no descriptor and no file in a directory an agent may fill.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = ON",
)

Synchronous = Literal["NORMAL", "FULL"]
"""`NORMAL`: a commit survives the death of any process; `FULL`: also of the host's power (one fsync a commit)."""


class DatabaseFileError(Exception):
    """A file can't be used as this database. `path` is the file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class DatabaseTooNewError(DatabaseFileError):
    """A newer release wrote the file; use that release or restore a backup. `found` and `known` are schema versions."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(path, f"written by a newer release (schema {found}, this release knows up to {known})")
        self.found = found
        self.known = known


class DatabaseForeignError(DatabaseFileError):
    """The file is a database, but of something else."""


class DatabaseDamagedError(DatabaseFileError):
    """The file is no database or its pages are damaged."""


class Migration(NamedTuple):
    """One step of a schema: `number` is the `user_version` after it."""

    number: int
    name: str
    script: str


@cache
def read_migrations(package: str) -> tuple[Migration, ...]:
    """The migrations that lie in `package`, in order; read once per process.

    Raises:
        ValueError: a `.sql` file is named otherwise, or a number is missing or doubled.
    """
    found: list[Migration] = []
    for entry in importlib.resources.files(package).iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _MIGRATION_NAME.fullmatch(entry.name)
        if match is None:
            raise ValueError(f"{package}: {entry.name} is not named NNNN_name.sql")
        found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    found.sort()
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{package}: migrations must be numbered from 0001 without gaps")
    return tuple(found)


def open_database(
    path: Path,
    *,
    application_id: int,
    migrations: Sequence[Migration],
    synchronous: Synchronous = "NORMAL",
    attaching: bool = False,
    exclusive: bool = False,
) -> sqlite3.Connection:
    """Opens `path` (made when missing, its directory must exist), brought to the newest schema.

    The connection is in autocommit mode (use `transaction`), in WAL mode, and may be used from any one thread at a time.
    `application_id` is a number from 1 to 2**31 - 1 of the caller's own. `attaching`: `ATTACH` takes URIs. `exclusive`: nobody else
    may even read it until this connection is closed, or its process or host has died; it then needs no memory that is shared with
    other processes, so that the file may lie on a network file system with locks (NFS, EFS). Who comes second is not kept waiting.

    Raises:
        DatabaseTooNewError: its schema is newer than the last of `migrations`; nothing was changed.
        DatabaseForeignError: it belongs to something else; nothing was changed.
        DatabaseDamagedError: it is no database.
        sqlite3.OperationalError: it can't be opened, or stayed locked for `BUSY_TIMEOUT_MS`.
    """
    name = path.absolute().as_uri() if attaching else path
    connection = sqlite3.connect(
        name,
        timeout=0.0 if exclusive else BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        uri=attaching,
    )
    try:
        if exclusive:  # before anything is read: from then on there would be shared memory
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").close()
        version = _checked_version(connection, path, application_id, len(migrations))
        connection.execute("PRAGMA journal_mode = WAL").close()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        if version < len(migrations):
            _migrate(connection, path, application_id, migrations)
        for pragma in _CONNECTION_PRAGMAS:
            connection.execute(pragma).close()
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise DatabaseDamagedError(path, str(error)) from error
        raise
    except BaseException:  # an open connection would keep the file locked
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A write transaction: the lock is taken at once (so that what is read inside stays true), committed at the end,
    rolled back when the body raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:  # whatever ended the body, also cancellation, nothing of it may stay
        if connection.in_transaction:
            with suppress(sqlite3.OperationalError):  # SQLite rolls back by itself after some errors (full disk)
                connection.execute("ROLLBACK")
        raise


def _checked_version(connection: sqlite3.Connection, path: Path, application_id: int, known: int) -> int:
    """The file's `user_version`, once it is clear that the file is ours or empty. All in one read transaction: another
    process may be making the file right now."""
    own = not connection.in_transaction
    if own:
        connection.execute("BEGIN")
    try:
        objects = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        found_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        if own:
            connection.execute("COMMIT")
    if found_id != application_id and (found_id, version, objects) != (0, 0, 0):
        raise DatabaseForeignError(path, f"belongs to another application (id {found_id:#x})")
    if version > known:
        raise DatabaseTooNewError(path, version, known)
    return version


def _migrate(connection: sqlite3.Connection, path: Path, application_id: int, migrations: Sequence[Migration]) -> None:
    """Runs what is missing. Another process may do the same at the same time, so each step looks again under the lock.

    Foreign keys are off meanwhile (their pragma comes later), so that a migration may rebuild a table."""
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in migrations:
        with transaction(connection):
            if _checked_version(connection, path, application_id, len(migrations)) >= migration.number:
                continue
            for statement in _statements(migration.script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {migration.number}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one (`executescript` would commit between them)."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
