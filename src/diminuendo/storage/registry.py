"""The sessions and members of one tenant."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from diminuendo.domain.access import SessionFacts
from diminuendo.domain.members import Role, check_change
from diminuendo.domain.sessions import SessionState
from diminuendo.storage.errors import SessionExistsError, SessionUnknownError, StorageError, translated
from diminuendo.storage.places import prepare
from podium.base.clock import Clock
from podium.base.sqlite import open_database, read_migrations, transaction

APPLICATION_ID: Final = 0x44494D52
"""`DIMR` in the header of the file."""

_COLUMNS: Final = (
    "session_id, agent_type, agent_id, name, metadata, created_by, created_at, updated_at, archived, state, instance_id"
)


class SessionRecord(msgspec.Struct, frozen=True):
    """A session as the registry keeps it. Times are epoch milliseconds."""

    session_id: str
    agent_type: str
    agent_id: str
    name: str
    metadata: dict[str, Any]
    created_by: str
    created_at: int
    updated_at: int
    archived: bool = False
    state: SessionState = SessionState.INACTIVE
    instance_id: str | None = None

    def facts(self, tenant_id: str) -> SessionFacts:
        """What decides about access to it."""
        return SessionFacts(tenant_id, self.created_by, self.state, self.archived)


class Registry:
    """One tenant's `registry.db`. Every change is committed when its method returns. Used from one thread at a time."""

    def __init__(self, path: Path, tenant_id: str, connection: sqlite3.Connection, clock: Clock) -> None:
        self.tenant_id = tenant_id
        self._path = path
        self._connection = connection
        self._clock = clock

    @classmethod
    def open(cls, path: Path, tenant_id: str, clock: Clock) -> Self:
        """Opens the registry at `path`, made when it is not there.

        Raises:
            StorageError: it can't be opened, or is another tenant's.
        """
        with translated(path):
            prepare(path)
            connection = open_database(
                path,
                application_id=APPLICATION_ID,
                migrations=read_migrations(f"{__package__}.registry_schema"),
                exclusive=True,
            )
        try:
            with translated(path):
                connection.execute("INSERT OR IGNORE INTO tenant VALUES (1, ?)", (tenant_id,))
                (owner,) = connection.execute("SELECT tenant_id FROM tenant").fetchone()
            if owner != tenant_id:
                raise StorageError(path, f"belongs to tenant {owner}")
        except StorageError:
            connection.close()
            raise
        return cls(path, tenant_id, connection, clock)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────

    def create(
        self,
        session_id: str,
        agent_type: str,
        created_by: str,
        name: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> SessionRecord:
        """A new session, `inactive`. Its agent gets the session's id.

        Raises:
            SessionExistsError: the id is taken.
        """
        now = self._clock.now_ms()
        record = SessionRecord(session_id, agent_type, session_id, name, dict(metadata or {}), created_by, now, now)
        values = (session_id, agent_type, session_id, name, msgspec.json.encode(record.metadata), created_by, now, now)
        with translated(self._path):
            sql = f"INSERT OR IGNORE INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 'inactive', NULL)"
            if self._connection.execute(sql, values).rowcount != 1:
                raise SessionExistsError(self._path, f"there is a session {session_id} already")
        return record

    def find(self, session_id: str) -> SessionRecord | None:
        """The session, or None."""
        found = self._select("WHERE session_id = ?", (session_id,))
        return found[0] if found else None

    def sessions(self, *, include_archived: bool = False, offset: int = 0, limit: int = -1) -> list[SessionRecord]:
        """The tenant's sessions, the one changed last first: at most `limit` (-1: all) behind the first `offset`."""
        where = "" if include_archived else "WHERE archived = 0 "
        return self._select(f"{where}ORDER BY updated_at DESC, session_id LIMIT ? OFFSET ?", (limit, offset))

    def unsettled(self) -> list[SessionRecord]:
        """Sessions that an earlier process left with an instance, or on the way to one: they are to be probed."""
        return self._select("WHERE state NOT IN ('inactive', 'error') ORDER BY session_id")

    def rename(self, session_id: str, name: str) -> SessionRecord:
        """Gives the session another name. Raises `SessionUnknownError`."""
        return self._update(session_id, "name = ?", name)

    def archive(self, session_id: str, *, archived: bool) -> SessionRecord:
        """Puts the session into the archive, or takes it back. Raises `SessionUnknownError`."""
        return self._update(session_id, "archived = ?", int(archived))

    def enter(self, session_id: str, state: SessionState, instance_id: str | None) -> SessionRecord:
        """Writes down where the session is. Raises `SessionUnknownError`."""
        return self._update(session_id, "state = ?, instance_id = ?", state.value, instance_id)

    def delete(self, session_id: str) -> None:
        """Forgets the session. Raises `SessionUnknownError`."""
        with translated(self._path):
            changed = self._connection.execute("DELETE FROM session WHERE session_id = ?", (session_id,)).rowcount
        self._expect_one(session_id, changed)

    # ── members ──────────────────────────────────────────────────────────────────────────────────────────────

    def members(self) -> dict[str, Role]:
        """Who is a member in which role, by user id."""
        with translated(self._path):
            rows = self._connection.execute("SELECT user_id, role FROM member ORDER BY user_id").fetchall()
        return {user_id: Role(role) for user_id, role in rows}

    def change_member(self, actor: Role, user_id: str, role: Role | None) -> dict[str, Role]:
        """Gives `user_id` a role, or removes him (None), on behalf of somebody in role `actor`; the members after it.

        Raises:
            MemberRefusedError: `actor` may not, or nobody would own the tenant; nothing was changed.
        """
        with translated(self._path), transaction(self._connection):
            check_change(self.members(), actor, user_id, role)
            if role is None:
                self._connection.execute("DELETE FROM member WHERE user_id = ?", (user_id,))
            else:
                self._connection.execute(
                    "INSERT INTO member VALUES (?1, ?2, ?3) ON CONFLICT (user_id) DO UPDATE SET role = ?2",
                    (user_id, role.value, self._clock.now_ms()),
                )
        return self.members()

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _select(self, clause: str, parameters: tuple[Any, ...] = ()) -> list[SessionRecord]:
        with translated(self._path):
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM session {clause}", parameters).fetchall()
        return [_record(*row) for row in rows]

    def _update(self, session_id: str, assignment: str, *values: Any) -> SessionRecord:
        now = self._clock.now_ms()
        with translated(self._path):
            sql = f"UPDATE session SET {assignment}, updated_at = max(updated_at, ?) WHERE session_id = ?"
            changed = self._connection.execute(sql, (*values, now, session_id)).rowcount
        self._expect_one(session_id, changed)
        record = self.find(session_id)
        assert record is not None
        return record

    def _expect_one(self, session_id: str, changed: int) -> None:
        if changed != 1:
            raise SessionUnknownError(self._path, f"there is no session {session_id}")


def _record(session_id: str, *row: Any) -> SessionRecord:
    agent_type, agent_id, name, metadata, created_by, created_at, updated_at, archived, state, instance_id = row
    return SessionRecord(
        session_id,
        agent_type,
        agent_id,
        name,
        msgspec.json.decode(metadata),
        created_by,
        created_at,
        updated_at,
        bool(archived),
        SessionState(state),
        instance_id,
    )
