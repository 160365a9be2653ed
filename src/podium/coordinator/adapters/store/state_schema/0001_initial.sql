-- state.db: every change of an agent's state. Version 0 is the empty object; version n is version n - 1 after row n
-- of `delta`. Nothing above `mark.state_version` in messages.db counts: it belongs to a batch that was never committed.

CREATE TABLE delta (
    version INTEGER PRIMARY KEY, -- state version after this change: from 1, no gaps, rows are never removed
    turn_id TEXT NOT NULL,       -- turn that made the change; empty outside a turn
    ts      INTEGER NOT NULL,    -- when it was stored, epoch milliseconds
    ops     BLOB                 -- JSON Patch (RFC 6902: add, remove, replace), UTF-8; NULL: the whole state was replaced,
                                 -- and the snapshot of the same version, of kind `given`, is the new state
);

CREATE TABLE snapshot (
    version INTEGER PRIMARY KEY,                                        -- the version this is the whole state of
    schema  INTEGER,                                                    -- `_version` of the state class that wrote it; NULL: none told
    kind    TEXT NOT NULL CHECK (kind IN ('given', 'derived')),         -- given: the only source of its version, kept for ever;
                                                                        -- derived: made from older rows, may be thinned out
    codec   TEXT NOT NULL CHECK (codec IN ('json', 'json+zlib')),       -- how `data` is written: JSON as UTF-8, plain or zlib (RFC 1950)
    size    INTEGER NOT NULL,                                           -- bytes of the JSON before the codec
    data    BLOB NOT NULL                                               -- the state: one JSON object
);
