"""What the tests of the store say to it: whole turns in one call."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, InboxRow, RequestRow, StoreOptions

AGENT = "agt-1"
INSTANCE = "inst-1"
ORIGIN = b'{"tenant_id":"t"}'

FILES = {"state": "db/state.db", "messages": "messages/messages.db", "logs": "logs/agent.db"}

Opened = Callable[..., AgentStore]
"""Opens the store of the test's directory; what it opened is validated and closed at the end."""


def encode(value: Any) -> bytes:
    """JSON."""
    return msgspec.json.encode(value)


def set_count(value: int) -> bytes:
    """The patch that sets `/count`."""
    return encode([{"op": "replace", "path": "/count", "value": value}])


def accept(store: AgentStore, message_id: str, *, text: str = "hello", command_id: str | None = None) -> InboxRow:
    """A message with its event, as the coordinator stores it."""
    turn_id = f"turn-{message_id}"
    with store.batch() as batch:
        content = encode({"message_id": message_id, "text": text})
        event = batch.event("message.user", content, instance_id=INSTANCE, turn_id=turn_id)
        row = InboxRow(message_id, turn_id, encode({"text": text}), ORIGIN, event.seq, command_id)
        batch.accept(row)
    return row


def start(store: AgentStore, message_id: str, attempt: int = 1) -> None:
    """The turn of a message begins to speak."""
    with store.batch() as batch:
        batch.start_turn(message_id, attempt)
        content = encode({"message_id": message_id, "attempt": attempt})
        batch.event("stream_start", content, instance_id=INSTANCE, turn_id=f"turn-{message_id}")


def finish(store: AgentStore, message_id: str, *, text: str = "done", ops: bytes | None = None) -> None:
    """The turn answers, changes the state and ends in a checkpoint."""
    turn_id = f"turn-{message_id}"
    with store.batch() as batch:
        content = encode({"text": text, "stop_reason": "end_turn"})
        batch.event("stream_end", content, instance_id=INSTANCE, turn_id=turn_id)
        if ops is not None:
            batch.delta(store.state_version + 1, ops, turn_id)
        batch.finish_turn(message_id, "done", "end_turn")
        event = batch.event("checkpoint", b"{}", instance_id=INSTANCE, turn_id=turn_id)
        batch.checkpoint(turn_id, event.seq, batch.heads.version, 0)


def whole_turn(store: AgentStore, message_id: str, *, ops: bytes | None = None) -> None:
    """A message accepted, worked on and answered."""
    accept(store, message_id)
    start(store, message_id)
    finish(store, message_id, ops=ops)


def give_state(store: AgentStore, value: Any, schema: int = 1) -> None:
    """The whole state anew."""
    with store.batch() as batch:
        batch.replace_state(store.state_version + 1, schema, encode(value), "")


def change_state(store: AgentStore, ops: bytes, turn_id: str = "") -> None:
    """One delta in a batch of its own."""
    with store.batch() as batch:
        batch.delta(store.state_version + 1, ops, turn_id)


def ask(store: AgentStore, request_id: str, turn_id: str, expires_at: int | None = None) -> RequestRow:
    """A permission with its event."""
    with store.batch() as batch:
        content = encode({"request_id": request_id, "tool_name": "rm", "options": []})
        event = batch.event("tool.permission_requested", content, instance_id=INSTANCE, turn_id=turn_id)
        row = RequestRow(request_id, "permission", turn_id, event.seq, content, event.ts, expires_at)
        batch.open_request(row)
    return row


def resolve(store: AgentStore, request_id: str, option_id: str) -> int:
    """The answer to a permission with its event; the event's number."""
    with store.batch() as batch:
        content = encode({"request_id": request_id, "outcome": "selected", "by": "client"})
        event = batch.event("tool.approval_resolved", content, instance_id=INSTANCE)
        batch.resolve_request(request_id, "selected", option_id, None, "client", event.seq)
    return event.seq


def counting(directory: Path, clock: ManualClock, options: StoreOptions | None = None) -> AgentStore:
    """A store whose agent counts: state {"count": 0} at version 1."""
    store = AgentStore.open(directory, AGENT, clock, options)
    give_state(store, {"count": 0})
    return store


def tamper(directory: Path, name: str, sql: str, values: Sequence[Any] = ()) -> None:
    """Changes a closed database behind the store's back."""
    with closing(sqlite3.connect(directory / FILES[name], isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(sql, values).rowcount > 0
