"""`History`: the face of the package. Everything about moments, paths and nodes that others ask or tell."""

import errno
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from chronicle.model.changes import Change
from chronicle.model.errors import (
    CheckpointNotFoundError,
    ChronicleError,
    DamagedError,
    FileNotFoundInHistoryError,
    InvalidInputError,
    IterationNotFoundError,
    StorageError,
)
from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration, Version
from chronicle.model.retention import Kept, Policy
from chronicle.store.faults import fault
from chronicle.store.history import files, reading, retaining, schema
from chronicle.store.history.applying import REMEMBERED, Applier
from chronicle.store.history.comparing import Compared, Comparison
from chronicle.store.history.differing import Differ, linked
from chronicle.store.history.folding import LONGEST_CHAIN, Folding, how_many
from chronicle.store.history.schema import storage_errors
from chronicle.store.history.segments import FOREVER, ITERATION_COLUMNS, Chain, Segment, describe, open_bases

logger = logging.getLogger(__name__)

FOLD_PAUSE_S = 0.01
"""How long a fold rests after each portion, so that it takes a fraction of one processor."""

OPEN_ATTEMPTS = 20
"""How often a reader looks again when a file of the chain was folded away while it was opening it."""

Answer = TypeVar("Answer")


class HistoryBatch:
    """Changes that are recorded together: all of them or, when the block is left by an exception, none."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier
        self.position: int | None = None
        self.apply: Callable[[Change], list[Iteration]] = applier.apply
        """Records one change. What became of it: nothing (nothing changed, or what it is about isn't known), one
        iteration, or several (an exchange; directories that had to be made first; what a directory still held).
        Bound directly: it is called for each change."""

    @property
    def head(self) -> int:
        """The newest iteration, with those of this batch."""
        return self._applier.head

    def checkpoint(self, *, at: int, label: str | None = None, turn_id: str | None = None) -> Checkpoint:
        """Names the moment after the changes applied so far; `at` in milliseconds since 1970."""
        return self._applier.checkpoint(at, label, turn_id)

    def consumed(self, position: int) -> None:
        """Says how far the journal of changes is recorded when this batch is."""
        self.position = position


class History:
    """What happened in one workspace. Any thread may ask; one batch at a time.

    One process at a time may open it `writable` (the workspace's lock sees to that); others read beside it, whatever it does.
    """

    def __init__(self, directory: Path, *, writable: bool, remembered: int, longest_chain: int) -> None:
        """Use `create` or `open`."""
        self.directory = directory
        self._writable = writable
        self._remembered = remembered
        self._longest_chain = longest_chain
        self._pointer = os.fsencode(directory / files.HEAD)
        self._name: bytes | None = None
        self._chain: Chain | None = None
        self._reading = threading.Lock()
        self._writing = threading.RLock()
        self._writer: Segment | None = None
        self._applier: Applier | None = None
        self._fold: threading.Thread | None = None
        self._stop = threading.Event()

    @classmethod
    def create(cls, directory: Path) -> "History":
        """Makes an empty history and opens it for writing.

        Raises:
            InvalidInputError: there is one already.
            StorageError: the disk refuses.
        """
        begin(directory)
        return cls.open(directory, writable=True)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        writable: bool = False,
        remembered: int = REMEMBERED,
        longest_chain: int = LONGEST_CHAIN,
    ) -> "History":
        """Opens a history. `remembered`: how many names and nodes the writer keeps in memory; chains of more sealed
        segments than `longest_chain` are folded.

        Raises:
            WorkspaceNotFoundError: there is none.
            DamagedError: it can't be read; `chronicle fsck` says more.
            InvalidInputError: a newer Chronicle made it.
        """
        history = cls(directory, writable=writable, remembered=remembered, longest_chain=longest_chain)
        chain = history._current()
        if writable:
            files.tidy(directory, {segment.file.name for segment in chain.segments})
            history._fold_when_long()
        return history

    # Asking.

    @property
    def head(self) -> int:
        """The newest iteration, 0 before the first."""
        return self._current().head()

    @property
    def first(self) -> int:
        """The earliest moment this history knows: 0, the empty workspace."""
        return 0

    def iteration(self, n: int) -> Iteration:
        """One iteration. Raises `IterationNotFoundError`."""
        row = self._current().iteration(n, ITERATION_COLUMNS)
        if row is None:
            raise IterationNotFoundError(n, self.head)
        return reading.iteration_of(row)

    def log(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
        within: bytes = b"",
    ) -> list[Iteration]:
        """At most `limit` iterations `after < n < before`, of paths in the directory `within` (or that came from there)."""
        chain = self._current()
        upto = chain.head() if before is None else before - 1
        return list(islice(reading.log(chain, after, upto, newest_first, within), limit))

    def history(self, path: bytes, *, before: int | None = None, limit: int = 100) -> list[Iteration]:
        """What happened at the path, newest first: to what is there now, under its earlier names too, and to what was there before.

        The next page has `before` = the last one's number. Empty when nothing was ever there.
        """
        chain = self._current()
        return list(islice(reading.history(chain, path, FOREVER if before is None else before), limit))

    def lookup(self, path: bytes, at: int | None = None) -> Version | None:
        """What was at the path at that moment (None: now). Raises `IterationNotFoundError`."""
        chain, moment = self._moment(at)
        node = reading.node_at(chain, path, moment)
        return None if node is None else reading.version_at(chain, node, moment)

    def entries(
        self, path: bytes, at: int | None = None, *, after: bytes = b"", limit: int | None = None
    ) -> list[Entry]:
        """What a directory held at that moment, sorted by name: at most `limit` names after `after`.

        Raises:
            FileNotFoundInHistoryError: no directory was there.
            IterationNotFoundError: no such moment.
        """
        chain, moment = self._moment(at)
        node = self._directory(chain, path, moment, at)
        return list(islice(reading.entries(chain, path, node, moment, after), limit))

    def walk(self, at: int | None = None, path: bytes = b"") -> Iterator[Entry]:
        """Everything below a directory at that moment, parents before children, sorted by name in each. Raises as `entries`."""
        chain, moment = self._moment(at)
        return reading.walk(chain, path, self._directory(chain, path, moment, at), moment)

    def differences(self, before: int, after: int, path: bytes = b"") -> list[Difference]:
        """Paths within the directory that differ between two moments, sorted, of renamed directories all that is in them.

        What counts is in `chronicle.model.differences`. Raises `IterationNotFoundError`.
        """
        chain, _ = self._moment(max(before, after))
        if min(before, after) < 0:
            raise IterationNotFoundError(min(before, after), chain.head())
        return Differ(chain, before, after, path).differences()

    def compare(self, before: int, after: int, path: bytes = b"", *, behind: bytes | None = None) -> Iterator[Compared]:
        """Every path within the directory that is looked at to compare two moments, with how it differs (None: it does not), behind
        the path `behind`. Raises `IterationNotFoundError`; `InvalidInputError`: `behind` lies elsewhere.
        """
        chain, _ = self._moment(max(before, after))
        if min(before, after) < 0:
            raise IterationNotFoundError(min(before, after), chain.head())
        return Comparison(chain, before, after, path).walk(behind)

    def names_of(self, node: int, at: int | None = None) -> list[bytes]:
        """All paths of a node at that moment, sorted; several for hard links, none when it was gone."""
        chain, moment = self._moment(at)
        return reading.names_of(chain, node, moment)

    def links(self, nodes: Iterable[int], at: int | None = None, *, within: bytes = b"") -> dict[int, list[bytes]]:
        """Of those of the nodes that have several names in the directory at that moment: all these (what `restore_plan` asks for)."""
        chain, moment = self._moment(at)
        return linked(chain, nodes, moment, within)

    def checkpoints(self, *, newest_first: bool = True, limit: int = 100) -> list[Checkpoint]:
        """Named moments, by number."""
        return reading.checkpoints(self._current(), newest_first, limit)

    def checkpoint(self, label_or_turn: str) -> Checkpoint:
        """The newest checkpoint of that label, else of that turn. Raises `CheckpointNotFoundError`."""
        found = reading.checkpoint(self._current(), label_or_turn)
        if found is None:
            raise CheckpointNotFoundError(label_or_turn)
        return found

    def position(self) -> int:
        """How far the journal of changes was recorded last."""
        segment = self._current().segments[0]
        row = segment.row("SELECT value FROM meta WHERE key='position'", ())
        return int(row[0]) if row else 0

    # Retention.

    def kept(self, retention: Policy, now_ms: int) -> Kept:
        """The moments that the policy keeps readable; `now_ms` in milliseconds since 1970."""
        chain = self._current()
        return retaining.kept(chain, retention, chain.head(), now_ms)

    def is_kept(self, n: int, retention: Policy, now_ms: int) -> bool:
        """Whether the content that iteration `n` made has to stay readable. Raises `IterationNotFoundError`."""
        if retention.keeps_all:
            return True
        chain = self._current()
        row = chain.iteration(n, "node")
        if row is None:
            raise IterationNotFoundError(n, chain.head())
        head = chain.head()
        return retaining.kept(chain, retention, head, now_ms).needs(n, retaining.end_of(chain, row[0], n, head))

    readable = is_kept

    def live_digests(self, retention: Policy, now_ms: int) -> Iterator[bytes]:
        """The digests of all contents that have to stay, in no order; one may come several times."""
        chain = self._current()
        head = chain.head()
        return retaining.live_digests(chain, retaining.kept(chain, retention, head, now_ms), head)

    # Writing.

    @contextmanager
    def batch(self, *, durable: bool = False) -> Iterator[HistoryBatch]:
        """Records changes together. `durable`: they are on disk when the block ends; else within the next checkpoint.

        Raises:
            StorageError: the disk refuses; nothing was recorded.
            InvalidInputError: this history was opened for reading.
        """
        with self._writing:
            applier, connection = self._writes()
            execute = connection.execute
            with storage_errors(self.directory):
                if durable:
                    execute("PRAGMA synchronous=FULL")
                execute("BEGIN IMMEDIATE")
                try:
                    batch = HistoryBatch(applier)
                    yield batch
                    if batch.position is not None:
                        execute("UPDATE meta SET value=? WHERE key='position'", (batch.position,))
                    fault("history.before_commit")
                    execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        execute("ROLLBACK")
                    applier.renew()
                    raise
                finally:
                    if durable:
                        execute("PRAGMA synchronous=NORMAL")
                fault("history.committed")

    def seal(self) -> None:
        """Ends the database that is written, for good, and begins a new one on top of it. Nothing when it has no iterations.

        Raises:
            StorageError: the disk refuses, or a reader stands in the way for seconds.
        """
        with self._writing:
            applier, connection = self._writes()
            sealed = applier.chain.segments[0]
            if applier.head == sealed.low:
                return
            with storage_errors(self.directory):
                # The log's pages have to be in the database itself, as sealed segments are read without a log.
                busy, logged, moved = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
                if busy or logged != moved:
                    raise StorageError(f"{self.directory}: a reader keeps the log from being sealed")
                file = files.next_segment(self.directory)
                schema.make(file, base=sealed.file.name, base_at=applier.head, position=self.position())
                fault("seal.made")
                files.point(self.directory, file.name)
            fault("seal.renamed")
            self._let_go()
            self._fold_when_long()

    def fork(self, into: Path, at: int) -> None:
        """Makes a history in the directory `into` that goes on from moment `at` of this one. Costs the same whatever its size.

        Raises:
            IterationNotFoundError: no such moment.
            InvalidInputError: there is a history in `into` already.
            StorageError: the disk refuses.
        """
        with self._writing:
            self._writes()
            self._moment(at)
            if at > self._current().segments[0].low:
                self.seal()
            self._let_go()
            segments = self._current().segments
            linked = [segment for segment in segments[1:] if segment.low < at]
            late: list[tuple[int, int, str | None, str | None]] = []
            for segment in segments:
                if segment not in linked:
                    late += segment.rows(
                        f"SELECT {reading.CHECKPOINT_COLUMNS} FROM checkpoint WHERE n<=? AND n>0 ORDER BY id", (at,)
                    )
            into.mkdir(mode=0o700, parents=True, exist_ok=True)
            with storage_errors(into):
                begin(
                    into,
                    base=linked[0].file.name if linked else "",
                    base_at=at,
                    checkpoints=late,
                    linked=[segment.file for segment in linked],
                )

    def fold(self) -> None:
        """Folds a chain that is too long, now and here. It happens by itself in a thread of whoever writes."""
        if self._fold is not None:
            self._fold.join()
        while (folding := self._next_fold()) is not None:
            self._work(folding)

    def close(self) -> None:
        """Closes everything; a fold under way goes on when the history is next opened for writing."""
        self._stop.set()
        if self._fold is not None:
            self._fold.join()
            self._fold = None
        with self._writing:
            self._let_go()

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # How.

    def _current(self) -> Chain:
        """The chain as it is now: opened anew when `head.db` points elsewhere since."""
        try:
            name = os.readlink(self._pointer)
        except OSError:
            name = os.fsencode(files.current(self.directory))
        with self._reading:
            if self._chain is None or name != self._name:
                self._chain = _open_chain(self.directory)
                self._name = os.fsencode(self._chain.segments[0].file.name)
            return self._chain

    def _moment(self, at: int | None) -> tuple[Chain, int]:
        chain = self._current()
        head = chain.head()
        if at is None:
            return chain, head
        if not 0 <= at <= head:
            raise IterationNotFoundError(at, head)
        return chain, at

    def _directory(self, chain: Chain, path: bytes, moment: int, at: int | None) -> int:
        node = reading.node_at(chain, path, moment)
        if node is None or reading.version_at(chain, node, moment).type != "directory":
            raise FileNotFoundInHistoryError(path, at)
        return node

    def _writes(self) -> tuple[Applier, sqlite3.Connection]:
        if not self._writable:
            raise InvalidInputError(f"{self.directory} was opened for reading")
        if self._applier is None or self._writer is None:
            bases = self._current().segments[1:]
            file = self.directory / files.current(self.directory)
            with storage_errors(file):
                self._writer = describe(schema.open_writer(file), file, FOREVER)
                self._applier = Applier(self._writer.connection, Chain([self._writer, *bases]), self._remembered)
        if self._writer.connection.in_transaction:
            raise InvalidInputError(f"{self.directory}: a batch is open; end it first")
        return self._applier, self._writer.connection

    def _let_go(self) -> None:
        """Forgets the connections; walks that still use some keep them."""
        with self._reading:
            self._chain = None
            self._name = None
        self._applier = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _next_fold(self) -> Folding | None:
        with self._writing:
            sealed = self._current().segments[1:]
            count = how_many([segment.cut - segment.low for segment in sealed], self._longest_chain)
            return Folding(self.directory, sealed[:count]) if count else None

    def _work(self, folding: Folding) -> bool:
        """Folds until it is done or the history is closed; whether it is done."""
        try:
            while folding.step():
                if self._stop.wait(FOLD_PAUSE_S):
                    return False
            with self._writing:
                folding.finish()
                self._let_go()
        finally:
            folding.close()
        return True

    def _fold_when_long(self) -> None:
        if self._fold is not None and self._fold.is_alive():
            return
        if len(self._current().segments) - 1 > self._longest_chain:
            self._fold = threading.Thread(target=self._fold_beside, name="chronicle-fold")
            self._fold.start()

    def _fold_beside(self) -> None:
        try:
            while not self._stop.is_set() and (folding := self._next_fold()) is not None:
                self._work(folding)
        except ChronicleError as error:
            # The chain stays long and is read all the same; the next seal or opening tries again.
            logger.warning("history %s can't be folded: %s", self.directory, error)


def begin(
    directory: Path,
    *,
    base: str = "",
    base_at: int = 0,
    checkpoints: Iterable[tuple[int, int, str | None, str | None]] = (),
    linked: Iterable[Path] = (),
) -> None:
    """Makes a history in a directory, empty or one that goes on from linked segments; it is there whole or not at all.

    Raises:
        InvalidInputError: there is one already.
        StorageError: the disk refuses.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.path.lexists(directory / files.HEAD):
        raise InvalidInputError(f"{directory} has a history already")
    try:
        for file in linked:
            _link(file, directory / file.name)
        file = files.next_segment(directory)
        schema.make(file, base=base, base_at=base_at, checkpoints=checkpoints)
        fault("fork.made")
        files.point(directory, file.name)
    except OSError as error:
        raise StorageError(f"{directory}: {error}") from error


def _link(file: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    try:
        place.hardlink_to(file)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        # Another file system, or one without links: a copy serves as well, it only takes longer.
        shutil.copyfile(file, place)
        with place.open("rb") as copy:
            os.fsync(copy.fileno())


def _open_chain(directory: Path) -> Chain:
    missing: FileNotFoundError | None = None
    for _ in range(OPEN_ATTEMPTS):
        file = directory / files.current(directory)
        try:
            if not file.exists():
                raise FileNotFoundError(file)
            with storage_errors(file):
                first = describe(schema.open_reader(file), file, FOREVER)
            return Chain([first, *open_bases(first)])
        except FileNotFoundError as error:
            missing = error
    raise DamagedError(f"{directory}: a segment is missing: {missing}") from missing
