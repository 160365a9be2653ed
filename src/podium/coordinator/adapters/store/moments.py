"""Moments of an agent: the ends of its turns, and the places where it was taken back or begun as a fork."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from podium.coordinator.adapters.store.database import Database
from podium.coordinator.adapters.store.records import MomentRow
from podium.wire import moments as wire

_MOMENTS: Final = (
    "SELECT seq, kind, to_seq, state_version, iteration, before_version, before_iteration, pending, ts FROM moment "
)
_CHECKPOINT: Final = "SELECT position, state_version, iteration, turn_id FROM checkpoint "  # a position is a seq

_ENDS: Final = (
    "SELECT position, state_version, iteration, turn_id, ts FROM checkpoint WHERE position < ? "
    "ORDER BY position DESC LIMIT ?"
)


class Moment(NamedTuple):
    """What names a moment: the newest event, the version of the state, the iteration of the workspace; the turn whose end
    it is, empty when it is none's."""

    seq: int
    state_version: int
    iteration: int
    turn_id: str = ""


class Moments:
    """Reads moments. Every method raises `StoreError` when the file can't be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_turn(self, turn_id: str) -> Moment | None:
        """The end of a turn; None when it has not ended here."""
        return _moment(self._database.row(_CHECKPOINT + "WHERE turn_id = ?", (turn_id,)))

    def at(self, seq: int) -> Moment | None:
        """The newest moment not after event `seq`; None when there is none.

        The event just before a rewind is one too, so that a rewind can be undone whatever it undid.
        """
        ended = _moment(self._database.row(_CHECKPOINT + "WHERE position <= ? ORDER BY position DESC LIMIT 1", (seq,)))
        turned = self._row("WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq + 1,))
        if turned is None or (turned.kind == "fork" and ended is not None and ended.seq == seq):
            return ended
        if turned.seq > seq:
            return Moment(seq, turned.before_version, turned.before_iteration)
        if ended is not None and ended.seq > turned.seq:
            return ended
        return Moment(turned.seq, turned.state_version, turned.iteration)

    def page(self, before: int, limit: int) -> list[wire.Moment]:
        """At most `limit` moments before event `before`, newest first."""
        ended = self._database.rows(_ENDS, (before, limit))
        turned = self._database.rows(_MOMENTS + "WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, limit))
        found = [wire.Moment(row[0], row[1], row[2], "turn", row[3], row[4]) for row in ended]
        found += [wire.Moment(row[0], row[3], row[4], row[1], None, row[8]) for row in turned]
        return sorted(found, key=lambda moment: moment.seq, reverse=True)[:limit]

    def pending(self) -> MomentRow | None:
        """The rewind whose files have not all been taken back."""
        return self._row("WHERE pending = 1 ORDER BY seq DESC LIMIT 1", ())

    def origin(self) -> MomentRow | None:
        """Where the agent begins as a fork; None when it is none. Of a fork of a fork, the newer."""
        return self._row("WHERE kind = 'fork' ORDER BY seq DESC LIMIT 1", ())

    def shown(self) -> list[tuple[int, int | None]]:
        """Which events the conversation consists of: ranges (after, up to), oldest first; the last has no end."""
        return shown_ranges([(seq, to) for seq, to in self._database.rows("SELECT seq, to_seq FROM moment")])

    def _row(self, rest: str, values: Sequence[Any]) -> MomentRow | None:
        found = self._database.row(_MOMENTS + rest, values)
        return None if found is None else MomentRow(*found)


def shown_ranges(turned: Sequence[tuple[int, int]]) -> list[tuple[int, int | None]]:
    """The ranges (after, up to) of events that are shown when an agent was taken back at events `seq` to events `to`."""
    ranges: list[tuple[int, int | None]] = []
    upto: int | None = None
    for seq, to in sorted(turned, reverse=True):
        if upto is not None and seq > upto:
            continue  # this rewind was itself taken back
        ranges.append((seq, upto))
        upto = to
    ranges.append((0, upto))
    return ranges[::-1]


def _moment(row: tuple[Any, ...] | None) -> Moment | None:
    return None if row is None else Moment(*row)
