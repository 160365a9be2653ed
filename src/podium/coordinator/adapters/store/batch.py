"""A batch: everything that becomes durable together, collected first and written in one go."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec

from podium.base.clock import Clock
from podium.coordinator.adapters.store.database import Change
from podium.coordinator.adapters.store.errors import StoreConflictError
from podium.coordinator.adapters.store.records import (
    SEVERITIES,
    InboxRow,
    MomentRow,
    RequestRow,
    TurnOutcome,
)
from podium.wire.envelope import EventRow
from podium.wire.events import Outcome

_EVENT: Final = "INSERT INTO main.event (seq, type, content, instance_id, turn_id, ts) VALUES (?, ?, ?, ?, ?, ?)"
_DELTA: Final = "INSERT INTO main.delta (version, turn_id, ts, ops) VALUES (?, ?, ?, ?)"
_GIVEN: Final = (
    "INSERT INTO main.snapshot (version, schema, kind, codec, size, data) VALUES (?, ?, 'given', 'json', ?, ?)"
)
_MARK: Final = "UPDATE mark SET state_version = ?, state_schema = ?"
_LOG: Final = "INSERT INTO log (ts, severity, source, module, turn_id, message, fields) VALUES (?, ?, ?, ?, ?, ?, ?)"
_ACCEPT: Final = (
    "INSERT INTO main.inbox (accepted_seq, message_id, turn_id, command_id, state, attempt, on_busy, content, origin, "
    "accepted_at) VALUES (?, ?, ?, ?, 'queued', 0, ?, ?, ?, ?)"
)
_START: Final = (
    "UPDATE main.inbox SET state = 'running', attempt = ?, started_at = ? "
    "WHERE message_id = ? AND state IN ('queued', 'running') AND attempt < ?"
)
_FINISH: Final = (
    "UPDATE main.inbox SET state = ?, stop_reason = ?, finished_at = ? "
    "WHERE message_id = ? AND state IN ('queued', 'running')"
)
_COMMAND: Final = "INSERT OR REPLACE INTO main.command (command_id, answer, ts) VALUES (?, ?, ?)"
_OPEN: Final = (
    "INSERT INTO main.request (request_id, kind, turn_id, seq, content, created_at, expires_at, status) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'open')"
)
_RESOLVE: Final = (
    "UPDATE main.request SET status = 'resolved', outcome = ?, option_id = ?, answers = ?, resolved_by = ?, "
    "resolved_at = ?, resolved_seq = ? WHERE request_id = ? AND status = 'open'"
)
_CHECKPOINT: Final = (
    "INSERT INTO main.checkpoint (position, turn_id, seq, state_version, iteration, ts) VALUES (?, ?, ?, ?, ?, ?)"
)
_MOMENT: Final = (
    "INSERT INTO main.moment (seq, kind, to_seq, state_version, iteration, before_version, before_iteration, pending, ts) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ARRIVED: Final = "UPDATE main.moment SET pending = 0 WHERE seq = ? AND pending = 1"


class Heads(NamedTuple):
    """The newest numbers of an agent: last event, version of the state and the schema it was written with."""

    seq: int
    version: int
    schema: int | None


class Batch:
    """Collects changes; leaving its `with` block commits them all, leaving it by an exception none.

    Reads of the store see nothing of a batch before it is committed. Conflicts of rows (an unknown message, a request
    resolved twice) come out at the commit, as `StoreConflictError`.
    """

    __slots__ = (
        "_clock",
        "_commit",
        "_discard",
        "_schema",
        "_seq",
        "_version",
        "events",
        "given_bytes",
        "given_version",
        "logs",
        "messages",
        "state",
        "state_bytes",
        "turned",
    )

    def __init__(
        self,
        heads: Heads,
        clock: Clock,
        commit: Callable[["Batch"], None],
        discard: Callable[[], None],
    ) -> None:
        self._seq = heads.seq
        self._version = heads.version
        self._schema = heads.schema
        self.events: list[EventRow] = []
        self.state: list[Change] = []
        self.messages: list[Change] = []
        self.logs: list[tuple[Any, ...]] = []
        self.state_bytes = 0
        self.given_version = 0
        self.given_bytes = 0
        self.turned = False
        self._clock = clock
        self._commit = commit
        self._discard = discard

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._commit(self)
        else:
            self._discard()

    @property
    def heads(self) -> Heads:
        """Where the agent stands once this batch is committed."""
        return Heads(self._seq, self._version, self._schema)

    def event(self, type: str, content: bytes, *, instance_id: str, turn_id: str = "") -> EventRow:
        """Numbers an event; `content` is a JSON object or empty."""
        self._seq += 1
        row = EventRow(self._seq, type, content, instance_id, turn_id, self._clock.now_ms())
        self.events.append(row)
        return row

    def delta(self, version: int, ops: bytes, turn_id: str) -> None:
        """A change of the state: `ops` is JSON Patch.

        Raises:
            StoreConflictError: `version` is not one more than the newest.
        """
        self._advance(version, self._schema)
        self.state.append(Change(_DELTA, ((version, turn_id, self._clock.now_ms(), ops),)))
        self.state_bytes += len(ops)

    def replace_state(self, version: int, schema: int, data: bytes, turn_id: str) -> None:
        """The whole state anew: the first of an agent, or the result of a migration. `data` is a JSON object.

        Raises:
            StoreConflictError: `version` is not one more than the newest.
        """
        self._advance(version, schema)
        self.state.append(Change(_DELTA, ((version, turn_id, self._clock.now_ms(), None),)))
        self.state.append(Change(_GIVEN, ((version, schema, len(data), data),)))
        self.state_bytes = 0
        self.given_version = version
        self.given_bytes = len(data)

    def log(
        self,
        level: str,
        message: str,
        module: str,
        source: str,
        ts: int,
        *,
        turn_id: str = "",
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """A log record; an unknown `level` counts as `info`."""
        encoded = msgspec.json.encode(fields) if fields else None
        self.logs.append(
            (
                ts,
                SEVERITIES.get(level, SEVERITIES["info"]),
                source,
                module,
                turn_id,
                message,
                encoded,
            )
        )

    def accept(self, row: InboxRow) -> None:
        """A message waits. Its `message.user` event, number `accepted_seq`, belongs into the same batch."""
        values = (
            row.accepted_seq, row.message_id, row.turn_id, row.command_id, row.on_busy, row.content, row.origin,
            self._clock.now_ms(),
        )  # fmt: skip
        self.messages.append(Change(_ACCEPT, (values,)))

    def start_turn(self, message_id: str, attempt: int) -> None:
        """The turn of an open message runs, for the `attempt`-th time (more often than before)."""
        values = (attempt, self._clock.now_ms(), message_id, attempt)
        self.messages.append(
            Change(
                _START,
                (values,),
                f"{message_id} can't start attempt {attempt}: unknown, over, or started as often",
            )
        )

    def finish_turn(self, message_id: str, outcome: TurnOutcome, stop_reason: str) -> None:
        """An open message is over."""
        values = (outcome, stop_reason, self._clock.now_ms(), message_id)
        self.messages.append(
            Change(
                _FINISH,
                (values,),
                f"{message_id} can't finish: unknown, or over already",
            )
        )

    def remember_command(self, command_id: str, answer: bytes) -> None:
        """Keeps the answer (JSON) to a command for `podium.wire.limits.COMMAND_MEMORY_MS`."""
        self.messages.append(Change(_COMMAND, ((command_id, answer, self._clock.now_ms()),)))

    def open_request(self, row: RequestRow) -> None:
        """A question or permission waits for its answer; what `row` says of an outcome is not used."""
        values = (
            row.request_id,
            row.kind,
            row.turn_id,
            row.seq,
            row.content,
            row.created_at,
            row.expires_at,
        )
        self.messages.append(Change(_OPEN, (values,)))

    def resolve_request(
        self,
        request_id: str,
        outcome: Outcome,
        option_id: str | None,
        answers: Mapping[str, Any] | None,
        by: str,
        seq: int,
    ) -> None:
        """An open request has its outcome, told by event `seq`."""
        encoded = None if answers is None else msgspec.json.encode(answers)
        values = (
            outcome,
            option_id,
            encoded,
            by,
            self._clock.now_ms(),
            seq,
            request_id,
        )
        self.messages.append(
            Change(
                _RESOLVE,
                (values,),
                f"{request_id} can't be resolved: unknown, or resolved already",
            )
        )

    def checkpoint(self, turn_id: str, seq: int, state_version: int, iteration: int) -> None:
        """The turn ended here."""
        values = (seq, turn_id, seq, state_version, iteration, self._clock.now_ms())
        self.messages.append(Change(_CHECKPOINT, (values,)))

    def turn_back(self, row: MomentRow) -> None:
        """The agent goes on from another moment. Its event, number `row.seq`, belongs into the same batch."""
        values = (
            row.seq, row.kind, row.to_seq, row.state_version, row.iteration, row.before_version, row.before_iteration,
            int(row.pending), self._clock.now_ms(),
        )  # fmt: skip
        self.messages.append(Change(_MOMENT, (values,)))
        self.turned = True

    def files_arrived(self, seq: int) -> None:
        """All files of the rewind at event `seq` are back."""
        self.messages.append(Change(_ARRIVED, ((seq,),), f"the rewind at event {seq} is unknown or complete"))

    def message_changes(self) -> list[Change]:
        """What goes into messages.db, with the mark when the state changed."""
        changes = []
        if self.events:
            changes.append(Change(_EVENT, [msgspec.structs.astuple(row) for row in self.events]))
        changes += self.messages
        if self.state:
            changes.append(
                Change(
                    _MARK,
                    ((self._version, self._schema),),
                    "the mark is missing",
                )
            )
        return changes

    def log_changes(self) -> list[Change]:
        """What goes into agent.db."""
        return [Change(_LOG, self.logs)] if self.logs else []

    def _advance(self, version: int, schema: int | None) -> None:
        if version != self._version + 1:
            raise StoreConflictError("state", f"version {version} does not follow {self._version}")
        self._version, self._schema = version, schema
