"""One session's database: its events, numbered without gaps, and the conversation."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from diminuendo.domain.events import ClientEvent, PermissionRequested, QuestionRequested, encode, stamped
from diminuendo.domain.mapper import Said
from diminuendo.domain.rewinds import Rewind
from diminuendo.protocol.answers import HistoryMessage
from diminuendo.storage import projection
from diminuendo.storage.errors import StorageError, translated
from diminuendo.storage.places import prepare
from diminuendo.storage.writer import BatchWriter, CallLater, Command
from podium.base.clock import Clock
from podium.base.sqlite import open_database, read_migrations

APPLICATION_ID: Final = 0x44494D53
"""`DIMS` in the header of the file."""

Pending = QuestionRequested | PermissionRequested
"""What waits for an answer."""


class StoredEvent(NamedTuple):
    """An event as clients get it."""

    seq: int
    frame: bytes


class Resume(NamedTuple):
    """What a machine needs to go on with the session after a restart."""

    podium_seq: int
    turn_id: str | None
    asked: frozenset[str]


class SessionStore:
    """One session's `session.db`. Writes are batched; reads see what is committed. Used from one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection, writer: BatchWriter, clock: Clock) -> None:
        self._path = path
        self._connection = connection
        self._writer = writer
        self._clock = clock
        self._given = self.last_seq
        self._taken = self.resume().podium_seq

    @classmethod
    def open(
        cls,
        path: Path,
        session_id: str,
        clock: Clock,
        call_later: CallLater,
        on_failure: Callable[[StorageError], None],
    ) -> Self:
        """Opens the database at `path`, made when it is not there. `on_failure` is told when a batch can't be written;
        the store has to be opened anew then.

        Raises:
            StorageError: it can't be opened, or is another session's.
        """
        with translated(path):
            prepare(path)
            connection = open_database(
                path,
                application_id=APPLICATION_ID,
                migrations=read_migrations(f"{__package__}.session_schema"),
                exclusive=True,
            )
        try:
            with translated(path):
                connection.execute("INSERT OR IGNORE INTO cursor VALUES (1, ?, 0, NULL)", (session_id,))
                (owner,) = connection.execute("SELECT session_id FROM cursor").fetchone()
            if owner != session_id:
                raise StorageError(path, f"belongs to session {owner}")
            return cls(path, connection, BatchWriter(path, connection, clock, call_later, on_failure), clock)
        except StorageError:
            connection.close()
            raise

    def close(self) -> None:
        """Writes what is left and closes the file.

        Raises:
            StorageError: it could not be written; the file is closed all the same.
        """
        try:
            self._writer.flush()
        finally:
            self._connection.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def append(
        self,
        events: Sequence[ClientEvent],
        shown: Callable[[list[StoredEvent]], None],
        podium_seq: int | None = None,
        said: Said | None = None,
        rewound_to: int | None = None,
    ) -> None:
        """Numbers and writes events; `shown` gets them as soon as they are durable, in order.

        `podium_seq`: number in the agent's journal of what they were mapped from (there may be none of them). One that
        was taken in before is a repetition, and nothing happens. `said`: what a person said there. `rewound_to`: what was said
        after this number of the journal no longer counts.

        Raises:
            StorageError: they can't be written; neither was anything shown.
        """
        if podium_seq is not None and podium_seq <= self._taken:
            return
        now = self._clock.now_ms()
        numbered = [stamped(event, self._given + place, now) for place, event in enumerate(events, start=1)]
        frames = [StoredEvent(event.seq, encode(event)) for event in numbered]
        commands = [
            command
            for event, (_, frame) in zip(numbered, frames, strict=True)
            for command in projection.commands(event, frame, podium_seq)
        ]
        if said is not None:
            commands.append(projection.conversation(said if said.ts else said._replace(ts=now), podium_seq))
        if podium_seq is not None and rewound_to is not None:
            self._writer.flush()  # so that all rewinds before this one can be read
            earlier = [Rewind(*row) for row in self._rows("SELECT podium_seq, target_seq FROM rewind")]
            commands += projection.rewound(earlier, Rewind(podium_seq, rewound_to))
        if podium_seq is not None:
            commands.append(Command("UPDATE cursor SET podium_seq = ?", (podium_seq,)))
            self._taken = podium_seq
        self._given += len(numbered)
        self._writer.put(commands, (lambda: shown(frames)) if frames else None)

    def flush(self) -> None:
        """Commits what was put, now. Raises `StorageError`."""
        self._writer.flush()

    @property
    def taken(self) -> int:
        """Number in the agent's journal of what was last taken in, committed or not."""
        return self._taken

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def last_seq(self) -> int:
        """Number of the newest event that was shown; 0: none."""
        return int(self._rows("SELECT coalesce(max(seq), 0) FROM event")[0][0])

    def events_after(self, seq: int, limit: int, max_bytes: int | None = None) -> list[StoredEvent]:
        """The first `limit` events after number `seq`; fewer, but at least one, where they have more than `max_bytes`."""
        found: list[StoredEvent] = []
        size = 0
        with translated(self._path):
            sql = "SELECT seq, frame FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
            with closing(self._connection.execute(sql, (seq, limit))) as rows:
                for row in rows:
                    found.append(StoredEvent(*row))
                    size += len(found[-1].frame)
                    if max_bytes is not None and size >= max_bytes:
                        break
        return found

    def is_over(self, turn_id: str) -> bool:
        """Whether clients were told that the turn is over."""
        sql = "SELECT 1 FROM event WHERE turn_id = ? AND type IN ('turn_complete', 'turn_error') LIMIT 1"
        return bool(self._rows(sql, turn_id))

    def history(self, before: int | None, limit: int) -> list[HistoryMessage]:
        """The newest `limit` messages before position `before` (None: of all), oldest first."""
        sql = "SELECT position, role, text, turn_id, ts, stop_reason FROM history WHERE position < ? AND hidden = 0 ORDER BY position DESC LIMIT ?"
        rows = self._rows(sql, _BEHIND_ALL if before is None else before, limit)
        return [HistoryMessage(*row) for row in reversed(rows)]

    def pending(self) -> list[Pending]:
        """What waits for an answer, in the order it was asked."""
        rows = self._rows("SELECT frame FROM request JOIN event USING (seq) ORDER BY seq")
        return [_PENDING.decode(frame) for (frame,) in rows]

    def resume(self) -> Resume:
        """Where the session was."""
        ((podium_seq, turn_id),) = self._rows("SELECT podium_seq, turn_id FROM cursor")
        asked = frozenset(request_id for (request_id,) in self._rows("SELECT request_id FROM request"))
        return Resume(podium_seq, turn_id, asked)

    def findings(self) -> list[str]:
        """What is wrong with the contents, in words; nothing, if all is well."""
        (count, first, last), *_ = self._rows(
            "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM event"
        )
        found = [] if (first, last) == (1, count) else [f"{count} events are numbered from {first} to {last}"]
        for request_id, kind in self._rows("SELECT request_id, type FROM request LEFT JOIN event USING (seq)"):
            if kind not in ("question_requested", "permission_requested"):
                found.append(f"request {request_id} has no event that asked")
        for seq, kind, frame in self._rows("SELECT seq, type, frame FROM event"):
            read = _HEADS.decode(frame)
            if (read.seq, read.type) != (seq, kind):
                found.append(f"event {seq} of type {kind} was written as {read.seq} of type {read.type}")
        return found

    def _rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with translated(self._path):
            return self._connection.execute(sql, parameters).fetchall()


class _Head(msgspec.Struct):
    seq: int
    type: str


_BEHIND_ALL: Final = 2**63 - 1
_PENDING: Final[msgspec.json.Decoder[Pending]] = msgspec.json.Decoder(Pending)
_HEADS: Final = msgspec.json.Decoder(_Head)
