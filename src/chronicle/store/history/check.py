"""Every invariant of the format, tried. What each finding's kind means is in `docs/internals/chronicle-history.md`."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from chronicle.model.errors import ChronicleError
from chronicle.model.findings import Finding
from chronicle.store.history import files, schema
from chronicle.store.history.history import History
from chronicle.store.history.replay import REPLAYED, Replay, Slot
from chronicle.store.history.segments import FOREVER, Segment, describe


def check(history: History) -> Iterator[Finding]:
    """What is wrong with a history, in the order of its iterations; nothing when all is well."""
    return check_directory(history.directory)


def check_directory(directory: Path) -> Iterator[Finding]:
    """`check` of a history that perhaps can't even be opened. Works on what is committed now; writers aren't held up."""
    with contextlib.ExitStack() as opened:
        segments: list[Segment] = []
        yield from _open(directory, segments, opened)
        if not segments or segments[-1].base:
            return
        yield from _leftovers(directory, segments)
        damaged = False
        for segment in segments:
            for finding in _pages(segment):
                damaged = True
                yield finding
        if not damaged:
            yield from _rows(segments)
            yield from _checkpoints(segments)


def _open(directory: Path, segments: list[Segment], opened: contextlib.ExitStack) -> Iterator[Finding]:
    """Opens the chain, newest first, as far as it goes."""
    try:
        name = files.current(directory)
    except ChronicleError as error:
        yield Finding("no-head", str(directory / files.HEAD), str(error), "loss")
        return
    cut = FOREVER
    while name:
        file = directory / name
        if not file.exists():
            yield Finding("missing-segment", name, "a database that the history goes on from is not there", "loss")
            return
        try:
            connection = schema.open_sealed(file) if segments else schema.open_reader(file)
        except (ChronicleError, sqlite3.DatabaseError) as error:
            yield Finding("damaged-database", name, str(error))
            return
        opened.callback(connection.close)
        try:
            segment = describe(connection, file, cut)
        except (KeyError, TypeError, ValueError, sqlite3.DatabaseError) as error:
            yield Finding("meta", name, f"the table meta can't be read: {error}")
            return
        segments.append(segment)
        yield from _wrong_meta(segment)
        if segment.low >= cut or any(other.file.name == segment.base for other in segments):
            yield Finding("meta", name, f"goes on from {segment.base!r} at {segment.low}, which makes no chain")
            segment.base = "broken"
            return
        name, cut = segment.base, segment.low


def _wrong_meta(segment: Segment) -> Iterator[Finding]:
    facts = schema.meta(segment.connection)
    name = segment.file.name
    position = facts.get("position")
    if not isinstance(position, int) or position < 0:
        yield Finding("meta", name, f"position {position!r} is no place in a journal")
    if segment.low < 0 or (segment.low == 0) != (not segment.base):
        yield Finding("meta", name, f"goes on from {segment.base!r} at {segment.low}")


def _leftovers(directory: Path, segments: list[Segment]) -> Iterator[Finding]:
    named = {segment.file.name for segment in segments}
    for name in sorted(os.listdir(directory)):
        if name.startswith("segment-") and name.endswith(".db") and name not in named:
            yield Finding("leftover-segment", name, "nothing goes on from this database", "leftover")


def _pages(segment: Segment) -> Iterator[Finding]:
    """What SQLite finds: broken pages, indexes that don't agree with their tables, rows that break a constraint."""
    try:
        lines = [row[0] for row in segment.rows("PRAGMA integrity_check(20)", ())]
        lines += [f"{row[0]} row without its {row[2]}" for row in segment.rows("PRAGMA foreign_key_check", ())]
    except sqlite3.DatabaseError as error:
        lines = [str(error)]
    for line in lines:
        if line != "ok":
            yield Finding("damaged-database", segment.file.name, str(line))


def _rows(segments: list[Segment]) -> Iterator[Finding]:
    replay = Replay()
    for segment in reversed(segments):
        # One snapshot of the database that is written, so that iterations and slots fit together.
        segment.connection.execute("BEGIN")
        try:
            yield from _misplaced(segment)
            if segment.cut != FOREVER and (newest := _newest(segment)) < segment.cut:
                yield Finding(
                    "cut-beyond-base", segment.file.name, f"its newest iteration is {newest}, not {segment.cut}", "loss"
                )
            yield from _replayed(segment, replay)
        finally:
            segment.connection.execute("COMMIT")


def _misplaced(segment: Segment) -> Iterator[Finding]:
    for table in ("iteration", "slot"):
        for row in segment.rows(f"SELECT DISTINCT n FROM {table} WHERE n<=?", (segment.low,)):
            yield Finding(
                "misplaced-row", segment.file.name, f"{table} {row[0]} belongs to the segment below {segment.low}"
            )


def _newest(segment: Segment) -> int:
    row = segment.row("SELECT MAX(n) FROM iteration", ())
    return segment.low if row is None or row[0] is None else int(row[0])


def _replayed(segment: Segment, replay: Replay) -> Iterator[Finding]:
    bounds = (segment.low, segment.cut)
    iterations = segment.connection.execute(f"SELECT {REPLAYED} FROM iteration WHERE n>? AND n<=? ORDER BY n", bounds)
    slots = segment.connection.execute(
        "SELECT n, parent, name, node FROM slot WHERE n>? AND n<=? ORDER BY n, parent, name", bounds
    )
    slot = slots.fetchone()
    for row in iterations:
        named: dict[Slot, int | None] = {}
        while slot is not None and slot[0] <= row[0]:
            if slot[0] == row[0]:
                named[slot[1], slot[2]] = slot[3]
            slot = slots.fetchone()
        yield from replay.step(row, named)


def _checkpoints(segments: list[Segment]) -> Iterator[Finding]:
    for segment in segments:
        head = _newest(segment)
        for (n,) in segment.rows("SELECT n FROM checkpoint WHERE n>? OR n<0", (head,)):
            yield Finding("checkpoint-beyond-head", segment.file.name, f"a checkpoint names {n}; the newest is {head}")
