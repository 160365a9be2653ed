"""What a restored agent lost with its host, told in its databases: numbers that may have been shown are never given again.

The replicas of the databases end at different moments, each a little before the host was lost.
"""

from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from podium.base.clock import Clock
from podium.coordinator.adapters.store.agent_store import AgentStore
from podium.coordinator.adapters.store.database import KINDS, MESSAGES, STATE, Change, Database, open_file, read_only
from podium.coordinator.adapters.store.errors import StoreDamagedError
from podium.coordinator.adapters.store.moments import Moments
from podium.coordinator.adapters.store.records import StoreOptions, no_fault
from podium.coordinator.adapters.store.states import read_schema, read_state
from podium.coordinator.adapters.store.unended import LOST_EVENT, End, reopen_turns
from podium.wire.events import AgentRewound

_EMPTY_DELTA: Final = "INSERT INTO main.delta (version, turn_id, ts, ops) VALUES (?, '', ?, CAST('[]' AS BLOB))"
_WHOLE_DELTA: Final = "INSERT INTO main.delta (version, turn_id, ts, ops) VALUES (?, '', ?, NULL)"
_WHOLE_STATE: Final = (
    "INSERT INTO main.snapshot (version, schema, kind, codec, size, data) VALUES (?, ?, 'given', 'json', ?, ?)"
)
_SCHEMA: Final = "UPDATE mark SET state_schema = ?"
_PAGES_CHECK: Final = "PRAGMA quick_check(1)"
_REWINDS: Final = (
    "SELECT state_version, content FROM main.moment JOIN main.event USING (seq) "
    "WHERE kind = 'rewind' AND state_version > max(before_version, ?)"
)
_NO_STATE: Final = (
    "DELETE FROM main.checkpoint WHERE state_version > 0",
    "UPDATE main.moment SET state_version = 0, before_version = 0",
)
_FILES_OF_REWIND: Final = (
    "UPDATE main.moment SET pending = 1 WHERE before_iteration >= ?1 AND iteration < ?1 "
    "AND seq = (SELECT max(seq) FROM moment WHERE kind = 'rewind')"
)
_CAPS: Final = (
    "UPDATE main.checkpoint SET iteration = ?1 WHERE iteration > ?1",
    "UPDATE main.moment SET iteration = ?1 WHERE iteration > ?1",
    "UPDATE main.moment SET before_iteration = ?1 WHERE before_iteration > ?1",
)


class Filled(NamedTuple):
    """What was lost: events `head + 1` to `upto`, so many changes of the state, and the ends of so many turns."""

    head: int
    upto: int
    versions: int
    turns: int


def fill_lost(agent_directory: Path, agent_id: str, clock: Clock, instance_id: str, upto: int) -> Filled:
    """Fills a restored journal up to event `upto` with `event.lost`, and the versions of the state that the journal knows of and
    the state does not have with changes that change nothing. Turns that ended in such a version have not ended. Nobody else has the
    databases open.

    Raises:
        StoreError: they can't be opened or written; restore them again.
    """
    versions, turns = _end_state(agent_directory, clock.now_ms())
    with closing(AgentStore.open(agent_directory, agent_id, clock, StoreOptions())) as store:
        head = store.head_seq
        if upto > head:
            with store.batch() as batch:
                for _ in range(upto - head):
                    batch.event(LOST_EVENT, b"", instance_id=instance_id)
        return Filled(head, max(head, upto), versions, turns)


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


def end_history(agent_directory: Path, iteration: int) -> list[str]:
    """The history of files ends at `iteration`: turns that ended beyond it have not ended (their ids are returned), files that a rewind
    had taken back are taken back again, and no number beyond is named any more, for it will be given again.

    Raises:
        StoreError: it can't be written; restore the databases again.
    """
    with closing(open_file(MESSAGES, agent_directory)) as messages:
        turns = reopen_turns(messages, End(iteration=iteration))
        messages.write([Change(sql, ((iteration,),)) for sql in (_FILES_OF_REWIND, *_CAPS)], no_fault)
    return turns


def _end_state(agent_directory: Path, now_ms: int) -> tuple[int, int]:
    """How many versions of the state are missing, and how many turns ended in them."""
    if not (agent_directory / STATE.path).exists() or not (agent_directory / MESSAGES.path).exists():
        return 0, 0
    with (
        closing(open_file(STATE, agent_directory)) as state,
        closing(open_file(MESSAGES, agent_directory)) as messages,
    ):
        mark = messages.row("SELECT state_version FROM mark")
        newest: int = state.value("SELECT coalesce(max(version), ?) FROM main.delta", (state.cut,))
        if mark is None or newest >= mark[0]:
            return 0, 0
        if newest:
            _fill_versions(state, messages, range(newest + 1, mark[0] + 1), now_ms)
        turns = reopen_turns(messages, End(version=newest))
        if not newest:  # there is no state that could stay as it was: opening the store takes the mark back
            messages.write([Change(sql, ((),)) for sql in _NO_STATE], no_fault)
        return mark[0] - newest, len(turns)


def _fill_versions(state: Database, messages: Database, missing: range, now_ms: int) -> None:
    """Of the versions that are missing, those that a rewind made can be made again; the others change nothing."""
    rewinds = _rewinds(messages, missing.start - 1)
    for version in missing:
        if version not in rewinds:
            state.write([Change(_EMPTY_DELTA, ((version, now_ms),))], no_fault)
            continue
        old = read_state(state, rewinds[version])
        schema = old.schema if old.schema is not None else 1  # as of a rewind to before any state
        whole = Change(_WHOLE_STATE, ((version, schema, len(old.data), old.data),))
        state.write([Change(_WHOLE_DELTA, ((version, now_ms),)), whole], no_fault)
    messages.write([Change(_SCHEMA, ((read_schema(state, missing[-1]),),))], no_fault)


def _rewinds(messages: Database, newest: int) -> dict[int, int]:
    """Versions above `newest` that a rewind made, and of which older one."""
    moments, found = Moments(messages), {}
    for version, content in messages.rows(_REWINDS, (newest,)):
        told = msgspec.json.decode(content, type=AgentRewound)
        moment = moments.of_turn(told.turn_id) if told.turn_id else moments.at(told.seq)
        if moment is not None:
            found[version] = moment.state_version
    return found
