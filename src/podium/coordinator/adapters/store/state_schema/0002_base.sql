-- What a fork shares with the agent it was made from: the sealed files this one goes on from, oldest first; none: this file
-- holds everything. Of each, versions up to `cut` count. Sealed files are never written again; they may be hard links
-- that several agents have.
CREATE TABLE base (
    position INTEGER PRIMARY KEY, -- 1 is the oldest
    file     TEXT NOT NULL,       -- name of the sealed file, beside this one
    cut      INTEGER NOT NULL,    -- newest version of it that counts
    own      INTEGER NOT NULL     -- 1: this agent's own past; 0: the past of the agent it was forked from
);
