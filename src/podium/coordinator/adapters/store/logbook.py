"""agent.db: the agent's log, capped. What it takes is counted in pages, so the cap holds whatever the records are."""

from typing import Any, Final

import msgspec

from podium.coordinator.adapters.store.database import Change, Database
from podium.coordinator.adapters.store.records import SEVERITIES
from podium.wire.rest import LogRecord

_RECORDS: Final = (
    "SELECT id, ts, severity, message, module, source, turn_id, fields FROM log "
    "WHERE id > ? AND severity >= ? ORDER BY id LIMIT ? OFFSET ?"
)
_OLDEST: Final = "SELECT id FROM log ORDER BY id LIMIT 1 OFFSET ?"
_FORGET: Final = "DELETE FROM log WHERE id < ?"
_FORGET_AT_ONCE: Final = 256
"""Records that go per step once the cap is reached: few enough for the event loop, more than came since the last step
(a single batch of more is evened out by maintenance)."""

LOOK_EVERY_RECORDS: Final = 64
"""How many records may pass between two looks at the size."""

_LEVELS: Final = {number: level for level, number in SEVERITIES.items()}


class Logbook:
    """The rows of agent.db as values. Every method raises `StoreError` when the file can't be read."""

    def __init__(self, database: Database, max_bytes: int) -> None:
        self._database = database
        self._page_bytes: int = database.value("PRAGMA page_size")
        self._max_pages: int = max_bytes // self._page_bytes
        self._unlooked = 0

    def records(self, level: str | None, limit: int, *, offset: int = 0, after_id: int = 0) -> list[LogRecord]:
        """At most `limit` records of `level` or worse (all when None) with an id above `after_id`, oldest first."""
        rows = self._database.rows(_RECORDS, (after_id, _severity(level), limit, offset))
        return [_record(row) for row in rows]

    def count(self, level: str | None) -> int:
        """How many records of `level` or worse there are."""
        return int(self._database.value("SELECT count(*) FROM log WHERE severity >= ?", (_severity(level),)))

    def last_lines(self, count: int) -> list[str]:
        """The last messages, oldest first."""
        rows = self._database.rows("SELECT message FROM log ORDER BY id DESC LIMIT ?", (count,))
        return [row[0] for row in reversed(rows)]

    def used_bytes(self) -> int:
        """What the records take in the file."""
        return self._used_pages() * self._page_bytes

    def forgetting(self) -> list[Change]:
        """What makes room: the oldest records, a bounded number of them and never the newest; nothing while the cap is
        not passed."""
        if self._used_pages() <= self._max_pages:
            return []
        last = self._database.value("SELECT coalesce(max(id), 0) FROM log")
        beyond = self._database.row(_OLDEST, (_FORGET_AT_ONCE,))
        first_kept = last if beyond is None else beyond[0]
        oldest = self._database.value("SELECT coalesce(min(id), 0) FROM log")
        return [Change(_FORGET, ((first_kept,),))] if oldest < first_kept else []

    def forgetting_after(self, records: int) -> list[Change]:
        """`forgetting`, looked at only once in a while: after every `LOOK_EVERY_RECORDS` of the `records` written."""
        self._unlooked += records
        if self._unlooked < LOOK_EVERY_RECORDS:
            return []
        self._unlooked = 0
        return self.forgetting()

    def _used_pages(self) -> int:
        used = self._database.value("PRAGMA page_count") - self._database.value("PRAGMA freelist_count")
        return int(used)


def _severity(level: str | None) -> int:
    return 0 if level is None else SEVERITIES.get(level, 0)


def _record(row: tuple[Any, ...]) -> LogRecord:
    number, ts, severity, message, module, source, turn_id, fields = row
    decoded = None if fields is None else msgspec.json.decode(fields, type=dict[str, Any])
    return LogRecord(
        number,
        ts,
        _LEVELS.get(severity, "info"),
        message,
        module,
        source,
        turn_id,
        decoded,
    )
