-- The file two or more daemons of one host agree in. Times in milliseconds (`_at`, `_until`) are wall time since the
-- epoch; `deadline`, `refilled` and `published` are seconds of the host's monotonic clock, which all its processes
-- share and no clock step moves; they mean nothing after a reboot (see `host`). JSON columns hold UTF-8 text.
-- Each table names the key under which a server of keys and values holds the same record; the view `entries` at the
-- end shows the file that way.

-- What the file knows of the host. `boot_id`: the kernel's boot identity when the monotonic times were written; when it
-- differs, coordinators and rate buckets are forgotten and every lease may be taken. `checked_at`: last health write.
CREATE TABLE host (
    name  TEXT PRIMARY KEY,      -- `boot_id` or `checked_at`
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- podium:coordinators:{coordinator_id}, lives COORDINATOR_TTL_SECONDS after each announcement.
CREATE TABLE coordinators (
    coordinator_id TEXT PRIMARY KEY,
    record         TEXT NOT NULL,     -- JSON of CoordinatorRecord: url, version, started_at, state, load
    deadline       REAL NOT NULL      -- monotonic; past it the coordinator is gone, the row is removed at some write
) WITHOUT ROWID, STRICT;

-- podium:instances:{instance_id}, until it is removed.
CREATE TABLE instances (
    instance_id    TEXT PRIMARY KEY,
    agent_id       TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    agent_type     TEXT NOT NULL,
    deployment_id  TEXT NOT NULL,     -- exact: type:version@hash8
    coordinator_id TEXT NOT NULL,     -- the host it lives on
    epoch          INTEGER NOT NULL,  -- of the lease under which this was written; a lower one never overwrites
    status         TEXT NOT NULL,     -- one of InstanceStatus
    created_at     INTEGER NOT NULL,  -- wall ms; lists are ordered by (created_at, instance_id), newest first
    reason         TEXT               -- why it failed or ended; NULL while there is nothing to say
) WITHOUT ROWID, STRICT;
CREATE INDEX instances_by_time ON instances (created_at, instance_id);
CREATE INDEX instances_by_tenant ON instances (tenant_id, created_at, instance_id);
CREATE INDEX instances_by_agent ON instances (agent_id);
CREATE INDEX instances_by_deployment ON instances (deployment_id, status);

-- podium:agents:{agent_id}, until the agent is erased.
CREATE TABLE agents (
    agent_id           TEXT PRIMARY KEY,
    tenant_id          TEXT NOT NULL,
    agent_type         TEXT NOT NULL,
    last_deployment_id TEXT NOT NULL,
    epoch              INTEGER NOT NULL,  -- of the last writer; a lower one never overwrites
    created_at         INTEGER NOT NULL,  -- wall ms
    instance_id        TEXT,              -- newest instance, alive or over
    coordinator_id     TEXT               -- the host that has its data; NULL before the first instance
) WITHOUT ROWID, STRICT;
CREATE INDEX agents_by_tenant ON agents (tenant_id, agent_id);

-- podium:leases:{agent_id}. The row outlives the lease and the agent, since it remembers the epoch, which only grows.
CREATE TABLE leases (
    agent_id       TEXT PRIMARY KEY,
    coordinator_id TEXT,              -- the holder; NULL: given back
    epoch          INTEGER NOT NULL,  -- the highest ever given out for this agent
    deadline       REAL NOT NULL      -- monotonic; past it another coordinator may take the lease, until then only renew
) WITHOUT ROWID, STRICT;

-- podium:keys:{key_id}, until it is revoked (an expired one is refused by its reader, not removed).
CREATE TABLE keys (
    key_id      TEXT PRIMARY KEY,     -- public prefix of the key
    key_hash    TEXT NOT NULL,        -- lower-case hex of the SHA-256 of the whole key; the key itself is nowhere
    tenant_id   TEXT NOT NULL,
    permissions TEXT NOT NULL,        -- JSON array of Permission values
    created_at  INTEGER NOT NULL,     -- wall ms
    expires_at  INTEGER,              -- wall ms; NULL: never
    name        TEXT                  -- what a person called it
) WITHOUT ROWID, STRICT;

-- podium:secrets:{tenant_id}:{agent_type}, one row per secret.
CREATE TABLE secrets (
    tenant_id  TEXT NOT NULL,
    agent_type TEXT NOT NULL,
    name       TEXT NOT NULL,         -- environment variable the agent sees
    sealed     TEXT NOT NULL,         -- base64 of the sealed box (podium.base.sealing), bound to the three above
    PRIMARY KEY (tenant_id, agent_type, name)
) WITHOUT ROWID, STRICT;

-- podium:config, one row or none (then: empty, version 0).
CREATE TABLE config (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    config  TEXT NOT NULL,            -- JSON object, the whole runtime layer
    version INTEGER NOT NULL          -- grows by one with every write
) STRICT;

-- podium:idempotency:{tenant_id}:{key}, lives IDEMPOTENCY_MEMORY_MS.
CREATE TABLE idempotency (
    tenant_id   TEXT NOT NULL,
    key         TEXT NOT NULL,        -- as the client sent it
    fingerprint TEXT NOT NULL,        -- hash of the request the key was first used for
    plan        TEXT NOT NULL,        -- JSON object: what the first caller decided
    answer      TEXT,                 -- JSON object; NULL while the work is under way
    held_until  INTEGER NOT NULL,     -- wall ms; past it, without an answer, another caller may take the work over
    expires_at  INTEGER NOT NULL,     -- wall ms; past it the key is as if never used
    PRIMARY KEY (tenant_id, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- podium:ratelimit:{bucket}, forgotten when full again for long.
CREATE TABLE ratelimit (
    bucket   TEXT PRIMARY KEY,
    tokens   REAL NOT NULL,           -- in the bucket at `refilled`, from 0 to the burst
    refilled REAL NOT NULL            -- monotonic
) WITHOUT ROWID, STRICT;

-- Channels. A subscriber reads what is newer than the last `id` it saw; `id` is never reused (AUTOINCREMENT).
CREATE TABLE notices (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    channel   TEXT NOT NULL,
    payload   TEXT NOT NULL,          -- JSON object
    published REAL NOT NULL           -- monotonic; the row is removed at a later publish, NOTICE_LIFE_SECONDS on
) STRICT;

-- The same records under the keys of spec: for people who look, and for whoever moves a file to another implementation.
CREATE VIEW entries (key, value) AS
    SELECT 'podium:coordinators:' || coordinator_id, record FROM coordinators
    UNION ALL
    SELECT 'podium:instances:' || instance_id, json_object(
        'agent_id', agent_id, 'tenant_id', tenant_id, 'agent_type', agent_type, 'deployment_id', deployment_id,
        'coordinator_id', coordinator_id, 'epoch', epoch, 'status', status, 'created_at', created_at, 'reason', reason)
    FROM instances
    UNION ALL
    SELECT 'podium:agents:' || agent_id, json_object(
        'tenant_id', tenant_id, 'agent_type', agent_type, 'last_deployment_id', last_deployment_id, 'epoch', epoch,
        'created_at', created_at, 'instance_id', instance_id, 'coordinator_id', coordinator_id)
    FROM agents
    UNION ALL
    SELECT 'podium:leases:' || agent_id, json_object('coordinator_id', coordinator_id, 'epoch', epoch) FROM leases
    UNION ALL
    SELECT 'podium:keys:' || key_id, json_object(
        'key_hash', key_hash, 'tenant_id', tenant_id, 'permissions', json(permissions), 'created_at', created_at,
        'expires_at', expires_at, 'name', name)
    FROM keys
    UNION ALL
    SELECT 'podium:secrets:' || tenant_id || ':' || agent_type, json_group_object(name, sealed)
    FROM secrets GROUP BY tenant_id, agent_type
    UNION ALL
    SELECT 'podium:config', json_object('config', json(config), 'version', version) FROM config
    UNION ALL
    SELECT 'podium:idempotency:' || tenant_id || ':' || key, json_object(
        'fingerprint', fingerprint, 'plan', json(plan), 'answer', json(answer), 'held_until', held_until)
    FROM idempotency
    UNION ALL
    SELECT 'podium:ratelimit:' || bucket, json_object('tokens', tokens) FROM ratelimit;
