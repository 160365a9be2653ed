"""Closing a database for good, so that forks may share it, and beginning a new agent's databases on what is shared.

Sealing puts a new, nearly empty file in the place of a database; the old one stays beside it as `segment-{n}.db` and is
never written again. A fork gets hard links to the sealed files it needs and heads of its own that name them: it costs
the same whatever they hold, and either agent may be erased without the other.

Order, so that a crash at any point leaves one whole database: the new head is written beside its place; the old one's
write-ahead log is moved into it and the connection closed; a second link to the old one is made under its new name;
the new head is renamed over the old name. A link left behind before that rename is removed by the next seal.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from podium.coordinator.adapters.store.database import (
    FILE_MODE,
    MESSAGES,
    STATE,
    Database,
    Kind,
    as_wal,
    blank,
    connect,
    make_directory,
)
from podium.coordinator.adapters.store.errors import StoreBusyError, StoreError, store_error
from podium.coordinator.adapters.store.segments import Segment

Rows = Mapping[str, Sequence[Sequence[Any]]]
"""Table → rows a new head begins with."""

_CARRIED: Final[dict[str, dict[str, str]]] = {
    "state": {},
    "messages": {
        "mark": "SELECT * FROM main.mark",
        "inbox": "SELECT * FROM main.inbox WHERE state IN ('queued', 'running')",
        "request": "SELECT * FROM main.request WHERE status = 'open'",
    },
}
"""Database → table → what a new head takes over from the one before: rows that still change."""

_ALONE_MS: Final = 50
"""How long the last checkpoint waits for readers in other processes."""


class Cut(NamedTuple):
    """Where an agent is cut: its newest event and state version then, and the schema of that state."""

    seq: int
    version: int
    schema: int | None


def seal(database: Database, cut: int, chain: Sequence[Segment], fault: Callable[[str], None]) -> Database:
    """Seals a database whose newest number is `cut`; returns the one that goes on, `chain` and the sealed file behind it.
    Nothing to seal: the same database. The caller uses it alone.

    Raises:
        StoreBusyError: another process has it open; it goes on as it was.
        StoreError: a file can't be written; it goes on as it was.
    """
    kind, path = database.kind, database.path
    sealed = path.parent / _next_name(chain)
    rows = {table: database.rows(sql) for table, sql in _CARRIED[kind.name].items()}
    try:
        draft = _draft(path, head_image(kind, [*chain, Segment(sealed.name, cut, own=True)], rows))
        sealed.unlink(missing_ok=True)  # left by a crash before its head was in place
    except OSError as error:
        raise store_error(kind.name, error) from error
    fault(f"{kind.name}.seal.drafted")
    _move_log(database)
    database.close()
    try:
        _swap(kind, path, draft, sealed, fault)
    except OSError as error:
        raise store_error(kind.name, error) from error
    return connect(kind, path)


def begin_fork(source: Path, chains: Mapping[Kind, Sequence[Segment]], target: Path, agent_id: str, cut: Cut) -> None:
    """Makes the databases of the agent `agent_id` in the directory `target`, as those in `source`, whose sealed files are
    `chains`, were at `cut`. Files only: nobody is asked whether the agent may be made.

    Raises:
        StoreError: a file can't be made.
    """
    mark = {"mark": [(1, agent_id, 1, cut.version, cut.schema)]}
    for kind, number, rows in ((STATE, cut.version, {}), (MESSAGES, cut.seq, mark)):
        chain = _shortened(chains[kind], number)
        path = target / kind.path
        try:
            make_directory(path.parent)
            for segment in chain:
                os.link((source / kind.path).parent / segment.file, path.parent / segment.file)
            _draft(path, head_image(kind, chain, rows)).rename(path)
        except OSError as error:
            raise store_error(kind.name, error) from error


def head_image(kind: Kind, chain: Sequence[Segment], rows: Rows) -> bytes:
    """The bytes of a database that goes on from `chain` and begins with `rows`."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.deserialize(blank(kind))
        connection.execute("BEGIN")
        base = [(position, *segment) for position, segment in enumerate(chain, 1)]
        connection.executemany("INSERT INTO base (position, file, cut, own) VALUES (?, ?, ?, ?)", base)
        for table, values in rows.items():
            if values:
                marks = ", ".join("?" * len(values[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
        connection.execute("COMMIT")
        return as_wal(connection.serialize())
    finally:
        connection.close()


def _shortened(chain: Sequence[Segment], cut: int) -> list[Segment]:
    """What of a chain counts up to `cut`, as another agent's past."""
    kept: list[Segment] = []
    reached = 0
    for segment in chain:
        if reached >= cut:
            break
        reached = min(segment.cut, cut)
        kept.append(Segment(segment.file, reached, own=False))
    if reached != cut:
        raise StoreError("messages", f"what lies above {reached} is not sealed")
    return kept


def _next_name(chain: Sequence[Segment]) -> str:
    numbers = [int(segment.file.removeprefix("segment-").removesuffix(".db")) for segment in chain]
    return f"segment-{max(numbers, default=0) + 1}.db"


def _draft(path: Path, image: bytes) -> Path:
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with open(descriptor, "wb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())  # it is renamed over the only name of what was there
    return draft


def _move_log(database: Database) -> None:
    database.rows(f"PRAGMA busy_timeout = {_ALONE_MS}")
    if not database.checkpoint("TRUNCATE"):
        raise StoreBusyError(database.name, "somebody reads it")


def _swap(kind: Kind, path: Path, draft: Path, sealed: Path, fault: Callable[[str], None]) -> None:
    """Puts the draft in place. A log that is still there belongs to somebody who has the old file open, and would be
    taken for the new one's."""
    if any(Path(f"{path}{suffix}").exists() for suffix in ("-wal", "-shm")):
        raise StoreBusyError(kind.name, "somebody has it open")
    os.link(path, sealed)
    fault(f"{kind.name}.seal.linked")
    draft.rename(path)
    fault(f"{kind.name}.seal.renamed")
