-- coordinator.db: what one coordinator must know after a restart, whatever happened to it. Rows change when instances
-- come and go, never at the rate of turns.

CREATE TABLE agent (
    agent_id           TEXT PRIMARY KEY,         -- durable identity
    tenant_id          TEXT NOT NULL,            -- who owns it
    agent_type         TEXT NOT NULL,            -- type of the deployment it was made with
    last_deployment_id TEXT NOT NULL,            -- deployment of its newest instance
    uid_slot           INTEGER NOT NULL UNIQUE,  -- small number from 0 the host derives the agent's uid from; free again once the agent is removed
    created_at         INTEGER NOT NULL          -- epoch milliseconds
) WITHOUT ROWID;

CREATE TABLE instance (
    position        INTEGER PRIMARY KEY,     -- order of creation
    instance_id     TEXT NOT NULL UNIQUE,    -- one activation
    agent_id        TEXT NOT NULL REFERENCES agent (agent_id), -- the agent it activates
    tenant_id       TEXT NOT NULL,           -- that of the agent
    deployment      BLOB NOT NULL,           -- JSON: the deployment as the registry describes it
    config          BLOB NOT NULL,           -- JSON object: what the create call gave
    runtime_config  BLOB NOT NULL,           -- JSON object: the runtime layer as last seen
    limits          BLOB NOT NULL,           -- JSON object: limits of the create call
    sealed          BLOB NOT NULL,           -- environment and secrets, encrypted by the coordinator; never plain
    idle_timeout    TEXT,                    -- as given (`15m`, `0`); NULL: that of the manifest
    status          TEXT NOT NULL,           -- last stored status; ready, running and waiting are all stored as `ready`
    reason          TEXT,                    -- why it is as it is (failed, terminated); NULL: nothing to say
    epoch           INTEGER NOT NULL,        -- lease epoch the instance was created under
    restarts        INTEGER NOT NULL,        -- process restarts after crashes since creation
    created_at      INTEGER NOT NULL         -- epoch milliseconds
);
-- One living instance per agent.
CREATE UNIQUE INDEX instance_alive ON instance (agent_id) WHERE status NOT IN ('terminated', 'failed');
CREATE INDEX instance_of_agent ON instance (agent_id);
