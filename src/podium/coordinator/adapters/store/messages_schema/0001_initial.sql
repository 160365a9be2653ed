-- messages.db: what was said, what is still to do, and the record of what is committed. Its transaction is the commit
-- of a batch; see `mark`.

CREATE TABLE event (
    seq         INTEGER PRIMARY KEY, -- number of the event: from 1 per agent, no gaps, never reused
    type        TEXT NOT NULL,       -- canonical name (`messageType`)
    content     BLOB NOT NULL,       -- JSON object as UTF-8, byte for byte as clients get it; empty: no content
    instance_id TEXT NOT NULL,       -- activation that emitted it
    turn_id     TEXT NOT NULL,       -- turn it belongs to; empty: none
    ts          INTEGER NOT NULL     -- epoch milliseconds
);
CREATE INDEX event_of_turn ON event (turn_id) WHERE turn_id <> '';
CREATE INDEX event_of_conversation ON event (seq) WHERE type IN ('message.user', 'stream_end');

CREATE TABLE inbox (
    accepted_seq INTEGER PRIMARY KEY,  -- seq of the `message.user` event; the order in which messages were accepted
    message_id   TEXT NOT NULL UNIQUE, -- as its `message.user` event says
    turn_id      TEXT NOT NULL UNIQUE, -- the turn that works on this message
    command_id   TEXT,                 -- id the client gave its command; NULL: none
    state        TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'cancelled', 'failed')), -- the last three: over
    attempt      INTEGER NOT NULL,     -- how often the turn was started; 0 while it never was
    on_busy      TEXT NOT NULL,        -- what the sender wanted to happen when a turn runs: queue, steer, interrupt, reject
    content      BLOB NOT NULL,        -- JSON: what the client sent
    origin       BLOB NOT NULL,        -- JSON: {tenant_id, role, channel}
    accepted_at  INTEGER NOT NULL,     -- epoch milliseconds
    started_at   INTEGER,              -- start of the last attempt, epoch milliseconds; NULL while attempt is 0
    finished_at  INTEGER,              -- epoch milliseconds; NULL while queued or running
    stop_reason  TEXT                  -- end_turn, cancelled, max_tokens, refusal, error; NULL while queued or running
);
CREATE INDEX inbox_open ON inbox (accepted_seq) WHERE state IN ('queued', 'running');

CREATE TABLE command (
    position   INTEGER PRIMARY KEY,  -- order of arrival
    command_id TEXT NOT NULL UNIQUE, -- id the client gave
    answer     BLOB NOT NULL,        -- JSON: the ack or nack it was answered with
    ts         INTEGER NOT NULL      -- epoch milliseconds; after 24 hours the row no longer counts and is removed in time
);

CREATE TABLE request (
    request_id   TEXT PRIMARY KEY, -- as its event says
    kind         TEXT NOT NULL CHECK (kind IN ('question', 'permission')), -- which of the two events asked
    turn_id      TEXT NOT NULL,    -- turn that asked
    seq          INTEGER NOT NULL, -- seq of its `tool.question_requested` or `tool.permission_requested` event
    content      BLOB NOT NULL,    -- JSON: content of that event
    created_at   INTEGER NOT NULL, -- epoch milliseconds
    expires_at   INTEGER,          -- deadline, epoch milliseconds; NULL: none
    status       TEXT NOT NULL CHECK (status IN ('open', 'resolved')), -- the first resolution wins
    outcome      TEXT,             -- selected, answered, dismissed, cancelled, expired; NULL while open
    option_id    TEXT,             -- the option chosen, where one was
    answers      BLOB,             -- JSON object of answers, where there are any
    resolved_by  TEXT,             -- client, deadline, turn; NULL while open
    resolved_at  INTEGER,          -- epoch milliseconds; NULL while open
    resolved_seq INTEGER           -- seq of its `tool.approval_resolved` event; NULL while open
) WITHOUT ROWID;
CREATE INDEX request_of_seq ON request (seq);
CREATE INDEX request_open ON request (seq) WHERE status = 'open';

CREATE TABLE checkpoint (
    position      INTEGER PRIMARY KEY,  -- order in which turns ended
    turn_id       TEXT NOT NULL UNIQUE, -- the turn that ended here
    seq           INTEGER NOT NULL,     -- last event of the turn
    state_version INTEGER NOT NULL,     -- version of the state at that moment
    iteration     INTEGER NOT NULL,     -- iteration of the workspace at that moment; 0 without history
    ts            INTEGER NOT NULL      -- epoch milliseconds
);

-- Exactly one row. A batch commits state.db first and this database second: whatever state.db holds above
-- `state_version` was written by a batch that never committed, and is deleted at the next opening.
CREATE TABLE mark (
    only          INTEGER PRIMARY KEY CHECK (only = 1), -- always 1
    agent_id      TEXT NOT NULL,    -- whose database this is
    first_seq     INTEGER NOT NULL, -- oldest event kept; 1 until older ones are removed
    state_version INTEGER NOT NULL, -- newest committed version of the state; 0: none
    state_schema  INTEGER           -- `_version` of the state class that wrote it; NULL before any state
);
