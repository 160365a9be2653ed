ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}'; -- JSON object: limits of the tenant that this key sets, see TenantLimits
