"""coordinator.db: the agents and instances of one coordinator, kept across its restarts."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from podium.base.sqlite import DatabaseFileError, open_database, read_migrations, transaction
from podium.coordinator.adapters.catalog.records import AgentEntry, InstanceEntry
from podium.coordinator.adapters.store.errors import StoreConflictError, StoreDamagedError, store_error
from podium.wire.manifest import LimitsTable
from podium.wire.rest import Deployment
from podium.wire.status import InstanceStatus

APPLICATION_ID: Final = 0x504F4443
"""Number in the header of the file."""

FILE: Final = "coordinator.db"
"""Name of the file; its directory is `{data}/coordinator`."""

_NAME: Final = "catalog"
_AGENTS: Final = "SELECT agent_id, tenant_id, agent_type, last_deployment_id, uid_slot, created_at FROM agent "
_PUT_AGENT: Final = (
    "INSERT INTO agent (agent_id, tenant_id, agent_type, last_deployment_id, uid_slot, created_at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_INSTANCES: Final = (
    "SELECT instance_id, agent_id, tenant_id, deployment, created_at, status, config, runtime_config, limits, sealed, "
    "idle_timeout, reason, epoch, restarts FROM instance "
)
_PUT_INSTANCE: Final = (
    "INSERT INTO instance (instance_id, agent_id, tenant_id, deployment, created_at, status, config, runtime_config, "
    "limits, sealed, idle_timeout, reason, epoch, restarts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (instance_id) DO UPDATE SET deployment = excluded.deployment, status = excluded.status, "
    "config = excluded.config, runtime_config = excluded.runtime_config, limits = excluded.limits, "
    "sealed = excluded.sealed, idle_timeout = excluded.idle_timeout, reason = excluded.reason, "
    "epoch = excluded.epoch, restarts = excluded.restarts"
)
_FREE_SLOT: Final = (
    "SELECT min(slot) FROM (SELECT 0 AS slot UNION ALL SELECT uid_slot + 1 FROM agent) "
    "WHERE slot NOT IN (SELECT uid_slot FROM agent)"
)
_AT_TURN_RATE: Final = frozenset({InstanceStatus.RUNNING, InstanceStatus.WAITING})


class Catalog:
    """The coordinator's memory. Synchronous and small: a write takes some tens of microseconds, and a sync to disk
    when an agent is made or removed.

    Every method raises `StoreError` when the file can't be read or written.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, directory: Path) -> "Catalog":
        """Opens `{directory}/coordinator.db`, made when it is not there.

        Raises:
            StoreError: it can't be opened.
        """
        path = directory / FILE
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            connection = open_database(
                path,
                application_id=APPLICATION_ID,
                migrations=read_migrations(f"{__package__}.schema"),
                synchronous="NORMAL",
            )
        except (sqlite3.Error, DatabaseFileError, OSError) as error:
            raise store_error(_NAME, error) from error
        return cls(connection)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    # ── agents ───────────────────────────────────────────────────────────────────────────────────────────────

    def ensure_agent(self, agent_id: str, tenant_id: str, deployment: Deployment, now_ms: int) -> AgentEntry:
        """The agent, made with the lowest free uid slot when it is new; its last deployment becomes `deployment`.

        A new agent is synced to disk: even a host that loses power must not give its uid to another.

        Raises:
            StoreConflictError: the agent is another tenant's.
        """
        found = self.agent(agent_id)
        if found is None:
            return self._add_agent(agent_id, tenant_id, deployment, now_ms)
        if found.tenant_id != tenant_id:
            raise StoreConflictError(_NAME, f"agent {agent_id} is of another tenant")
        if found.last_deployment_id != deployment.deployment_id:
            values = (deployment.deployment_id, agent_id)
            with self._writing() as connection:
                connection.execute("UPDATE agent SET last_deployment_id = ? WHERE agent_id = ?", values)
        return msgspec.structs.replace(found, last_deployment_id=deployment.deployment_id)

    def _add_agent(self, agent_id: str, tenant_id: str, deployment: Deployment, now_ms: int) -> AgentEntry:
        with self._writing(synced=True) as connection:
            slot = connection.execute(_FREE_SLOT).fetchone()[0]
            entry = AgentEntry(agent_id, tenant_id, deployment.agent_type, deployment.deployment_id, slot, now_ms)
            connection.execute(_PUT_AGENT, msgspec.structs.astuple(entry))
        return entry

    def agent(self, agent_id: str) -> AgentEntry | None:
        """An agent by its id."""
        rows = self._rows(_AGENTS + "WHERE agent_id = ?", (agent_id,))
        return AgentEntry(*rows[0]) if rows else None

    def agents(self) -> list[AgentEntry]:
        """All agents, by id."""
        return [AgentEntry(*row) for row in self._rows(_AGENTS + "ORDER BY agent_id")]

    def remove_agent(self, agent_id: str) -> bool:
        """Forgets an agent and its instances; its uid slot is free again. False when there was none.

        Raises:
            StoreConflictError: an instance of it is alive.
        """
        with self._writing(synced=True) as connection:
            if self.alive_instance(agent_id) is not None:
                raise StoreConflictError(_NAME, f"an instance of agent {agent_id} is alive")
            connection.execute("DELETE FROM instance WHERE agent_id = ?", (agent_id,))
            return connection.execute("DELETE FROM agent WHERE agent_id = ?", (agent_id,)).rowcount == 1

    # ── instances ────────────────────────────────────────────────────────────────────────────────────────────

    def put_instance(self, entry: InstanceEntry) -> None:
        """Keeps an instance, new or changed; its agent must be known.

        Raises:
            StoreConflictError: the agent is unknown, or another instance of it is alive.
        """
        stored = msgspec.structs.replace(entry, status=_stored(entry.status))
        with self._writing() as connection:
            connection.execute(_PUT_INSTANCE, _row_of(stored))

    def set_status(
        self,
        instance_id: str,
        status: InstanceStatus,
        *,
        reason: str | None = None,
        restarts: int | None = None,
        epoch: int | None = None,
    ) -> None:
        """The instance is in `status` now. Writes nothing when the stored row says the same: `running` and `waiting`
        count as `ready`, so turns cost nothing here.

        Raises:
            StoreConflictError: the instance is unknown.
        """
        wanted = (_stored(status).value, reason)
        found = self._rows("SELECT status, reason, restarts, epoch FROM instance WHERE instance_id = ?", (instance_id,))
        if not found:
            raise StoreConflictError(_NAME, f"instance {instance_id} is unknown")
        numbers = (found[0][2] if restarts is None else restarts, found[0][3] if epoch is None else epoch)
        if found[0] == (*wanted, *numbers):
            return
        with self._writing() as connection:
            connection.execute(
                "UPDATE instance SET status = ?, reason = ?, restarts = ?, epoch = ? WHERE instance_id = ?",
                (*wanted, *numbers, instance_id),
            )

    def instance(self, instance_id: str) -> InstanceEntry | None:
        """An instance by its id."""
        return next(iter(self._instances("WHERE instance_id = ?", (instance_id,))), None)

    def alive_instance(self, agent_id: str) -> InstanceEntry | None:
        """The one instance of an agent that is not over."""
        rest = "WHERE agent_id = ? AND status NOT IN ('terminated', 'failed')"
        return next(iter(self._instances(rest, (agent_id,))), None)

    def instances(self, agent_id: str | None = None) -> list[InstanceEntry]:
        """All instances (of one agent), oldest first."""
        if agent_id is None:
            return self._instances("ORDER BY position", ())
        return self._instances("WHERE agent_id = ? ORDER BY position", (agent_id,))

    def remove_instance(self, instance_id: str) -> bool:
        """Forgets an instance. False when there was none."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM instance WHERE instance_id = ?", (instance_id,)).rowcount == 1

    def validate(self) -> list[str]:
        """Checks every invariant; findings in words, none when all is well."""
        findings = [f"catalog: {text}" for (text,) in self._rows("PRAGMA quick_check(20)") if text != "ok"]
        if findings:
            return findings
        for check in _CHECKS:
            findings += [f"catalog: {check.sentence.format(*row)}" for row in self._rows(check.sql)]
        for (instance_id,) in self._rows("SELECT instance_id FROM instance ORDER BY position"):
            try:
                self.instance(instance_id)
            except StoreDamagedError as error:
                findings.append(str(error))
        return findings

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _instances(self, rest: str, values: Sequence[Any]) -> list[InstanceEntry]:
        return [_entry_of(row) for row in self._rows(_INSTANCES + rest, values)]

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(_NAME, error) from error

    @contextmanager
    def _writing(self, *, synced: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction; `synced`: its commit, and all before it, reach the disk."""
        try:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            with transaction(self._connection) as connection:
                yield connection
        except sqlite3.Error as error:
            raise store_error(_NAME, error) from error


class _Check(NamedTuple):
    """SQL that gives one row per violation, and the sentence its columns are put into."""

    sql: str
    sentence: str


_CHECKS: Final = (
    _Check(
        "SELECT instance_id, agent_id FROM instance AS i WHERE NOT EXISTS (SELECT 1 FROM agent "
        "WHERE agent_id = i.agent_id)",
        "instance {0} is of agent {1}, which is unknown",
    ),
    _Check(
        "SELECT instance_id, i.tenant_id FROM instance AS i JOIN agent USING (agent_id) "
        "WHERE i.tenant_id <> agent.tenant_id",
        "instance {0} is of tenant {1}, its agent of another",
    ),
    _Check("SELECT agent_id, uid_slot FROM agent WHERE uid_slot < 0", "agent {0} has the uid slot {1}, which is none"),
    _Check(
        "SELECT instance_id, status FROM instance WHERE status IN ('running', 'waiting')",
        "instance {0} has the status {1}, which is never stored",
    ),
)


def _stored(status: InstanceStatus) -> InstanceStatus:
    return InstanceStatus.READY if status in _AT_TURN_RATE else status


def _row_of(entry: InstanceEntry) -> tuple[Any, ...]:
    return (
        entry.instance_id, entry.agent_id, entry.tenant_id, msgspec.json.encode(entry.deployment), entry.created_at,
        entry.status.value, msgspec.json.encode(entry.config), msgspec.json.encode(entry.runtime_config),
        msgspec.json.encode(entry.limits), entry.sealed, entry.idle_timeout, entry.reason, entry.epoch, entry.restarts,
    )  # fmt: skip


def _entry_of(row: tuple[Any, ...]) -> InstanceEntry:
    values: list[Any] = [*row]
    try:
        values[3] = msgspec.json.decode(row[3], type=Deployment)
        values[5] = InstanceStatus(row[5])
        values[6] = msgspec.json.decode(row[6], type=dict[str, Any])
        values[7] = msgspec.json.decode(row[7], type=dict[str, Any])
        values[8] = msgspec.json.decode(row[8], type=LimitsTable)
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreDamagedError(_NAME, f"instance {row[0]} can't be read: {error}") from error
    return InstanceEntry(*values)
