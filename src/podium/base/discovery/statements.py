"""What is asked of the discovery file, one function per question; each runs on a connection, inside the transaction its
caller opened when it writes. Times come in as arguments: `now_ms` is wall time, `monotonic` seconds of the host."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from podium.base.discovery.port import (
    CHANNEL_CONFIG,
    CHANNEL_KEYS_REVOKED,
    COORDINATOR_TTL_SECONDS,
    LEASE_TTL_SECONDS,
    AgentRecord,
    Claim,
    ConfigRecord,
    CoordinatorRecord,
    InstanceFilter,
    InstanceRecord,
    KeyRecord,
    Lease,
    Notice,
    SecretsRecord,
    Spending,
)
from podium.base.discovery.rules import (
    BUCKET_LIFE_SECONDS,
    StoredClaim,
    StoredLease,
    claimed,
    config_changes,
    held_lease,
    month_of,
    next_lease,
    renewed_lease,
    token_taken,
)
from podium.wire.budgets import Allowance
from podium.wire.rest import TenantLimits
from podium.wire.status import InstanceStatus

NOTICE_LIFE_SECONDS: Final = 60.0
"""How long a notice stays in the file; a process that was stopped for longer is told that it missed some."""

_INSTANCE = InstanceRecord.__struct_fields__
_AGENT = AgentRecord.__struct_fields__
_KEY = KeyRecord.__struct_fields__


def _upsert(table: str, key: str, fields: tuple[str, ...], guard: str = "") -> str:
    """SQL that writes a row whole, over an existing one of the same key only where `guard` holds."""
    columns, places = ", ".join(fields), ", ".join("?" * len(fields))
    changes = ", ".join(f"{field} = excluded.{field}" for field in fields if field != key)
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {changes} {guard}"


_NEWER_EPOCH = "WHERE excluded.epoch >= {0}.epoch"
_PUT_INSTANCE = _upsert("instances", "instance_id", _INSTANCE, _NEWER_EPOCH.format("instances"))
_PUT_AGENT = _upsert("agents", "agent_id", _AGENT, _NEWER_EPOCH.format("agents"))
_PUT_KEY = _upsert("keys", "key_id", _KEY)
_SELECT_INSTANCE = f"SELECT {', '.join(_INSTANCE)} FROM instances"
_SELECT_AGENT = f"SELECT {', '.join(_AGENT)} FROM agents"
_SELECT_KEY = f"SELECT {', '.join(_KEY)} FROM keys"


# ── the host ─────────────────────────────────────────────────────────────────────────────────────────────────


def enter_host(connection: sqlite3.Connection, boot_id: str) -> None:
    """Makes the file valid for this boot: monotonic times of an earlier one mean nothing, and nobody of it is left."""
    row = connection.execute("SELECT value FROM host WHERE name = 'boot_id'").fetchone()
    if row is not None and row[0] == boot_id:
        return
    connection.execute("DELETE FROM coordinators")
    connection.execute("DELETE FROM ratelimit")
    connection.execute("DELETE FROM notices")
    connection.execute("UPDATE leases SET coordinator_id = NULL, deadline = 0")
    connection.execute("INSERT OR REPLACE INTO host VALUES ('boot_id', ?)", (boot_id,))


def touch_host(connection: sqlite3.Connection, now_ms: int) -> None:
    """A write that changes nothing of meaning: proves that the file can be written."""
    connection.execute("INSERT OR REPLACE INTO host VALUES ('checked_at', ?)", (str(now_ms),))


def prune(connection: sqlite3.Connection, now_ms: int, monotonic: float) -> None:
    """Removes what nobody may see any more."""
    connection.execute("DELETE FROM coordinators WHERE deadline <= ?", (monotonic,))
    connection.execute("DELETE FROM idempotency WHERE expires_at <= ?", (now_ms,))
    connection.execute("DELETE FROM ratelimit WHERE refilled < ?", (monotonic - BUCKET_LIFE_SECONDS,))
    connection.execute("DELETE FROM notices WHERE published < ?", (monotonic - NOTICE_LIFE_SECONDS,))


# ── coordinators ─────────────────────────────────────────────────────────────────────────────────────────────


def announce(connection: sqlite3.Connection, record: CoordinatorRecord, monotonic: float) -> bool:
    """See `Discovery.announce`."""
    known = connection.execute(
        "SELECT 1 FROM coordinators WHERE coordinator_id = ? AND deadline > ?", (record.coordinator_id, monotonic)
    ).fetchone()
    row = (record.coordinator_id, msgspec.json.encode(record).decode(), monotonic + COORDINATOR_TTL_SECONDS)
    connection.execute("INSERT OR REPLACE INTO coordinators VALUES (?, ?, ?)", row)
    return known is None


def withdraw(connection: sqlite3.Connection, coordinator_id: str) -> None:
    """See `Discovery.withdraw`."""
    connection.execute("DELETE FROM coordinators WHERE coordinator_id = ?", (coordinator_id,))


def coordinators(connection: sqlite3.Connection, monotonic: float) -> list[CoordinatorRecord]:
    """See `Discovery.coordinators`."""
    rows = connection.execute(
        "SELECT record FROM coordinators WHERE deadline > ? ORDER BY coordinator_id", (monotonic,)
    ).fetchall()
    return [msgspec.json.decode(row[0], type=CoordinatorRecord) for row in rows]


# ── instances ────────────────────────────────────────────────────────────────────────────────────────────────


def put_instances(connection: sqlite3.Connection, records: Sequence[InstanceRecord]) -> None:
    """See `Discovery.put_instances`."""
    connection.executemany(_PUT_INSTANCE, [msgspec.structs.astuple(record) for record in records])


def instance(connection: sqlite3.Connection, instance_id: str) -> InstanceRecord | None:
    """See `Discovery.instance`."""
    row = connection.execute(f"{_SELECT_INSTANCE} WHERE instance_id = ?", (instance_id,)).fetchone()
    return None if row is None else _instance(row)


def instances(
    connection: sqlite3.Connection, wanted: InstanceFilter, after: str | None, limit: int
) -> list[InstanceRecord]:
    """See `Discovery.instances`."""
    asked = {
        field: value for field in InstanceFilter.__struct_fields__ if (value := getattr(wanted, field)) is not None
    }
    conditions = [f"{field} = ?" for field in asked]
    values: list[Any] = list(asked.values())
    if after is not None:
        # An unknown cursor compares with NULL, which is never true: the list ends there.
        conditions.append(
            "(created_at, instance_id) < (SELECT created_at, instance_id FROM instances WHERE instance_id = ?)"
        )
        values.append(after)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        f"{_SELECT_INSTANCE} {where} ORDER BY created_at DESC, instance_id DESC LIMIT ?", (*values, limit)
    ).fetchall()
    return [_instance(row) for row in rows]


def remove_instances(connection: sqlite3.Connection, instance_ids: Sequence[str]) -> None:
    """See `Discovery.remove_instances`."""
    connection.executemany("DELETE FROM instances WHERE instance_id = ?", [(one,) for one in instance_ids])


def _instance(row: tuple[Any, ...]) -> InstanceRecord:
    fields = dict(zip(_INSTANCE, row, strict=True))
    decoded = {"status": InstanceStatus(fields["status"]), "has_work": bool(fields["has_work"])}
    return InstanceRecord(**fields | decoded)


# ── agents and leases ────────────────────────────────────────────────────────────────────────────────────────


def put_agent(connection: sqlite3.Connection, record: AgentRecord) -> None:
    """See `Discovery.put_agent`."""
    connection.execute(_PUT_AGENT, msgspec.structs.astuple(record))


def agent(connection: sqlite3.Connection, agent_id: str) -> AgentRecord | None:
    """See `Discovery.agent`."""
    row = connection.execute(f"{_SELECT_AGENT} WHERE agent_id = ?", (agent_id,)).fetchone()
    return None if row is None else AgentRecord(*row)


def agents(connection: sqlite3.Connection, tenant_id: str | None, after: str | None, limit: int) -> list[AgentRecord]:
    """See `Discovery.agents`."""
    # Ids are never empty, so '' stands before all of them.
    of_tenant, tenant = ("", ()) if tenant_id is None else ("tenant_id = ? AND", (tenant_id,))
    rows = connection.execute(
        f"{_SELECT_AGENT} WHERE {of_tenant} agent_id > ? ORDER BY agent_id LIMIT ?", (*tenant, after or "", limit)
    ).fetchall()
    return [AgentRecord(*row) for row in rows]


def remove_agent(connection: sqlite3.Connection, agent_id: str) -> None:
    """See `Discovery.remove_agent`."""
    connection.execute(
        "INSERT INTO leases SELECT agent_id, NULL, epoch, 0 FROM agents WHERE agent_id = ?"
        " ON CONFLICT (agent_id) DO UPDATE SET epoch = max(leases.epoch, excluded.epoch)",
        (agent_id,),
    )
    connection.execute("DELETE FROM agents WHERE agent_id = ?", (agent_id,))


def acquire_lease(
    connection: sqlite3.Connection, agent_id: str, coordinator_id: str, above: int, monotonic: float
) -> Lease | None:
    """See `Discovery.acquire_lease`."""
    row = connection.execute(
        "SELECT coordinator_id, epoch, deadline FROM leases WHERE agent_id = ?", (agent_id,)
    ).fetchone()
    agent_epoch = connection.execute("SELECT epoch FROM agents WHERE agent_id = ?", (agent_id,)).fetchone()
    known = max(above, agent_epoch[0] if agent_epoch else 0)
    lease = next_lease(StoredLease(*row) if row else None, known, coordinator_id, monotonic)
    if lease is None:
        return None
    connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", (agent_id, *lease))
    return Lease(agent_id, coordinator_id, lease.epoch)


def renew_leases(
    connection: sqlite3.Connection, coordinator_id: str, held: dict[str, int], monotonic: float
) -> list[str]:
    """See `Discovery.renew_leases`."""
    deadline = monotonic + LEASE_TTL_SECONDS
    rows = connection.execute(
        "UPDATE leases SET deadline = ? WHERE coordinator_id = ?"
        " AND (agent_id, epoch) IN (SELECT key, value FROM json_each(?)) RETURNING agent_id",
        (deadline, coordinator_id, json.dumps(held)),
    ).fetchall()
    others = held.keys() - {row[0] for row in rows}
    return sorted(
        agent_id
        for agent_id in others
        if not _restore_lease(connection, agent_id, StoredLease(coordinator_id, held[agent_id], deadline))
    )


def _restore_lease(connection: sqlite3.Connection, agent_id: str, wanted: StoredLease) -> bool:
    """Writes a lease that discovery no longer knew; False when it is another's, and nothing is written."""
    row = connection.execute(
        "SELECT coordinator_id, epoch, deadline FROM leases WHERE agent_id = ?", (agent_id,)
    ).fetchone()
    known = connection.execute("SELECT epoch FROM agents WHERE agent_id = ?", (agent_id,)).fetchone()
    lease = renewed_lease(StoredLease(*row) if row else None, known[0] if known else 0, wanted)
    if lease is not None:
        connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", (agent_id, *lease))
    return lease is not None


def lease(connection: sqlite3.Connection, agent_id: str, monotonic: float) -> Lease | None:
    """See `Discovery.lease`."""
    row = connection.execute(
        "SELECT coordinator_id, epoch, deadline FROM leases WHERE agent_id = ?", (agent_id,)
    ).fetchone()
    return held_lease(agent_id, StoredLease(*row) if row else None, monotonic)


def release_lease(connection: sqlite3.Connection, agent_id: str, coordinator_id: str, epoch: int) -> None:
    """See `Discovery.release_lease`."""
    connection.execute(
        "UPDATE leases SET coordinator_id = NULL WHERE agent_id = ? AND coordinator_id = ? AND epoch = ?",
        (agent_id, coordinator_id, epoch),
    )


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


def put_key(connection: sqlite3.Connection, record: KeyRecord) -> None:
    """See `Discovery.put_key`."""
    row = msgspec.structs.asdict(record) | {
        "permissions": json.dumps(record.permissions),
        "limits": msgspec.json.encode(record.limits).decode(),
    }
    connection.execute(_PUT_KEY, tuple(row.values()))


def key(connection: sqlite3.Connection, key_id: str) -> KeyRecord | None:
    """See `Discovery.key`."""
    row = connection.execute(f"{_SELECT_KEY} WHERE key_id = ?", (key_id,)).fetchone()
    return None if row is None else _key(row)


def keys(connection: sqlite3.Connection, after: str | None, limit: int) -> list[KeyRecord]:
    """See `Discovery.keys`."""
    rows = connection.execute(
        f"{_SELECT_KEY} WHERE key_id > ? ORDER BY key_id LIMIT ?", (after or "", limit)
    ).fetchall()
    return [_key(row) for row in rows]


def remove_key(connection: sqlite3.Connection, key_id: str, monotonic: float) -> bool:
    """See `Discovery.remove_key`."""
    if connection.execute("DELETE FROM keys WHERE key_id = ?", (key_id,)).rowcount == 0:
        return False
    publish(connection, Notice(CHANNEL_KEYS_REVOKED, {"key_id": key_id}), monotonic)
    return True


def _key(row: tuple[Any, ...]) -> KeyRecord:
    fields = dict(zip(_KEY, row, strict=True))
    limits = msgspec.json.decode(fields["limits"], type=TenantLimits)
    return KeyRecord(**fields | {"permissions": json.loads(fields["permissions"]), "limits": limits})


# ── secrets and configuration ────────────────────────────────────────────────────────────────────────────────


def set_secrets(connection: sqlite3.Connection, tenant_id: str, agent_type: str, sealed: dict[str, str]) -> None:
    """See `Discovery.set_secrets`."""
    rows = [(tenant_id, agent_type, name, value) for name, value in sealed.items()]
    connection.executemany("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?)", rows)


def secrets(connection: sqlite3.Connection, tenant_id: str, agent_type: str) -> SecretsRecord | None:
    """See `Discovery.secrets`."""
    rows = connection.execute(
        "SELECT name, sealed FROM secrets WHERE tenant_id = ? AND agent_type = ? ORDER BY name", (tenant_id, agent_type)
    ).fetchall()
    return SecretsRecord(tenant_id, agent_type, dict(rows)) if rows else None


def remove_secret(connection: sqlite3.Connection, tenant_id: str, agent_type: str, name: str) -> bool:
    """See `Discovery.remove_secret`."""
    cursor = connection.execute(
        "DELETE FROM secrets WHERE tenant_id = ? AND agent_type = ? AND name = ?", (tenant_id, agent_type, name)
    )
    return cursor.rowcount > 0


def config(connection: sqlite3.Connection) -> ConfigRecord:
    """See `Discovery.config`."""
    row = connection.execute("SELECT config, version FROM config").fetchone()
    return ConfigRecord({}, 0) if row is None else ConfigRecord(json.loads(row[0]), row[1])


def set_config(connection: sqlite3.Connection, wanted: dict[str, Any], monotonic: float) -> ConfigRecord:
    """See `Discovery.set_config`."""
    before = config(connection)
    after = ConfigRecord(wanted, before.version + 1)
    connection.execute("INSERT OR REPLACE INTO config VALUES (1, ?, ?)", (json.dumps(wanted), after.version))
    changes = config_changes(before.config, wanted)
    publish(connection, Notice(CHANNEL_CONFIG, {"version": after.version, "changes": changes}), monotonic)
    return after


# ── idempotency and rates ────────────────────────────────────────────────────────────────────────────────────


def claim(connection: sqlite3.Connection, tenant_id: str, key: str, asked: StoredClaim, now_ms: int) -> Claim:
    """See `Discovery.claim`."""
    row = connection.execute(
        "SELECT fingerprint, plan, answer, held_until, expires_at FROM idempotency WHERE tenant_id = ? AND key = ?",
        (tenant_id, key),
    ).fetchone()
    stored = None
    if row is not None:
        stored = StoredClaim(row[0], json.loads(row[1]), json.loads(row[2]) if row[2] else None, row[3], row[4])
    result, mine = claimed(stored, asked, now_ms)
    if mine:
        connection.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, NULL, ?, ?)",
            (tenant_id, key, result.fingerprint, json.dumps(result.plan), result.held_until, result.expires_at),
        )
    return result.seen(mine=mine)


def settle_claim(connection: sqlite3.Connection, tenant_id: str, key: str, answer: dict[str, Any]) -> None:
    """See `Discovery.settle_claim`."""
    connection.execute(
        "UPDATE idempotency SET answer = ? WHERE tenant_id = ? AND key = ? AND answer IS NULL",
        (json.dumps(answer), tenant_id, key),
    )


def drop_claim(connection: sqlite3.Connection, tenant_id: str, key: str) -> None:
    """See `Discovery.drop_claim`."""
    connection.execute("DELETE FROM idempotency WHERE tenant_id = ? AND key = ? AND answer IS NULL", (tenant_id, key))


def take_token(connection: sqlite3.Connection, bucket: str, per_second: float, burst: int, monotonic: float) -> float:
    """See `Discovery.take_token`."""
    row = connection.execute("SELECT tokens, refilled FROM ratelimit WHERE bucket = ?", (bucket,)).fetchone()
    tokens, refilled = row or (float(burst), monotonic)
    left, wait = token_taken(tokens, monotonic - refilled, per_second, burst)
    connection.execute("INSERT OR REPLACE INTO ratelimit VALUES (?, ?, ?)", (bucket, left, monotonic))
    return wait


# ── spending ─────────────────────────────────────────────────────────────────────────────────────────────────


def add_spending(
    connection: sqlite3.Connection, tenant_id: str, day: str, micro_dollars: int, allowance: Allowance | None
) -> Spending:
    """See `Discovery.add_spending`."""
    month = month_of(day)
    connection.execute("DELETE FROM spending WHERE period < ?", (month,))
    in_day, in_month = (
        connection.execute(
            "INSERT INTO spending VALUES (?, ?, ?) "
            "ON CONFLICT (tenant_id, period) DO UPDATE SET spent = spent + excluded.spent RETURNING spent",
            (tenant_id, period, micro_dollars),
        ).fetchone()[0]
        for period in (day, month)
    )
    if allowance is not None:
        text = msgspec.json.encode(allowance).decode()
        connection.execute("INSERT OR REPLACE INTO allowances VALUES (?, ?)", (tenant_id, text))
    row = connection.execute("SELECT allowance FROM allowances WHERE tenant_id = ?", (tenant_id,)).fetchone()
    return Spending(in_day, in_month, msgspec.json.decode(row[0], type=Allowance) if row is not None else Allowance())


# ── notices ──────────────────────────────────────────────────────────────────────────────────────────────────


def publish(connection: sqlite3.Connection, notice: Notice, monotonic: float) -> None:
    """See `Discovery.publish`."""
    connection.execute(
        "INSERT INTO notices (channel, payload, published) VALUES (?, ?, ?)",
        (notice.channel, json.dumps(notice.payload), monotonic),
    )


def last_notice(connection: sqlite3.Connection) -> int:
    """Id of the newest notice there ever was; 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'notices'").fetchone()
    return 0 if row is None else int(row[0])


def notices_after(connection: sqlite3.Connection, seen: int) -> list[tuple[int, Notice]]:
    """Notices newer than the id `seen`, oldest first, each with its id."""
    rows = connection.execute("SELECT id, channel, payload FROM notices WHERE id > ? ORDER BY id", (seen,)).fetchall()
    return [(row[0], Notice(row[1], json.loads(row[2]))) for row in rows]
