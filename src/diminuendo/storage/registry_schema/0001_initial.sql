-- registry.db: the sessions and members of one tenant.

-- Exactly one row.
CREATE TABLE tenant (
    only      INTEGER PRIMARY KEY CHECK (only = 1), -- always 1
    tenant_id TEXT NOT NULL                         -- whose registry this is
);

CREATE TABLE session (
    session_id  TEXT PRIMARY KEY, -- `sess-` and 16 characters; names the directory of its database
    agent_type  TEXT NOT NULL,    -- what kind of agent it talks to
    agent_id    TEXT NOT NULL,    -- the agent: the same for every instance the session ever has
    name        TEXT NOT NULL,    -- what people call it; empty: nothing yet
    metadata    BLOB NOT NULL,    -- JSON object of whoever made it
    created_by  TEXT NOT NULL,    -- user who made it
    created_at  INTEGER NOT NULL, -- epoch milliseconds
    updated_at  INTEGER NOT NULL, -- last change of name, archive or state, epoch milliseconds
    archived    INTEGER NOT NULL CHECK (archived IN (0, 1)), -- 1: out of the list, read-only
    state       TEXT NOT NULL CHECK (state IN ('inactive', 'activating', 'ready', 'running', 'waiting', 'deactivating', 'error')),
    instance_id TEXT              -- instance that is there for it; NULL: none
) WITHOUT ROWID;
CREATE INDEX session_by_change ON session (updated_at);
CREATE INDEX session_unsettled ON session (state) WHERE state NOT IN ('inactive', 'error'); -- stale after a restart

CREATE TABLE member (
    user_id  TEXT PRIMARY KEY, -- as credentials name the person
    role     TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')), -- counts more than what credentials say
    added_at INTEGER NOT NULL  -- first time there was a role for the person, epoch milliseconds
) WITHOUT ROWID;
