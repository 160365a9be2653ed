"""Turns of a restored agent that its journal says ended, with an end that the state or the history of files does not reach.

The replicas of the databases end at different moments. Where the journal's is the later one, such a turn has not ended: it runs
again, as after a crash. What the journal tells from its end on of turns that are open is lost with the host. With `durability = "sync"`
nobody was shown any of it, for a step is shown when all databases are outside, and steps are shown in order.

Only the live files are looked at: sealed ones are named by a replica once all databases are in it, so nothing of theirs is ahead.
"""

from typing import Final, NamedTuple

from podium.coordinator.adapters.store.database import Change, Database
from podium.coordinator.adapters.store.moments import shown_ranges
from podium.coordinator.adapters.store.records import no_fault

LOST_EVENT: Final = "event.lost"

_BEYOND: Final = (
    "SELECT c.turn_id, c.seq FROM main.checkpoint AS c JOIN main.inbox AS i ON i.turn_id = c.turn_id "
    "WHERE (c.state_version > ? OR c.iteration > ?) AND i.state IN ('done', 'failed') AND i.attempt > 0 ORDER BY c.seq"
)
_TURNED: Final = "SELECT seq, to_seq FROM moment"
_REOPEN: Final = "UPDATE main.inbox SET state = 'queued', stop_reason = NULL, finished_at = NULL WHERE turn_id = ? AND state IN ('done', 'failed')"
_UNEND: Final = "DELETE FROM main.checkpoint WHERE turn_id = ?"
_WAIT: Final = "UPDATE main.inbox SET state = 'queued' WHERE state = 'running'"
_RUN_FIRST: Final = (
    "UPDATE main.inbox SET state = 'running' WHERE accepted_seq = (SELECT accepted_seq FROM main.inbox "
    "WHERE state = 'queued' AND attempt > 0 ORDER BY started_at, accepted_seq LIMIT 1)"
)
_LOSE: Final = (
    f"UPDATE main.event SET type = '{LOST_EVENT}', content = X'', turn_id = '' WHERE seq >= ? AND turn_id <> '' AND turn_id IN "
    "(SELECT turn_id FROM main.inbox WHERE state IN ('queued', 'running')) AND type NOT IN ('message.user', 'usage.update', "
    "'budget.updated', 'tool.question_requested', 'tool.permission_requested', 'tool.approval_resolved')"
)
"""What was accepted, spent, asked and answered stays: rows tell of it, and a turn that runs again asks nothing twice."""


class End(NamedTuple):
    """Where the restored state or history ends; None: this one does not matter now."""

    version: int | None = None
    iteration: int | None = None


_LAST: Final = 2**63 - 1


def reopen_turns(messages: Database, end: End) -> list[str]:
    """Makes turns that ended beyond `end` wait to be run again; their ids, in the order in which they had ended.

    They go before all that wait, in the order in which they were started, and know how often they were. A turn that was cancelled, or
    that a rewind took back, stays over.

    Raises:
        StoreError: it can't be read or written; then nothing was.
    """
    version, iteration = (_LAST if each is None else each for each in end)
    ranges = shown_ranges([(seq, to) for seq, to in messages.rows(_TURNED)])
    beyond = [
        (turn_id, seq)
        for turn_id, seq in messages.rows(_BEYOND, (version, iteration))
        if any(after < seq and (upto is None or seq <= upto) for after, upto in ranges)
    ]
    if not beyond:
        return []
    turns = [(turn_id,) for turn_id, _ in beyond]
    changes = [
        Change(_REOPEN, turns, "a turn that ended is not in the inbox"),
        Change(_UNEND, turns, "a turn that ended has no checkpoint"),
        Change(_WAIT, ((),)),
        Change(_RUN_FIRST, ((),), "no turn can run"),
        Change(_LOSE, ((beyond[0][1],),)),
    ]
    messages.write(changes, no_fault)
    return [turn_id for turn_id, _ in beyond]
