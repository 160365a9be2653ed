"""What opening a store sets right: batches that a crash cut between the two commits, and a first opening."""

import logging
from pathlib import Path
from typing import Final

from podium.coordinator.adapters.store.batch import Heads
from podium.coordinator.adapters.store.database import MESSAGES, STATE, Change, Database
from podium.coordinator.adapters.store.errors import StoreDamagedError
from podium.coordinator.adapters.store.records import no_fault
from podium.coordinator.adapters.store.states import read_schema

log = logging.getLogger(__name__)

_FIRST_MARK: Final = (
    "INSERT INTO mark (only, agent_id, first_seq, state_version, state_schema) VALUES (1, ?, 1, 0, NULL)"
)
_SET_MARK: Final = "UPDATE mark SET state_version = ?, state_schema = ?"


def refuse_orphaned_messages(agent_directory: Path) -> None:
    """A crash never leaves messages.db alone, for state.db is made first: somebody removed state.db. Making a new one
    would silently begin the agent's state anew.

    Raises:
        StoreDamagedError: so it is.
    """
    if (agent_directory / MESSAGES.path).exists() and not (agent_directory / STATE.path).exists():
        raise StoreDamagedError(STATE.name, f"{STATE.path} is missing beside {MESSAGES.path}")


def refuse_orphaned_state(state: Database, agent_directory: Path) -> None:
    """A crash leaves state.db alone only while it is empty: else somebody removed messages.db. Making a new one would
    take every change of the state for one that was never committed.

    Raises:
        StoreDamagedError: so it is.
    """
    if not (agent_directory / MESSAGES.path).exists() and state.value("SELECT EXISTS (SELECT 1 FROM delta)"):
        raise StoreDamagedError(MESSAGES.name, f"{MESSAGES.path} is missing beside {STATE.path}")


def recover(state: Database, messages: Database, agent_id: str) -> Heads:
    """Makes both databases agree and tells where the agent stands.

    state.db ahead of the mark: a batch was cut between its two commits and never acknowledged; its changes go.
    state.db behind the mark: only a host that lost power does that; the state goes back to what is left, with a warning.

    Raises:
        StoreDamagedError: the databases are another agent's.
        StoreError: a file can't be read or written.
    """
    found = messages.row("SELECT agent_id, state_version, state_schema FROM mark")
    if found is None:
        messages.write([Change(_FIRST_MARK, ((agent_id,),))], no_fault)
        found = (agent_id, 0, None)
    owner, version, schema = found
    if owner != agent_id:
        raise StoreDamagedError("messages", f"belongs to agent {owner}, not {agent_id}")
    newest: int = state.value("SELECT coalesce(max(version), ?) FROM main.delta", (state.cut,))
    if newest > version:
        forget_above(state, version)
    elif newest < version:
        log.warning(
            "state_behind_journal",
            extra={"agent_id": agent_id, "marked": version, "found": newest},
        )
        version, schema = newest, read_schema(state, newest)
        messages.write([Change(_SET_MARK, ((version, schema),))], no_fault)
    seq: int = messages.value("SELECT coalesce(max(seq), ?) FROM main.event", (messages.cut,))
    return Heads(seq, version, schema)


def forget_above(state: Database, version: int) -> None:
    """Deletes what state.db holds above `version`.

    Raises:
        StoreError: it can't be written.
    """
    state.write(
        [
            Change("DELETE FROM main.delta WHERE version > ?", ((version,),)),
            Change("DELETE FROM main.snapshot WHERE version > ?", ((version,),)),
        ],
        no_fault,
    )
