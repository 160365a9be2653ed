"""What is read of an agent's databases."""

from podium.base.clock import Clock
from podium.coordinator.adapters.store.batch import Heads
from podium.coordinator.adapters.store.database import Database
from podium.coordinator.adapters.store.errors import StoreConflictError
from podium.coordinator.adapters.store.journal import Journal
from podium.coordinator.adapters.store.logbook import Logbook
from podium.coordinator.adapters.store.moments import Moments
from podium.coordinator.adapters.store.records import CheckpointRow, InboxRow, RequestRow, StateRow
from podium.coordinator.adapters.store.states import read_state
from podium.wire.envelope import EventRow
from podium.wire.rest import ConversationMessage, LogRecord, TurnUsage


class StoreReads:
    """The reading face of a store. Every method raises `StoreError` when a file can't be read."""

    _clock: Clock
    _heads: Heads
    _journal: Journal
    _logbook: Logbook
    _state: Database

    def state(self, version: int | None = None) -> StateRow:
        """The state now, or at an older version; version 0 is the empty object.

        Raises:
            StoreConflictError: there is no such version.
            StoreError: it can't be read or rebuilt.
        """
        wanted = self._heads.version if version is None else version
        if not 0 <= wanted <= self._heads.version:
            raise StoreConflictError(
                "state",
                f"there is no version {wanted}; the newest is {self._heads.version}",
            )
        return read_state(self._state, wanted)

    def events(self, after: int, limit: int, upto: int | None = None) -> list[EventRow]:
        """At most `limit` events above seq `after`, not above `upto`, in order."""
        return self._journal.events(after, limit, upto)

    def turn_events(self, turn_id: str) -> list[EventRow]:
        """All events of a turn, in order, earlier attempts included."""
        return self._journal.turn_events(turn_id)

    def usage_of(self, turn_id: str) -> TurnUsage:
        """Sum of the turn's `usage.update` events."""
        return self._journal.usage_of(turn_id)

    def spent(self) -> int:
        """Micro-dollars the agent has spent in its life, those of what was taken back too."""
        return self._journal.spent()

    def conversation(self, limit: int, *, after: int = 0, before: int | None = None) -> list[ConversationMessage]:
        """Messages and answers, oldest first: the first `limit` above seq `after`, or, with `before`, the last below it."""
        return self._journal.conversation(limit, after=after, before=before)

    def inbox_open(self) -> list[InboxRow]:
        """Messages queued or running, in the order they were accepted."""
        return self._journal.inbox_open()

    def inbox(self, message_id: str) -> InboxRow | None:
        """A message by its id."""
        return self._journal.inbox(message_id)

    def turn(self, turn_id: str) -> InboxRow | None:
        """The message a turn works on."""
        return self._journal.turn(turn_id)

    def command(self, command_id: str) -> bytes | None:
        """The answer a command got within the last 24 hours."""
        return self._journal.command(command_id, self._clock.now_ms())

    def requests(self, status: str | None = None, limit: int = 100, *, after: int = 0) -> list[RequestRow]:
        """At most `limit` requests asked after event `after` (the cursor), in order; `status` open, resolved or None."""
        return self._journal.requests(status, limit, after)

    def open_requests(self) -> list[RequestRow]:
        """Every request that waits, in order."""
        return self._journal.open_requests()

    def request(self, request_id: str) -> RequestRow | None:
        """A request by its id."""
        return self._journal.request(request_id)

    def checkpoints(self, limit: int = 100, *, after: int = 0) -> list[CheckpointRow]:
        """At most `limit` checkpoints past position `after` (the cursor), in the order turns ended."""
        return self._journal.checkpoints(limit, after)

    def checkpoint(self, turn_id: str) -> CheckpointRow | None:
        """Where a turn ended."""
        return self._journal.checkpoint(turn_id)

    def logs(
        self,
        level: str | None = None,
        limit: int = 100,
        *,
        offset: int = 0,
        after_id: int = 0,
    ) -> list[LogRecord]:
        """At most `limit` log records of `level` or worse with an id above `after_id`, oldest first."""
        return self._logbook.records(level, limit, offset=offset, after_id=after_id)

    def count_logs(self, level: str | None = None) -> int:
        """How many log records of `level` or worse there are."""
        return self._logbook.count(level)

    def last_log_lines(self, count: int) -> list[str]:
        """The last log messages, oldest first."""
        return self._logbook.last_lines(count)

    @property
    def log_used_bytes(self) -> int:
        """What the log takes on disk."""
        return self._logbook.used_bytes()

    @property
    def moments(self) -> Moments:
        """The ends of turns, and where the agent was taken back."""
        return self._journal.moments
