-- agent.db: the agent's log, capped in bytes, oldest records out first. Committed after messages.db: a crash may
-- cost its last records, never anything else.

CREATE TABLE log (
    id       INTEGER PRIMARY KEY, -- order of arrival; the newest record is never removed, so no id comes twice and a
                                  -- reader can follow with `id > last`
    ts       INTEGER NOT NULL, -- epoch milliseconds, as the writer of the record said
    severity INTEGER NOT NULL, -- 10 debug, 20 info, 30 warning, 40 error, 50 critical
    source   TEXT NOT NULL,    -- agent, stdout, stderr, platform
    module   TEXT NOT NULL,    -- where in the agent's code; may be empty
    turn_id  TEXT NOT NULL,    -- empty outside a turn
    message  TEXT NOT NULL,    -- what was logged, a traceback included
    fields   BLOB              -- JSON object given with the record; NULL: none
);
