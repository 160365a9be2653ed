"""Sealed files a database goes on from: attached read-only, and shown together with it as one.

A temporary view of each table's name stands before the table itself, so reads need not know of sealed files; writes
name `main`. A database without sealed files has no views and costs nothing more than before.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

CHAIN_MAX: Final = 8
"""Most sealed files behind a database; SQLite attaches ten at most. A chain this long is folded at the next seal."""

_CACHE_KIB: Final = 24
"""Page cache for each sealed file."""

_EXISTS: Final = "SELECT count(*) FROM main.sqlite_master WHERE name = 'base'"
_BASE: Final = "SELECT file, cut, own FROM main.base ORDER BY position"

_ENDED: Final = (
    "state IN ('done', 'cancelled', 'failed') AND accepted_seq <= {cut} AND EXISTS (SELECT 1 FROM {name}.checkpoint AS c "
    "WHERE c.turn_id = inbox.turn_id AND c.position <= {cut})"
)
"""Messages whose turn was over by the cut. One that was not is carried on in the next file, or waits nowhere in a fork."""

_CONDITIONS: Final[dict[str, dict[str, str]]] = {
    "state": {"delta": "version <= {cut}", "snapshot": "version <= {cut}"},
    "messages": {
        "event": "seq <= {cut}",
        "inbox": _ENDED,
        "command": "{own}",
        "request": "status = 'resolved' AND resolved_seq <= {cut}",
        "checkpoint": "position <= {cut}",
        "moment": "seq <= {cut}",
    },
}
"""Database → table → which of a sealed file's rows count."""


class Segment(NamedTuple):
    """A sealed file: its name beside the database, the newest number of it that counts, whether it is the agent's own past."""

    file: str
    cut: int
    own: bool


def chain_of(connection: sqlite3.Connection) -> tuple[Segment, ...]:
    """The sealed files a database names, oldest first; none for one of an earlier schema."""
    if not connection.execute(_EXISTS).fetchone()[0]:
        return ()
    return tuple(Segment(file, cut, bool(own)) for file, cut, own in connection.execute(_BASE))


def attach(connection: sqlite3.Connection, kind: str, directory: Path, chain: Iterable[Segment]) -> None:
    """Attaches the files of `chain` as `s0`, `s1`, … and makes the views. The connection must take URIs."""
    names = []
    for position, segment in enumerate(chain):
        path = directory / segment.file
        path.stat()  # SQLite would say only that it can't open a file
        connection.execute(f"ATTACH DATABASE ? AS s{position}", (f"{path.absolute().as_uri()}?immutable=1",))
        connection.execute(f"PRAGMA s{position}.cache_size = -{_CACHE_KIB}")
        names.append((f"s{position}", segment))
    if not names:
        return
    for table in _CONDITIONS[kind]:
        parts = [f"SELECT * FROM main.{table}", *(rows_of(kind, table, name, segment) for name, segment in names)]
        connection.execute(f"CREATE TEMP VIEW {table} AS {' UNION ALL '.join(parts)}")


def tables(kind: str) -> tuple[str, ...]:
    """Tables that sealed files share."""
    return tuple(_CONDITIONS.get(kind, ()))


def rows_of(kind: str, table: str, name: str, segment: Segment) -> str:
    """The query for what counts of a table in the sealed file that is attached as `name`."""
    condition = _CONDITIONS[kind][table].format(cut=segment.cut, name=name, own="1" if segment.own else "0")
    return f"SELECT * FROM {name}.{table} WHERE {condition}"
