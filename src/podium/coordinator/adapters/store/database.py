"""One SQLite file of an agent: opened from a ready-made template, written in whole transactions, errors translated."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from podium.base.sqlite import DatabaseFileError, open_database, read_migrations
from podium.coordinator.adapters.store import segments
from podium.coordinator.adapters.store.errors import (
    StoreConflictError,
    StoreError,
    store_error,
)

FILE_MODE: Final = 0o600
_DIRECTORY_MODE: Final = 0o700

_FORMAT_VERSIONS: Final = slice(18, 20)
"""Where the header of a file says how it is written and read (SQLite file format §1.3.3) …"""

_WAL_FORMAT: Final = bytes((2, 2))
"""… and the value there that means WAL mode, which a database in memory can't be put in."""


class Kind(NamedTuple):
    """What a database is: its name in errors and fault points, its file, the number in its header, its schema, and
    the KiB of page cache a connection gets: what the next commit touches, no more, for hundreds of stores are open."""

    name: str
    path: str
    application_id: int
    package: str
    cache: int


_HERE: Final = __package__
STATE: Final = Kind("state", "db/state.db", 0x504F4453, f"{_HERE}.state_schema", 24)
MESSAGES: Final = Kind("messages", "messages/messages.db", 0x504F444D, f"{_HERE}.messages_schema", 64)
LOGS: Final = Kind("logs", "logs/agent.db", 0x504F444C, f"{_HERE}.logs_schema", 24)
KINDS: Final = (STATE, MESSAGES, LOGS)


class Change(NamedTuple):
    """One statement over some rows. `complaint` is what is wrong when it changed another number of rows; None: no check."""

    sql: str
    rows: Sequence[Sequence[Any]]
    complaint: str | None = None


class Database:
    """A connection to one file. Used from one thread at a time."""

    def __init__(self, kind: Kind, path: Path, connection: sqlite3.Connection) -> None:
        self.kind = kind
        self.name = kind.name
        self.path = path
        self._connection = connection
        self.chain = segments.chain_of(connection)
        segments.attach(connection, kind.name, path.parent, self.chain)

    @property
    def cut(self) -> int:
        """Newest number that lies in sealed files; 0 when there are none."""
        return self.chain[-1].cut if self.chain else 0

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows a query gives.

        Raises:
            StoreError: it can't be read.
        """
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise store_error(self.name, error) from error

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row a query gives, or None.

        Raises:
            StoreError: it can't be read.
        """
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the only row of a query that always has one (an aggregate, a pragma).

        Raises:
            StoreError: it can't be read.
        """
        return self.rows(sql, parameters)[0][0]

    def write(self, changes: Iterable[Change], fault: Callable[[str], None]) -> None:
        """Commits `changes` as one transaction, or nothing of them.

        Raises:
            StoreConflictError: a change with a complaint met another number of rows.
            StoreError: the file can't be written.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for sql, rows, complaint in changes:
                changed = connection.executemany(sql, rows).rowcount
                if complaint is not None and changed != len(rows):
                    raise StoreConflictError(self.name, complaint)
            fault(f"{self.name}.commit")
            connection.execute("COMMIT")
        except BaseException as error:  # whatever ended it, nothing may stay of it
            self._roll_back()
            if isinstance(error, sqlite3.Error):
                raise store_error(self.name, error) from error
            raise

    def checkpoint(self, mode: str) -> bool:
        """Moves the write-ahead log into the file; `mode` is PASSIVE, FULL, RESTART or TRUNCATE. True: all of it moved.

        Raises:
            StoreError: the file can't be written.
        """
        busy, frames, moved = self.rows(f"PRAGMA main.wal_checkpoint({mode})")[0]
        return not busy and bool(frames == moved)

    def restart_log(self) -> None:
        """Begins the write-ahead log anew after a whole checkpoint, so that its one fsync happens here and not in the
        next commit. Does nothing to the contents.

        Raises:
            StoreError: the file can't be written.
        """
        self.rows(f"PRAGMA user_version = {self.value('PRAGMA user_version')}")

    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Closes the connection; the last one of a file checkpoints it."""
        self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # SQLite rolls back by itself after some errors (full disk)
                self._connection.execute("ROLLBACK")


def open_file(kind: Kind, agent_directory: Path) -> Database:
    """Opens one database of an agent, made from the template when it is not there.

    Raises:
        StoreError: it can't be made, opened or migrated.
    """
    path = agent_directory / kind.path
    try:
        if not path.exists():
            _place(kind, path)
        return connect(kind, path)
    except OSError as error:
        raise store_error(kind.name, error) from error


def connect(kind: Kind, path: Path) -> Database:
    """A connection to the file `path`, migrated.

    Raises:
        StoreError: it can't be opened.
    """
    try:
        fresh_log = _size(Path(f"{path}-wal")) == 0
        connection = open_database(
            path,
            application_id=kind.application_id,
            migrations=read_migrations(kind.package),
            synchronous="NORMAL",
            attaching=True,
        )
    except (sqlite3.Error, DatabaseFileError, OSError) as error:
        raise store_error(kind.name, error) from error
    database = _opened(kind, path, connection)
    try:
        # Checkpoints (and their fsync) happen in a worker thread, never inside a commit on the event loop.
        database.rows("PRAGMA wal_autocheckpoint = 0")
        database.rows(f"PRAGMA cache_size = -{kind.cache}")
        database.rows("PRAGMA shrink_memory")  # opening took a cache of the default size
        if fresh_log:
            _begin_log(database)
    except StoreError:
        database.close()
        raise
    return database


def read_only(kind: Kind, agent_directory: Path) -> Database:
    """A connection that only reads, to a database somebody else may be writing: all of it as it is at the first read.
    Neither makes nor migrates anything.

    Raises:
        StoreError: it is not there or can't be opened.
    """
    path = agent_directory / kind.path
    try:
        path.stat()
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise store_error(kind.name, error) from error
    database = _opened(kind, path, connection)
    try:
        database.rows("BEGIN")
    except StoreError:
        database.close()
        raise
    return database


def _opened(kind: Kind, path: Path, connection: sqlite3.Connection) -> Database:
    """The database with its sealed files.

    Raises:
        StoreError: one of them is missing or can't be read; the connection is closed.
    """
    try:
        return Database(kind, path, connection)
    except (sqlite3.Error, OSError) as error:
        connection.close()
        raise store_error(kind.name, error) from error


def _begin_log(database: Database) -> None:
    """Writes the header of a new write-ahead log without the fsync SQLite puts after it, which would otherwise fall into
    the first commit. It guards against frames of an older generation in the same file; a new file has none."""
    database.rows("PRAGMA synchronous = OFF")
    database.restart_log()
    database.rows("PRAGMA synchronous = NORMAL")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _place(kind: Kind, path: Path) -> None:
    """Puts a copy of the template at `path`, whole or not at all. A log left without its file belongs to nothing."""
    make_directory(path.parent)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with open(descriptor, "wb") as file:
        file.write(template(kind))
    draft.rename(path)


def make_directory(directory: Path) -> None:
    """A directory of databases, for the coordinator alone."""
    directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)


@cache
def template(kind: Kind) -> bytes:
    """The bytes of an empty, fully migrated database in WAL mode; made once per process, in memory."""
    return as_wal(blank(kind))


def as_wal(image: bytes) -> bytes:
    """The bytes of a database that was made in memory, in WAL mode."""
    changed = bytearray(image)
    changed[_FORMAT_VERSIONS] = _WAL_FORMAT
    return bytes(changed)


@cache
def blank(kind: Kind) -> bytes:
    """The same as a database in memory can take it, not in WAL mode."""
    connection = open_database(
        Path(":memory:"), application_id=kind.application_id, migrations=read_migrations(kind.package)
    )
    try:
        return connection.serialize()
    finally:
        connection.close()
