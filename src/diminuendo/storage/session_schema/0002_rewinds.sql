-- The agent was taken back to an earlier moment: what it said since no longer counts, until somebody undoes it.

CREATE TABLE rewind (
    podium_seq INTEGER PRIMARY KEY, -- number in the agent's journal of the event that says so
    target_seq INTEGER NOT NULL     -- number of the last event that still counts
);

ALTER TABLE history ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1)); -- 1: lies behind a rewind, and is not told
