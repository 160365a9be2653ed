"""The tables of one history database, column by column, and how such a file is made and opened.

The whole format, with the files around the tables, is described in `docs/internals/chronicle-history.md`.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from chronicle.model.errors import DamagedError, InvalidInputError, StorageError
from chronicle.model.iterations import Kind

APPLICATION_ID: Final = 0x43485243
"""`PRAGMA application_id`: "CHRC", so that `file(1)` and people see what the database is."""

FORMAT: Final = 1
"""`PRAGMA user_version`: version of these tables; a higher one is refused."""

ROOT: Final = 1
"""The node of the workspace's root. Every other node's number is one more than the iteration that made it."""

KINDS: Final[tuple[Kind, ...]] = (
    "create",
    "modify",
    "delete",
    "rename",
    "exchange",
    "chmod",
    "mkdir",
    "symlink",
    "link",
    "special",
    "xattr",
)
"""What `iteration.kind` counts: the index here. New kinds are added at the end."""

CODES: Final[dict[Kind, int]] = {kind: code for code, kind in enumerate(KINDS)}
"""The code of each kind in `iteration.kind`."""

_MODE_AT: Final = 18
_WAL: Final = b"\2\2"
"""Bytes 18 and 19 of a database say who may write and who may read it: 2, whoever knows write-ahead logs (SQLite, file format 1.3.3)."""

BUSY_MS: Final = 5000
"""How long a statement waits for another process's lock (milliseconds); the specification's `busy_timeout`."""

SCHEMA: Final = """
-- One change of one path. Rows are only ever added, n by n, without gaps.
CREATE TABLE iteration (
  n INTEGER PRIMARY KEY,            -- the iteration's number, counted over the workspace from 1
  kind INTEGER NOT NULL,            -- 0 create, 1 modify, 2 delete, 3 rename, 4 exchange, 5 chmod, 6 mkdir, 7 symlink, 8 link, 9 special, 10 xattr
  node INTEGER NOT NULL,            -- the file or directory it happened to, the same through all renames; the root is 1, any other is 1 + the iteration that made it
  parent INTEGER NOT NULL,          -- node of the directory that `path` lies in at this moment; 0 when `path` is the root itself
  path BLOB NOT NULL,               -- whole path as of this moment, relative, without outer slashes
  source_parent INTEGER,            -- node of the directory that `source` lay in; null when there is no source
  source BLOB,                      -- rename, exchange: the earlier path; link: another name of the file; else null
  at_ms INTEGER NOT NULL,           -- when, in milliseconds since 1970 UTC; never less than the row's before
  mode INTEGER NOT NULL,            -- st_mode (type and permissions) of the node from here on; of a delete: what it had
  mtime_ns INTEGER NOT NULL,        -- modification time in nanoseconds since 1970 UTC
  size INTEGER NOT NULL,            -- bytes of content; 0 for all but regular files
  digest BLOB,                      -- BLAKE3 of the content (32 bytes); null for all but regular files
  target BLOB,                      -- what a symbolic link points to; null for everything else
  xattrs BLOB,                      -- extended attributes as a MessagePack map of binary to binary; null: none
  turn_id TEXT                      -- whose doing it was, when that is known
);
-- What a node was at moment m is its newest row with n <= m.
CREATE INDEX iteration_node ON iteration (node, n);

-- From n on, `name` in directory `parent` is `node`. What a name meant at moment m is its newest row with n <= m.
CREATE TABLE slot (
  parent INTEGER NOT NULL,          -- node of the directory
  name BLOB NOT NULL,               -- one path component
  n INTEGER NOT NULL REFERENCES iteration (n),
  node INTEGER,                     -- what the name means; null: nothing, the name is free again
  PRIMARY KEY (parent, name, n)
) WITHOUT ROWID;
-- Under which names a node can be found.
CREATE INDEX slot_node ON slot (node, n) WHERE node IS NOT NULL;

-- Named moments.
CREATE TABLE checkpoint (
  id INTEGER PRIMARY KEY,           -- order of making
  n INTEGER NOT NULL,               -- the moment: the newest iteration then
  at_ms INTEGER NOT NULL,           -- when it was named, in milliseconds since 1970 UTC
  label TEXT,                       -- a name for people; null: none
  turn_id TEXT                      -- the turn that ended there; null: none
);
CREATE INDEX checkpoint_n ON checkpoint (n);
CREATE INDEX checkpoint_label ON checkpoint (label) WHERE label IS NOT NULL;
CREATE INDEX checkpoint_turn ON checkpoint (turn_id) WHERE turn_id IS NOT NULL;

-- base: file name of the segment this one goes on from, in the same directory; '' : from nothing.
-- base_at: the newest iteration that counts of the base (what it has beyond belongs to another workspace); 0 without a base.
-- position: how far the journal of changes is recorded (bytes or records as the recorder counts them).
-- fold: only in an unfinished fold, see folding.py.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value ANY
) WITHOUT ROWID;
"""


@contextmanager
def storage_errors(what: Path | str) -> Iterator[None]:
    """Says SQLite's errors in the package's words.

    Raises:
        DamagedError: the file is no database, or its pages are broken.
        StorageError: the disk refuses, is full, or someone holds the lock too long.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedError(f"{what}: {error}; `chronicle fsck` says more") from error
        raise StorageError(f"{what}: {error}") from error


def make(
    file: Path,
    *,
    base: str,
    base_at: int,
    position: int = 0,
    checkpoints: Iterable[tuple[int, int, str | None, str | None]] = (),
) -> None:
    """Makes a database that goes on from `base` and has these checkpoints (n, at_ms, label, turn_id); it is on disk then.

    Raises:
        StorageError: the disk refuses.
    """
    with storage_errors(file), closing(_connect("file::memory:")) as connection:
        connection.executescript(
            f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={FORMAT};BEGIN;{SCHEMA}"
            f"INSERT INTO meta VALUES ('base_at', {base_at}), ('position', {position});"
        )
        connection.execute("INSERT INTO meta VALUES ('base', ?)", (base,))
        connection.executemany("INSERT INTO checkpoint (n, at_ms, label, turn_id) VALUES (?,?,?,?)", checkpoints)
        connection.execute("COMMIT")
        image = bytearray(connection.serialize())
    image[_MODE_AT : _MODE_AT + 2] = _WAL
    try:
        _write(file, image)
    except OSError as error:
        raise StorageError(f"{file}: {error}") from error


def _write(file: Path, image: bytes | bytearray) -> None:
    """Writes a new file; it is on disk then."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb", 0) as writing:
        rest = memoryview(image)
        while rest:
            rest = rest[writing.write(rest) :]
        os.fsync(writing)


def open_writer(file: Path) -> sqlite3.Connection:
    """Opens the database that is written, to write it."""
    connection = _connect(f"file:{_quoted(file)}?mode=rw")
    try:
        _refuse_strangers(connection, file)
        prepare_writer(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(file: Path) -> sqlite3.Connection:
    """Opens the database that is written, to read it beside its writer (which may live in another process)."""
    try:
        connection = _connect(f"file:{_quoted(file)}?mode=ro")
        try:
            _refuse_strangers(connection, file)
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError:
        # A reader who may not write the directory can't make the shared memory; without a writer nothing changes.
        if os.access(file.parent, os.W_OK) or not file.exists():
            raise
        return open_sealed(file)
    connection.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB}")
    return connection


def open_sealed(file: Path) -> sqlite3.Connection:
    """Opens a segment that is never written again: without locks, logs or shared memory."""
    connection = _connect(f"file:{_quoted(file)}?mode=ro&immutable=1")
    try:
        _refuse_strangers(connection, file)
        connection.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


READER_CACHE_KIB: Final = 256
"""Page cache of each reading connection; the host's page cache stands behind it."""

WRITER_CACHE_KIB: Final = 1024
"""Page cache of the writing connection: holds the inner pages of the indexes of some million rows."""


REPLICATED: Final = "CHRONICLE_HISTORY_REPLICATED"
"""Environment variable: when it is set, somebody else replicates histories by their write-ahead logs (as Litestream does), and moves
these logs into the files himself; a log that was begun anew behind his back would leave a hole in the replica."""


def prepare_writer(connection: sqlite3.Connection) -> None:
    """How a writer works: commits reach the log at once and the disk at the next checkpoint (`batch(durable=True)` waits)."""
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
    connection.execute("PRAGMA journal_size_limit=8388608")
    if os.environ.get(REPLICATED):
        connection.execute("PRAGMA wal_autocheckpoint=0")


def meta(connection: sqlite3.Connection) -> dict[str, int | str | bytes]:
    """The `meta` table."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000, cached_statements=64
    )


def _quoted(file: Path) -> str:
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _refuse_strangers(connection: sqlite3.Connection, file: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise DamagedError(f"{file} is not a history database of Chronicle")
    if version > FORMAT:
        raise InvalidInputError(f"{file} has format {version}; this Chronicle knows up to {FORMAT}: upgrade it")
