CREATE TABLE spending (           -- what agents of a tenant spent, in millionths of a dollar
    tenant_id TEXT NOT NULL,
    period    TEXT NOT NULL,      -- a day (2026-11-21) or a month (2026-11), UTC
    spent     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, period)
);

CREATE TABLE allowances (         -- what operators set for a tenant: JSON, see podium.wire.budgets.Allowance
    tenant_id TEXT PRIMARY KEY,
    allowance TEXT NOT NULL
);
