"""A chain of databases asked as one: what is written now first, then the sealed segments it goes on from.

Each segment answers for its own range of iterations, `low < n <= cut`. Rows are only ever added, so a question about
moment m has the same answer whenever it is asked: no transaction holds a reader's view, and a walk may take its time.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chronicle.store.history import schema
from chronicle.store.history.schema import ROOT, storage_errors

FOREVER: Final = 1 << 62
"""Later than every iteration."""

PAGE: Final = 2000
"""Rows fetched at a time where there may be many: keeps a lock for about a millisecond."""

Row = tuple[Any, ...]

ITERATION_COLUMNS: Final = "n, kind, path, source, at_ms, mode, size, digest, turn_id"
VERSION_COLUMNS: Final = "node, n, mode, mtime_ns, size, digest, target, xattrs"

_SLOT_AT: Final = "SELECT node FROM slot WHERE parent=? AND name=? AND n<=? ORDER BY n DESC LIMIT 1"
_SLOT_LIVES: Final = "SELECT n, node FROM slot WHERE parent=? AND name=? AND n<? ORDER BY n DESC LIMIT ?"
_NODE_AT: Final = f"SELECT {VERSION_COLUMNS} FROM iteration WHERE node=? AND n<=? ORDER BY n DESC LIMIT 1"
# Of each node in a JSON list its newest row; a row's number is its place, so that each costs two look-ups and all of them one question.
_NODES_AT: Final = (
    f"SELECT {VERSION_COLUMNS} FROM json_each(?) wanted JOIN iteration ON n="
    "(SELECT n FROM iteration WHERE node=wanted.value AND n<=? ORDER BY n DESC LIMIT 1)"
)
_NODE_ROWS: Final = f"SELECT {ITERATION_COLUMNS} FROM iteration WHERE node=? AND n<=? ORDER BY n DESC LIMIT ?"
# SQLite takes the other columns of a MAX from the row that has it: the newest meaning of each name.
_NAMES: Final = (
    "SELECT name, node, MAX(n) FROM slot WHERE parent=? AND name>? AND n<=? GROUP BY name ORDER BY name LIMIT ?"
)
_NAMED: Final = "SELECT parent, name, n FROM slot WHERE node=? AND n<=?"


@dataclass(eq=False)
class Segment:
    """One database: its iterations `low < n <= cut` count. `cut` of the one that is written is `FOREVER`."""

    file: Path
    connection: sqlite3.Connection
    low: int
    cut: int
    base: str

    def __post_init__(self) -> None:
        self.lock = threading.Lock()

    def rows(self, sql: str, arguments: Sequence[object]) -> list[Row]:
        """All rows of a question."""
        with self.lock:
            return self.connection.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[object]) -> Row | None:
        """The first row of a question, None without one."""
        with self.lock:
            found: Row | None = self.connection.execute(sql, arguments).fetchone()
            return found

    def close(self) -> None:
        """Closes the connection, after the question that is being answered."""
        with self.lock:
            self.connection.close()

    def __del__(self) -> None:
        # Walks that began before a seal or a fold go on with the segments they have; the last one closes them.
        self.connection.close()


def describe(connection: sqlite3.Connection, file: Path, cut: int) -> Segment:
    """A segment of an open connection."""
    facts = schema.meta(connection)
    return Segment(file=file, connection=connection, low=int(facts["base_at"]), cut=cut, base=str(facts["base"]))


def open_bases(first: Segment) -> list[Segment]:
    """The sealed segments that `first` goes on from, newest first.

    Raises:
        FileNotFoundError: one is missing (or was folded away this instant: look again).
        DamagedError, StorageError: one can't be read.
    """
    opened: list[Segment] = []
    newer = first
    try:
        while newer.base:
            file = first.file.with_name(newer.base)
            if not file.exists():
                raise FileNotFoundError(file)
            with storage_errors(file):
                connection = schema.open_sealed(file)
                try:
                    segment = describe(connection, file, newer.low)
                except BaseException:
                    connection.close()
                    raise
            opened.append(segment)
            newer = segment
    except BaseException:
        for segment in opened:
            segment.close()
        raise
    return opened


class Chain:
    """Questions that are answered by one index look-up in each segment, at most."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments

    def head(self) -> int:
        """The newest iteration, 0 before the first."""
        first = self.segments[0]
        row = first.row("SELECT MAX(n) FROM iteration WHERE n<=?", (first.cut,))
        return first.low if row is None or row[0] is None else int(row[0])

    def slot(self, parent: int, name: bytes, at: int) -> int | None:
        """What the name meant at that moment."""
        for segment in self.segments:
            if segment.low < at:
                found = segment.row(_SLOT_AT, (parent, name, min(at, segment.cut)))
                if found is not None:
                    node: int | None = found[0]
                    return node
            if parent > segment.low + 1:
                return None  # the directory was made in this segment: the older ones don't know it
        return None

    def slot_lives(self, parent: int, name: bytes, before: int) -> Iterator[tuple[int, int | None]]:
        """When the name got which meaning, newest first, of the iterations before `before`."""
        for segment in self.segments:
            below = min(before, segment.cut + 1)
            while segment.low < below - 1:
                page = segment.rows(_SLOT_LIVES, (parent, name, below, PAGE))
                yield from page
                if len(page) < PAGE:
                    break
                below = page[-1][0]
            if parent > segment.low + 1:
                return

    def node(self, node: int, at: int) -> Row | None:
        """The node's newest row at that moment (`VERSION_COLUMNS`)."""
        for segment in self.segments:
            if segment.low < at:
                found = segment.row(_NODE_AT, (node, min(at, segment.cut)))
                if found is not None:
                    return found
            if node > segment.low + 1:
                return None
        return None

    def nodes(self, nodes: Sequence[int], at: int) -> dict[int, Row]:
        """`node` of many, by node, in one question for each segment; give a page of them at a time. None is there for what wasn't."""
        found: dict[int, Row] = {}
        wanted = list(dict.fromkeys(nodes))
        for segment in self.segments:
            if segment.low < at and wanted:
                for row in segment.rows(_NODES_AT, (json.dumps(wanted), min(at, segment.cut))):
                    found[row[0]] = row
            wanted = [node for node in wanted if node not in found and node <= segment.low + 1]
            if not wanted:
                break
        return found

    def node_rows(self, node: int, upto: int) -> Iterator[Row]:
        """The node's iterations, newest first, up to one (`ITERATION_COLUMNS`)."""
        for segment in self.segments:
            limit, below = 32, min(upto, segment.cut)
            while segment.low < below:
                page = segment.rows(_NODE_ROWS, (node, below, limit))
                yield from page
                if len(page) < limit:
                    break
                below, limit = page[-1][0] - 1, PAGE
            if node > segment.low + 1:
                return

    def names(self, parent: int, at: int, after: bytes | None = None) -> Iterator[tuple[bytes, int]]:
        """What the directory held at that moment, sorted by name, of the names after `after`."""
        knowing = []
        for segment in self.segments:
            if segment.low < at:
                knowing.append(segment)
            if parent > segment.low + 1:
                break
        if len(knowing) == 1:
            sources = [self._names_of(knowing[0], parent, at, after)]
        else:
            sources = [self._names_of(segment, parent, at, after) for segment in knowing]
        yield from _newest_first(sources)

    def _names_of(
        self, segment: Segment, parent: int, at: int, after: bytes | None
    ) -> Iterator[tuple[bytes, int | None]]:
        # A name is never empty, so that the empty one is before all.
        last, limit = after or b"", 200
        while True:
            page = segment.rows(_NAMES, (parent, last, min(at, segment.cut), limit))
            for name, node, _ in page:
                yield name, node
            if len(page) < limit:
                return
            last, limit = page[-1][0], PAGE

    def named(self, node: int, at: int) -> list[tuple[int, bytes]]:
        """The slots (directory, name) that mean the node at that moment."""
        found: list[tuple[int, bytes]] = []
        seen: set[tuple[int, bytes]] = set()
        for segment in self.segments:
            if segment.low < at:
                for parent, name, _ in segment.rows(_NAMED, (node, min(at, segment.cut))):
                    if (parent, name) not in seen:
                        seen.add((parent, name))
                        if self.slot(parent, name, at) == node:
                            found.append((parent, name))
            if node > segment.low + 1:
                break
        return found

    def ascending(
        self, columns: str, after: int, upto: int, condition: str = "", arguments: Sequence[object] = ()
    ) -> Iterator[Row]:
        """Rows of iterations `after < n <= upto`, oldest first; `n` has to be the first column."""
        for segment in reversed(self.segments):
            low, high = max(after, segment.low), min(upto, segment.cut)
            while low < high:
                page = segment.rows(
                    f"SELECT {columns} FROM iteration WHERE n>? AND n<=? {condition} ORDER BY n LIMIT ?",
                    (low, high, *arguments, PAGE),
                )
                yield from page
                if len(page) < PAGE:
                    break
                low = page[-1][0]

    def descending(
        self, columns: str, after: int, upto: int, condition: str = "", arguments: Sequence[object] = ()
    ) -> Iterator[Row]:
        """Rows of iterations `after < n <= upto`, newest first; `n` has to be the first column."""
        for segment in self.segments:
            low, high = max(after, segment.low), min(upto, segment.cut)
            limit = 100
            while low < high:
                page = segment.rows(
                    f"SELECT {columns} FROM iteration WHERE n>? AND n<=? {condition} ORDER BY n DESC LIMIT ?",
                    (low, high, *arguments, limit),
                )
                yield from page
                if len(page) < limit:
                    break
                high, limit = page[-1][0] - 1, PAGE

    def iteration(self, n: int, columns: str) -> Row | None:
        """One row."""
        for segment in self.segments:
            if segment.low < n <= segment.cut:
                return segment.row(f"SELECT {columns} FROM iteration WHERE n=?", (n,))
        return None

    def close(self) -> None:
        """Closes every connection."""
        for segment in self.segments:
            segment.close()


def root_version() -> Row:
    """What the root is before anything happened to it (`VERSION_COLUMNS`)."""
    return (ROOT, 0, 0o040755, 0, 0, None, None, None)


def _newest_first(sources: list[Iterator[tuple[bytes, int | None]]]) -> Iterator[tuple[bytes, int]]:
    """Merges by name; of a name that several sources have, the first source's meaning counts."""
    heads: list[tuple[bytes, int, int | None]] = []
    for rank, source in enumerate(sources):
        first = next(source, None)
        if first is not None:
            heads.append((first[0], rank, first[1]))
    while heads:
        name, _, node = min(heads, key=lambda head: head[:2])
        following = []
        for head in heads:
            if head[0] != name:
                following.append(head)
                continue
            successor = next(sources[head[1]], None)
            if successor is not None:
                following.append((successor[0], head[1], successor[1]))
        heads = following
        if node is not None:
            yield name, node
