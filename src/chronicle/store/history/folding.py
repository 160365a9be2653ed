"""Many sealed segments become one, beside the traffic.

The rows are copied into `fold.partial` in small transactions that say how far they came, so that whoever is killed goes on
later. The finished file takes the name of the newest segment it holds, in one rename: whoever names that segment as base finds
the same iterations below the same cut. The older ones are then named by nobody and removed. Who has the old files open
keeps reading them.
"""

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from chronicle.store.faults import fault
from chronicle.store.history import files, schema
from chronicle.store.history.schema import storage_errors
from chronicle.store.history.segments import Segment

LONGEST_CHAIN: Final = 8
"""So many sealed segments are asked one after the other; more are folded."""

STEP_ROWS: Final = 5000
"""Rows copied in one transaction: about 30 ms."""


class _Progress(msgspec.Struct):
    """How far a fold came. `sources`: file, low, cut, oldest first. `source` counts into them; `n`, `slot`: copied up to."""

    sources: list[tuple[str, int, int]]
    base: str
    base_at: int
    source: int = 0
    n: int = 0
    slot: tuple[int, str, int] | None = None


def how_many(sizes: Sequence[int], longest: int) -> int:
    """How many of the newest segments to fold, given their rows, newest first; 0: the chain is short enough.

    Enough to make the chain short, and then those that are no more than twice as large as what is folded anyway: a large
    old segment is copied seldom.
    """
    if len(sizes) <= longest:
        return 0
    count = len(sizes) - longest + 1
    count = max(count, 2)
    while count < len(sizes) and sizes[count] <= 2 * sum(sizes[:count]):
        count += 1
    return count


class Folding:
    """One fold: `step` until it says False, then `finish`, or `close` at any time to go on another day."""

    def __init__(self, directory: Path, sealed: Sequence[Segment]) -> None:
        """`sealed`: the segments to fold, newest first."""
        self._directory = directory
        self._file = directory / files.PARTIAL
        plan = _Progress(
            sources=[(segment.file.name, segment.low, segment.cut) for segment in reversed(sealed)],
            base=sealed[-1].base,
            base_at=sealed[-1].low,
        )
        with storage_errors(self._file):
            progress = self._resume(plan)
            if progress is None:
                files.remove_database(self._file)
                schema.make(self._file, base=plan.base, base_at=plan.base_at)
                progress = plan
                progress.n = plan.sources[0][1]
            self._progress = progress
            # foreign keys stay off here: every row was checked when it was first written
            self._connection = sqlite3.connect(
                f"file:{self._file}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._attach()

    def _resume(self, plan: _Progress) -> _Progress | None:
        """How far an earlier fold of the same segments came."""
        if not self._file.exists():
            return None
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            try:
                row = connection.execute("SELECT value FROM meta WHERE key='fold'").fetchone()
            except sqlite3.DatabaseError:
                return None
        if row is None:
            return None
        progress = msgspec.json.decode(row[0], type=_Progress)
        same = (progress.sources, progress.base, progress.base_at) == (plan.sources, plan.base, plan.base_at)
        return progress if same else None

    @property
    def replaced(self) -> str:
        """The segment whose name the result takes."""
        return self._progress.sources[-1][0]

    def _attach(self) -> None:
        if self._progress.source < len(self._progress.sources):
            file = self._directory / self._progress.sources[self._progress.source][0]
            self._connection.execute("ATTACH ? AS old", (f"file:{file}?mode=ro&immutable=1",))

    def step(self) -> bool:
        """Copies some rows; whether there is more to copy."""
        progress = self._progress
        if progress.source >= len(progress.sources):
            return False
        _, _, cut = progress.sources[progress.source]
        with storage_errors(self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                done = self._copy(progress, cut)
                self._connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('fold', ?)", (msgspec.json.encode(progress),)
                )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            fault("fold.stepped")
            if done:
                self._connection.execute("DETACH old")
                self._attach()
        return True

    def _copy(self, progress: _Progress, cut: int) -> bool:
        """One portion: iterations first, then slots, then checkpoints; whether that was the segment's last."""
        execute = self._connection.execute
        if progress.n < cut:
            upto = min(progress.n + STEP_ROWS, cut)
            execute("INSERT INTO iteration SELECT * FROM old.iteration WHERE n>? AND n<=?", (progress.n, upto))
            progress.n = upto
            return False
        parent, name, n = progress.slot or (0, "", 0)
        begin = (parent, bytes.fromhex(name), n)
        last = execute(
            "SELECT parent, name, n FROM old.slot WHERE (parent, name, n) > (?,?,?) ORDER BY parent, name, n LIMIT 1 OFFSET ?",
            (*begin, STEP_ROWS - 1),
        ).fetchone()
        end = last or (1 << 62, b"", 0)
        execute(
            "INSERT INTO slot SELECT * FROM old.slot WHERE (parent, name, n) > (?,?,?) AND (parent, name, n) <= (?,?,?) AND n<=?",
            (*begin, *end, cut),
        )
        if last is not None:
            progress.slot = (last[0], last[1].hex(), last[2])
            return False
        execute(
            "INSERT INTO checkpoint (n, at_ms, label, turn_id) SELECT n, at_ms, label, turn_id FROM old.checkpoint WHERE n<=? ORDER BY n, id",
            (cut,),
        )
        progress.source += 1
        progress.slot = None
        return True

    def finish(self) -> None:
        """Puts the result in the place of the segments. Nobody may link or open segments for writing meanwhile."""
        with storage_errors(self._file):
            self._connection.execute("DELETE FROM meta WHERE key='fold'")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.close()
        fault("fold.written")
        place = self._directory / self.replaced
        os.replace(self._file, place)
        files.sync(self._directory)
        fault("fold.renamed")
        for name, _, _ in self._progress.sources[:-1]:
            files.remove_database(self._directory / name)

    def close(self) -> None:
        """Lets go of the files; what was copied stays."""
        self._connection.close()
