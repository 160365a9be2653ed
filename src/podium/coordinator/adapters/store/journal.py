"""Reads of messages.db: events, conversation, inbox, commands, requests, checkpoints."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from podium.coordinator.adapters.store.database import Database
from podium.coordinator.adapters.store.moments import Moments
from podium.coordinator.adapters.store.records import (
    CheckpointRow,
    InboxRow,
    RequestRow,
)
from podium.wire.envelope import EventRow
from podium.wire.limits import COMMAND_MEMORY_MS
from podium.wire.rest import ConversationMessage, TurnUsage

_EVENTS: Final = "SELECT seq, type, content, instance_id, turn_id, ts FROM event WHERE "
_INBOX: Final = (
    "SELECT message_id, turn_id, content, origin, accepted_seq, command_id, on_busy, state, attempt, "
    "accepted_at, started_at, finished_at, stop_reason FROM inbox WHERE "
)
_REQUESTS: Final = (
    "SELECT request_id, kind, turn_id, seq, content, created_at, expires_at, status, outcome, option_id, answers, "
    "resolved_by, resolved_at, resolved_seq FROM request WHERE "
)
_CHECKPOINTS: Final = "SELECT position, turn_id, seq, state_version, iteration, ts FROM checkpoint WHERE "
_SPOKEN: Final = "type IN ('message.user', 'stream_end')"  # word for word that of the index `event_of_conversation`
_STARTED: Final = (
    "SELECT content, seq FROM event WHERE turn_id = ? AND turn_id <> '' AND type = 'stream_start' AND seq < ? "
    "ORDER BY seq DESC LIMIT 1"
)


class Journal:
    """The rows of messages.db as values. Every method raises `StoreError` when the file can't be read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shown: list[tuple[int, int | None]] = []
        self.moments = Moments(database)
        self.reload()

    def reload(self) -> None:
        """The agent was taken back: another part of the journal is its conversation."""
        self._shown = self.moments.shown()

    def events(self, after: int, limit: int, upto: int | None = None) -> list[EventRow]:
        """At most `limit` events with a number above `after` and not above `upto`, in order."""
        where = "seq > ?" if upto is None else "seq > ? AND seq <= ?"
        bounds = (after,) if upto is None else (after, upto)
        return self._events(f"{where} ORDER BY seq LIMIT ?", (*bounds, limit))

    def turn_events(self, turn_id: str) -> list[EventRow]:
        """All events of a turn, in order, those of earlier attempts included."""
        return self._events("turn_id = ? AND turn_id <> '' ORDER BY seq", (turn_id,))

    def usage_of(self, turn_id: str) -> TurnUsage:
        """Sum of the turn's `usage.update` events."""
        rows = self._events("turn_id = ? AND turn_id <> '' AND type = 'usage.update'", (turn_id,))
        parts = [_USAGE.decode(row.content) for row in rows]
        return TurnUsage(
            input_tokens=sum(part.input_tokens for part in parts),
            output_tokens=sum(part.output_tokens for part in parts),
            cached_tokens=sum(part.cached_tokens for part in parts),
            cost_micro_dollars=sum(part.cost_micro_dollars for part in parts),
        )

    def spent(self) -> int:
        """Micro-dollars of all `usage.update` events of the agent's own, whether or not it was taken back since."""
        origin = self.moments.origin()
        rows = self._events("type = 'usage.update' AND seq > ?", (origin.seq if origin is not None else 0,))
        return sum(_USAGE.decode(row.content).cost_micro_dollars for row in rows)

    def conversation(self, limit: int, *, after: int = 0, before: int | None = None) -> list[ConversationMessage]:
        """Messages and answers, oldest first: the first `limit` above seq `after`, or, with `before`, the last below it."""
        rows: list[EventRow] = []
        for low, high in self._shown if before is None else reversed(self._shown):
            if len(rows) < limit and (high is None or high > after) and (before is None or low + 1 < before):
                rows += self._spoken_within(
                    max(low, after), _least(high, before), limit - len(rows), before is not None
                )
        return [self._spoken(row) for row in (rows if before is None else rows[::-1])]

    def _spoken_within(self, after: int, upto: int, limit: int, newest_first: bool) -> list[EventRow]:
        order = "DESC" if newest_first else "ASC"
        return self._events(f"{_SPOKEN} AND seq > ? AND seq <= ? ORDER BY seq {order} LIMIT ?", (after, upto, limit))

    def inbox_open(self) -> list[InboxRow]:
        """Messages queued or running, in the order they were accepted."""
        return self._inbox("state IN ('queued', 'running') ORDER BY accepted_seq", ())

    def inbox(self, message_id: str) -> InboxRow | None:
        """A message by its id."""
        return next(iter(self._inbox("message_id = ?", (message_id,))), None)

    def turn(self, turn_id: str) -> InboxRow | None:
        """The message a turn works on."""
        return next(iter(self._inbox("turn_id = ?", (turn_id,))), None)

    def command(self, command_id: str, now_ms: int) -> bytes | None:
        """The answer a command got within the last 24 hours."""
        oldest = now_ms - COMMAND_MEMORY_MS
        found = self._database.row(
            "SELECT answer FROM command WHERE command_id = ? AND ts > ?",
            (command_id, oldest),
        )
        return None if found is None else found[0]

    def requests(self, status: str | None, limit: int, after: int = 0) -> list[RequestRow]:
        """At most `limit` requests asked after event `after`, in order; all when `status` is None."""
        if status is None:
            return self._requests("seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return self._requests("status = ? AND seq > ? ORDER BY seq LIMIT ?", (status, after, limit))

    def open_requests(self) -> list[RequestRow]:
        """Every request that waits, in order."""
        return self._requests("status = 'open' ORDER BY seq", ())

    def request(self, request_id: str) -> RequestRow | None:
        """A request by its id."""
        return next(iter(self._requests("request_id = ?", (request_id,))), None)

    def checkpoints(self, limit: int, after: int = 0) -> list[CheckpointRow]:
        """At most `limit` checkpoints past position `after`, in the order turns ended."""
        return self._checkpoints("position > ? ORDER BY position LIMIT ?", (after, limit))

    def checkpoint(self, turn_id: str) -> CheckpointRow | None:
        """Where a turn ended."""
        return next(iter(self._checkpoints("turn_id = ?", (turn_id,))), None)

    def _events(self, rest: str, values: Sequence[Any]) -> list[EventRow]:
        return [EventRow(*row) for row in self._database.rows(_EVENTS + rest, values)]

    def _inbox(self, rest: str, values: Sequence[Any]) -> list[InboxRow]:
        return [InboxRow(*row) for row in self._database.rows(_INBOX + rest, values)]

    def _requests(self, rest: str, values: Sequence[Any]) -> list[RequestRow]:
        rows = self._database.rows(_REQUESTS + rest, values)
        return [_request(row) for row in rows]

    def _checkpoints(self, rest: str, values: Sequence[Any]) -> list[CheckpointRow]:
        rows = self._database.rows(_CHECKPOINTS + rest, values)
        return [CheckpointRow(*row) for row in rows]

    def _spoken(self, row: EventRow) -> ConversationMessage:
        content = msgspec.json.decode(row.content, type=dict[str, Any]) if row.content else {}
        text = content.pop("text", "")
        if row.type == "stream_end":
            stop_reason = content.get("stop_reason")
            return ConversationMessage(
                self._answered(row),
                "agent",
                text,
                row.turn_id,
                row.seq,
                row.ts,
                stop_reason=stop_reason,
            )
        message_id = content.pop("message_id", "")
        return ConversationMessage(
            message_id,
            "user",
            text,
            row.turn_id,
            row.seq,
            row.ts,
            content=content or None,
        )

    def _answered(self, row: EventRow) -> str:
        """The message id the answer's `stream_start` carried."""
        found = self._database.row(_STARTED, (row.turn_id, row.seq))
        content = msgspec.json.decode(found[0], type=dict[str, Any]) if found and found[0] else {}
        return str(content.get("message_id", ""))


def _least(high: int | None, before: int | None) -> int:
    """The last event of a range that has an end, must lie before an event, or neither."""
    bounds = [_LAST, *([high] if high is not None else []), *([before - 1] if before is not None else [])]
    return min(bounds)


def _request(row: tuple[Any, ...]) -> RequestRow:
    values: list[Any] = [*row]
    if values[10] is not None:
        values[10] = msgspec.json.decode(values[10], type=dict[str, Any])
    return RequestRow(*values)


_LAST: Final = 2**63 - 1
_USAGE: Final = msgspec.json.Decoder(TurnUsage)
