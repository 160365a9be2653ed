"""What a restored agent lost with its host, told in its databases: numbers that may have been shown are never given again.

The replicas of the databases end at different moments, each a little before the host was lost.
"""

from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from podium.base.clock import Clock
from podium.coordinator.adapters.store.agent_store import AgentStore
from podium.coordinator.adapters.store.database import KINDS, MESSAGES, STATE, Change, open_file, read_only
from podium.coordinator.adapters.store.errors import StoreDamagedError
from podium.coordinator.adapters.store.records import StoreOptions, no_fault
from podium.coordinator.adapters.store.states import read_schema

LOST_EVENT: Final = "event.lost"

_EMPTY_DELTA: Final = "INSERT INTO main.delta (version, turn_id, ts, ops) VALUES (?, '', ?, CAST('[]' AS BLOB))"
_SCHEMA: Final = "UPDATE mark SET state_schema = ?"
_PAGES_CHECK: Final = "PRAGMA quick_check(1)"
_CAP: Final = "UPDATE main.checkpoint SET iteration = ? WHERE iteration > ?"


class Filled(NamedTuple):
    """What was lost: events `head + 1` to `upto`, and so many changes of the state."""

    head: int
    upto: int
    versions: int


def fill_lost(agent_directory: Path, agent_id: str, clock: Clock, instance_id: str, upto: int) -> Filled:
    """Fills a restored journal up to event `upto` with `event.lost`, and the versions of the state that the journal knows of and
    the state does not have with changes that change nothing. Nobody else has the databases open.

    Raises:
        StoreError: they can't be opened or written; it can be done again.
    """
    versions = _fill_versions(agent_directory, clock.now_ms())
    with closing(AgentStore.open(agent_directory, agent_id, clock, StoreOptions())) as store:
        head = store.head_seq
        if upto > head:
            with store.batch() as batch:
                for _ in range(upto - head):
                    batch.event(LOST_EVENT, b"", instance_id=instance_id)
        return Filled(head, max(head, upto), versions)


def refuse_damaged(agent_directory: Path) -> None:
    """Looks at every page of restored databases: one that is damaged is better restored again than gone on with.

    Raises:
        StoreDamagedError: so it is.
        StoreError: one can't be read.
    """
    for kind in KINDS:
        if not (agent_directory / kind.path).exists():
            continue
        with closing(read_only(kind, agent_directory)) as database:
            found = [text for (text,) in database.rows(_PAGES_CHECK) if text != "ok"]
        if found:
            raise StoreDamagedError(kind.name, found[0])


def cap_iterations(agent_directory: Path, iteration: int) -> None:
    """The history of files ends at `iteration`: what a checkpoint names beyond it is gone, and its number will be given again.

    Raises:
        StoreError: it can't be written.
    """
    with closing(open_file(MESSAGES, agent_directory)) as messages:
        messages.write([Change(_CAP, ((iteration, iteration),))], no_fault)


def _fill_versions(agent_directory: Path, now_ms: int) -> int:
    if not (agent_directory / STATE.path).exists() or not (agent_directory / MESSAGES.path).exists():
        return 0
    with (
        closing(open_file(STATE, agent_directory)) as state,
        closing(open_file(MESSAGES, agent_directory)) as messages,
    ):
        mark = messages.row("SELECT state_version FROM mark")
        newest: int = state.value("SELECT coalesce(max(version), ?) FROM main.delta", (state.cut,))
        if mark is None or not 0 < newest < mark[0]:
            return (
                0  # without any state there is nothing that could stay as it was: opening the store takes the mark back
            )
        missing = [(version, now_ms) for version in range(newest + 1, mark[0] + 1)]
        state.write([Change(_EMPTY_DELTA, missing)], no_fault)
        messages.write([Change(_SCHEMA, ((read_schema(state, newest),),))], no_fault)
        return len(missing)
