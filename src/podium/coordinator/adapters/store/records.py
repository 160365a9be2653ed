"""Rows of an agent's databases as values. Times are epoch milliseconds; `bytes` are JSON in UTF-8."""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from podium.wire.commands import OnBusy
from podium.wire.events import Outcome
from podium.wire.limits import SNAPSHOT_EVERY_BYTES, SNAPSHOT_EVERY_DELTAS

InboxState = Literal["queued", "running", "done", "cancelled", "failed"]
"""Where a message is: waiting, being worked on, or over with one of three outcomes."""

TurnOutcome = Literal["done", "cancelled", "failed"]
"""How a turn ended."""

LOG_MAX_BYTES: Final = 50 * 1024 * 1024
"""What an agent's log may take on disk by default; beyond it the oldest records go."""

WAL_MAX_BYTES: Final = 4 * 1024 * 1024
"""A write-ahead log beyond this makes a store ask for maintenance."""

SEVERITIES: Final = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "error": 40,
    "critical": 50,
}
"""Log level → number in the table."""


def no_fault(point: str) -> None:
    """The fault hook of production: does nothing at any point."""


class StoreOptions(NamedTuple):
    """How a store behaves. Sizes are bytes. `fault` is called with the name of each write just before
    (`state.commit`, `messages.commit`, `logs.commit`, `snapshot.commit`) and just after (`state.committed`, …) its
    commit; tests raise or kill there. `checkpoints`: the store moves write-ahead logs into their files; whoever replicates them does it
    instead: what others move before it was read is missing in the replica."""

    log_max_bytes: int = LOG_MAX_BYTES
    wal_max_bytes: int = WAL_MAX_BYTES
    snapshot_every_deltas: int = SNAPSHOT_EVERY_DELTAS
    snapshot_every_bytes: int = SNAPSHOT_EVERY_BYTES
    fault: Callable[[str], None] = no_fault
    checkpoints: bool = True


class InboxRow(msgspec.Struct, frozen=True):
    """A message that was accepted. `accepted_seq` is its `message.user` event; `attempt` counts starts of its turn.

    The last five are kept by the store: what a caller gives for them in `Batch.accept` is not used.
    """

    message_id: str
    turn_id: str
    content: bytes
    origin: bytes
    accepted_seq: int
    command_id: str | None = None
    on_busy: OnBusy = "queue"
    state: InboxState = "queued"
    attempt: int = 0
    accepted_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    stop_reason: str | None = None


class RequestRow(msgspec.Struct, frozen=True):
    """A question or permission. `seq` is the event that asked, `resolved_seq` the one that told the outcome."""

    request_id: str
    kind: Literal["question", "permission"]
    turn_id: str
    seq: int
    content: bytes
    created_at: int
    expires_at: int | None = None
    status: Literal["open", "resolved"] = "open"
    outcome: Outcome | None = None
    option_id: str | None = None
    answers: dict[str, Any] | None = None
    by: str | None = None
    resolved_at: int | None = None
    resolved_seq: int | None = None


class CheckpointRow(msgspec.Struct, frozen=True):
    """Where a turn ended: event `seq`, state version, workspace iteration. `position` orders them."""

    position: int
    turn_id: str
    seq: int
    state_version: int
    iteration: int
    ts: int


class MomentRow(msgspec.Struct, frozen=True):
    """Event `seq` took the agent back (`rewind`) to event `to_seq`, or began it (`fork`). `state_version` and `iteration`
    are what holds from here on, `before_…` what held just before. `pending`: its files are not all back yet."""

    seq: int
    kind: Literal["rewind", "fork"]
    to_seq: int
    state_version: int
    iteration: int
    before_version: int
    before_iteration: int
    pending: bool = False
    ts: int = 0


class StateRow(NamedTuple):
    """The state at a version. `schema` is None before any state was written; `data` is a JSON object."""

    version: int
    schema: int | None
    data: bytes
