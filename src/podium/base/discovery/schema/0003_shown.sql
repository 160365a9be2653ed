-- The newest event that had been shown to anyone when the record was written: what a host that goes on with the agent fills its journal up to.
ALTER TABLE instances ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;  -- `seq` of the event; 0: not told
