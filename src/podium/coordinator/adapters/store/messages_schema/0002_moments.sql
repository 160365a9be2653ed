-- What a fork shares with the agent it was made from, and where an agent was taken back.

-- The sealed files this one goes on from, oldest first; none: this file holds everything. Of each, rows up to `cut` count
-- (by `seq`; of inbox and request those that were over by then). Sealed files are never written again; they may be hard
-- links that several agents have.
CREATE TABLE base (
    position INTEGER PRIMARY KEY, -- 1 is the oldest
    file     TEXT NOT NULL,       -- name of the sealed file, beside this one
    cut      INTEGER NOT NULL,    -- newest seq of it that counts
    own      INTEGER NOT NULL     -- 1: this agent's own past, its commands are remembered; 0: the agent's it was forked from
);

CREATE TABLE moment (
    seq              INTEGER PRIMARY KEY, -- its `agent.rewound` or `agent.forked` event
    kind             TEXT NOT NULL CHECK (kind IN ('rewind', 'fork')), -- taken back, or begun as a fork
    to_seq           INTEGER NOT NULL,    -- the conversation goes on from here: what lies between is kept, and not shown
    state_version    INTEGER NOT NULL,    -- version of the state from here on
    iteration        INTEGER NOT NULL,    -- iteration of the workspace whose files are there from here on
    before_version   INTEGER NOT NULL,    -- version of the state just before
    before_iteration INTEGER NOT NULL,    -- iteration of the workspace just before
    pending          INTEGER NOT NULL,    -- 1: the files have not all been taken back yet, which comes before anything else
    ts               INTEGER NOT NULL     -- epoch milliseconds
);

-- From here on the position of a checkpoint is its seq, so that moments are found by either.
UPDATE checkpoint SET position = -seq;
UPDATE checkpoint SET position = -position;
