-- session.db: the events of one session, and the conversation they make.

CREATE TABLE event (
    seq     INTEGER PRIMARY KEY, -- number of the event in the session: from 1, no gaps, never reused
    type    TEXT NOT NULL,       -- `type` of the client event
    turn_id TEXT,                -- turn it belongs to; NULL: none
    ts      INTEGER NOT NULL,    -- epoch milliseconds
    frame   BLOB NOT NULL        -- JSON as UTF-8, byte for byte as clients get it
);

CREATE TABLE history (
    position    INTEGER PRIMARY KEY, -- order of the messages, from 1
    role        TEXT NOT NULL CHECK (role IN ('user', 'assistant')), -- who said it
    text        TEXT NOT NULL,       -- all of it
    turn_id     TEXT,                -- turn it belongs to; NULL: not known
    ts          INTEGER NOT NULL,    -- epoch milliseconds
    stop_reason TEXT,                -- why an answer ended; NULL for a person's message
    podium_seq  INTEGER              -- number in the agent's journal, which rewinds speak of; NULL: from elsewhere
);

-- What the agent asked and nobody answered yet.
CREATE TABLE request (
    request_id TEXT PRIMARY KEY, -- as its event says
    seq        INTEGER NOT NULL  -- number of that event
) WITHOUT ROWID;

-- Exactly one row. Changed in the same transaction as the events it speaks of.
CREATE TABLE cursor (
    only       INTEGER PRIMARY KEY CHECK (only = 1), -- always 1
    session_id TEXT NOT NULL,    -- whose database this is
    podium_seq INTEGER NOT NULL, -- newest event of the agent's journal that was taken in; 0: none. Streams resume behind it
    turn_id    TEXT              -- turn that runs; NULL: none
);
