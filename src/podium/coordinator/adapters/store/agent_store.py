"""The three databases of one agent behind one face: batches in, rows out.

A batch commits state.db, then messages.db, then agent.db. The commit of messages.db is the batch's: before it nothing
of the batch happened, after it everything did, but for log records, which may be lost.
"""

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from podium.base.clock import Clock
from podium.coordinator.adapters.store import upkeep
from podium.coordinator.adapters.store.batch import Batch
from podium.coordinator.adapters.store.database import (
    KINDS,
    LOGS,
    MESSAGES,
    STATE,
    Database,
    Kind,
    open_file,
)
from podium.coordinator.adapters.store.errors import (
    StoreBusyError,
    StoreClosedError,
    StoreConflictError,
    StoreError,
)
from podium.coordinator.adapters.store.folding import folded
from podium.coordinator.adapters.store.journal import Journal
from podium.coordinator.adapters.store.logbook import Logbook
from podium.coordinator.adapters.store.reads import StoreReads
from podium.coordinator.adapters.store.records import (
    StoreOptions,
)
from podium.coordinator.adapters.store.recovery import recover, refuse_orphaned_messages, refuse_orphaned_state
from podium.coordinator.adapters.store.sealing import Cut, begin_fork, seal
from podium.coordinator.adapters.store.states import PACK_FROM_BYTES, read_schema
from podium.coordinator.adapters.store.validation import validate_files

log = logging.getLogger(__name__)

LOOK_EVERY_BATCHES: Final = 64
"""How often a store looks at the size of its write-ahead logs: a look is three system calls."""

_UNPACKED: Final = "SELECT count(*) FROM main.snapshot WHERE codec = 'json' AND kind = 'given' AND size >= ?"
_TAIL: Final = "SELECT coalesce(sum(length(ops)), 0) FROM delta WHERE version > ?"
_SNAPSHOT: Final = "SELECT version FROM snapshot ORDER BY version DESC LIMIT 1"


class AgentStore(StoreReads):
    """One agent's databases. All calls but `maintenance` and `close` belong to one thread (the event loop's)."""

    def __init__(
        self,
        files: dict[Kind, Database],
        agent_id: str,
        clock: Clock,
        options: StoreOptions,
    ) -> None:
        self.agent_id = agent_id
        self._files = files
        self._clock = clock
        self._options = options
        self._state = files[STATE]
        self._messages = files[MESSAGES]
        self._logs = files[LOGS]
        self._journal = Journal(self._messages)
        self._logbook = Logbook(self._logs, options.log_max_bytes)
        self._heads = recover(self._state, self._messages, agent_id)
        self._batch: Batch | None = None
        self._unsettled = False
        self._closed = False
        self._upkeep = threading.Lock()
        self._batches = 0
        self._logs_long = self._any_log_long()
        self._snapshot_version: int = (self._state.row(_SNAPSHOT) or (0,))[0]
        self._tail_bytes: int = self._state.value(_TAIL, (self._snapshot_version,))
        self._unpacked = bool(self._state.value(_UNPACKED, (PACK_FROM_BYTES,)))
        self.lost_log_records = 0
        """Log records that could not be written since the store was opened."""

    @classmethod
    def open(
        cls,
        agent_directory: Path,
        agent_id: str,
        clock: Clock,
        options: StoreOptions | None = None,
    ) -> "AgentStore":
        """Opens an agent's databases, made when they are not there, and sets right what a crash left.

        Raises:
            StoreDamagedError: a file is damaged, missing beside the others, or another agent's.
            StoreTooNewError: a newer release wrote a file.
            StoreError: a file can't be made, opened or written.
        """
        files: dict[Kind, Database] = {}
        try:
            refuse_orphaned_messages(agent_directory)
            for kind in KINDS:
                files[kind] = open_file(kind, agent_directory)
                if kind is STATE:
                    refuse_orphaned_state(files[STATE], agent_directory)
            return cls(files, agent_id, clock, options or StoreOptions())
        except BaseException:  # an open connection would keep descriptors and a lock
            for database in files.values():
                database.close()
            raise

    def close(self) -> None:
        """Checkpoints and closes the files; waits for maintenance. It syncs to disk: call it from a worker thread."""
        with self._upkeep:
            self._closed = True
            for database in self._files.values():
                database.close()

    def validate(self) -> list[str]:
        """Checks every invariant; findings in words, none when all is well. Reads everything: for tests and the doctor.

        Raises:
            StoreError: a file can't be read at all.
        """
        return validate_files(self._state, self._messages, self._logs)

    @property
    def head_seq(self) -> int:
        """Number of the newest event; 0 when there is none."""
        return self._heads.seq

    @property
    def state_version(self) -> int:
        """Newest version of the state; 0 when there is none."""
        return self._heads.version

    @property
    def state_schema(self) -> int | None:
        """`_version` of the state class that wrote the state; None when there is none."""
        return self._heads.schema

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def batch(self) -> Batch:
        """Begins a batch, to be used in `with`: its end commits, an exception drops it.

        Raises:
            StoreConflictError: a batch is being filled already.
            StoreClosedError: the store was closed.
            StoreError: an earlier commit failed half-way and can't be undone yet (disk still full).
        """
        if self._batch is not None:
            raise StoreConflictError("messages", "a batch is open already")
        if self._closed:
            raise StoreClosedError("messages", "the store is closed")
        if self._unsettled:
            self._settle()
        self._batch = Batch(self._heads, self._clock, self._commit, self._discard)
        return self._batch

    def _discard(self) -> None:
        self._batch = None

    def _commit(self, batch: Batch) -> None:
        """Writes a batch. After a failure the heads are read from the files again, so they never tell of what is not there."""
        self._batch = None
        fault = self._options.fault
        try:
            if batch.state:
                self._state.write(batch.state, fault)
                self._unsettled = True
                fault("state.committed")
            if changes := batch.message_changes():
                self._messages.write(changes, fault)
                self._unsettled = False
                self._heads = batch.heads
                fault("messages.committed")
                if batch.turned:
                    self._journal.reload()
        except BaseException:  # also a cancelled or interrupted caller must find heads that are true
            with suppress(StoreError):  # then it stays unsettled, and the next batch tries again before anything else
                self._settle()
            raise
        self._count(batch)
        if batch.logs:
            self._commit_logs(batch)

    def _settle(self) -> None:
        """Undoes what a failed commit left in state.db and reads the heads anew."""
        self._unsettled = True
        self._heads = recover(self._state, self._messages, self.agent_id)
        self._unsettled = False

    def _commit_logs(self, batch: Batch) -> None:
        """The batch is committed; log records are not worth telling its caller otherwise."""
        try:
            self._logs.write(
                [*batch.log_changes(), *self._logbook.forgetting_after(len(batch.logs))], self._options.fault
            )
        except StoreError as error:
            self.lost_log_records += len(batch.logs)
            log.warning(
                "log_records_lost",
                extra={
                    "agent_id": self.agent_id,
                    "lost": len(batch.logs),
                    "why": str(error),
                },
            )
        else:
            self._options.fault("logs.committed")

    def _count(self, batch: Batch) -> None:
        if batch.given_version:
            self._snapshot_version, self._tail_bytes = batch.given_version, 0
            self._unpacked = self._unpacked or batch.given_bytes >= PACK_FROM_BYTES
        self._tail_bytes += batch.state_bytes
        self._batches += 1
        if self._batches % LOOK_EVERY_BATCHES == 0:
            self._logs_long = self._any_log_long()

    # ── moments ──────────────────────────────────────────────────────────────────────────────────────────────

    def seal(self) -> None:
        """Closes what is written so far for good, so that forks may share it. Takes a few syncs to disk; less when
        `checkpoint_files` was called just before. A long chain of sealed files is folded first.

        Raises:
            StoreBusyError: upkeep runs, a rewind is not complete, or another process has a file open; try again.
            StoreError: a file can't be written; the store goes on as it was.
        """
        if self._batch is not None or self.moments.pending() is not None or not self._upkeep.acquire(blocking=False):
            raise StoreBusyError("messages", "it is being written")
        try:
            for kind, cut in ((STATE, self._heads.version), (MESSAGES, self._heads.seq)):
                self._seal(kind, cut)
        finally:
            self._upkeep.release()

    def _seal(self, kind: Kind, cut: int) -> None:
        database = self._files[kind]
        if cut == database.cut:
            return
        directory = database.path.parent
        chain = folded(kind, directory, database.chain)
        try:
            database = seal(database, cut, chain, self._options.fault)
        except StoreError:
            self._use(kind, open_file(kind, directory.parent))
            raise
        self._use(kind, database)
        for left in directory.glob("segment-*.db"):
            if left.name not in {segment.file for segment in database.chain}:
                left.unlink()  # folded, or left by a crash; whoever has it open may go on reading

    def _use(self, kind: Kind, database: Database) -> None:
        self._files[kind].close()
        self._files[kind] = database
        self._state, self._messages = self._files[STATE], self._files[MESSAGES]
        self._journal = Journal(self._messages)

    def fork(self, target: Path, agent_id: str, seq: int, version: int) -> None:
        """Makes the databases of another agent in `target` as these were at event `seq` and state `version`, both sealed.
        Links and two small files, whatever these hold.

        Raises:
            StoreError: a file can't be made, or what is asked for is not sealed.
        """
        schema = read_schema(self._state, version)
        chains = {kind: self._files[kind].chain for kind in (STATE, MESSAGES)}
        directory = self._messages.path.parent.parent
        begin_fork(directory, chains, target, agent_id, Cut(seq, version, schema))

    def is_sealed(self, seq: int, version: int) -> bool:
        """Whether everything up to event `seq` and state `version` lies in sealed files."""
        return seq <= self._messages.cut and version <= self._state.cut

    # ── upkeep ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def maintenance_due(self) -> bool:
        """Whether `maintenance` has something to do; costs nothing to ask."""
        return self._snapshot_due or self._logs_long or self._unpacked

    @property
    def _snapshot_due(self) -> bool:
        deltas = self._heads.version - self._snapshot_version
        return deltas >= self._options.snapshot_every_deltas or (
            deltas > 0 and self._tail_bytes >= self._options.snapshot_every_bytes
        )

    def maintenance(self) -> None:
        """Takes the snapshot that is due, packs and thins snapshots, forgets old commands, caps the log and moves long
        write-ahead logs into their files. Call it from a worker thread; batches may go on meanwhile.

        Raises:
            StoreError: something can't be read or written; what was done stays, the rest is due again once as much has
                been written again (not at once: the same would fail at every batch).
        """
        with self._upkeep:
            if self._closed:
                return
            self._logs_long = False
            for kind, database in upkeep.each(self._files):
                if kind is STATE:
                    self._keep_states(database)
                elif kind is MESSAGES:
                    upkeep.forget_commands(database, self._clock.now_ms())
                else:
                    upkeep.cap_log(database, self._options.log_max_bytes)
                if self._options.checkpoints:
                    upkeep.shorten_log(database, self._options.wal_max_bytes)
            self._logs_long = self._any_log_long()

    def checkpoint_files(self) -> None:
        """Moves the write-ahead logs into their files, however short: then a power loss costs nothing that was
        committed before. Call it from a worker thread.

        Raises:
            StoreError: a file can't be written.
        """
        with self._upkeep:
            if not self._closed:
                for _kind, database in upkeep.each(self._files):
                    upkeep.move_log(database)

    def _keep_states(self, database: Database) -> None:
        self._unpacked = False
        upkeep.pack_given(database)
        if self._snapshot_due:
            version = self._heads.version
            self._snapshot_version, self._tail_bytes = version, 0
            upkeep.take_snapshot(database, version, self._options.fault)

    def _any_log_long(self) -> bool:
        options = self._options
        return options.checkpoints and any(
            database.log_bytes() > options.wal_max_bytes for database in self._files.values()
        )
