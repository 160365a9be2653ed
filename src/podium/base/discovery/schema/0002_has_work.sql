-- Whether something of an instance must happen by itself: a coordinator that lost its host is looked through for these.
ALTER TABLE instances ADD COLUMN has_work INTEGER NOT NULL DEFAULT 0;  -- 0 or 1
