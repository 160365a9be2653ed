"""The three databases of an agent: state.db, messages.db, agent.db. The file format is told in docs/internals/databases.md."""

from podium.coordinator.adapters.store.agent_store import AgentStore
from podium.coordinator.adapters.store.batch import Batch
from podium.coordinator.adapters.store.errors import (
    StoreBusyError,
    StoreClosedError,
    StoreConflictError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreTooNewError,
    StoreUnavailableError,
)
from podium.coordinator.adapters.store.moments import Moment
from podium.coordinator.adapters.store.records import (
    CheckpointRow,
    InboxRow,
    InboxState,
    MomentRow,
    RequestRow,
    StateRow,
    StoreOptions,
    TurnOutcome,
)
from podium.coordinator.adapters.store.validation import validate_directory

__all__ = [
    "AgentStore",
    "Batch",
    "CheckpointRow",
    "InboxRow",
    "InboxState",
    "Moment",
    "MomentRow",
    "RequestRow",
    "StateRow",
    "StoreBusyError",
    "StoreClosedError",
    "StoreConflictError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreOptions",
    "StoreTooNewError",
    "StoreUnavailableError",
    "TurnOutcome",
    "validate_directory",
]
