# Discovery: Valkey with TLS and a replica that takes over. Its address and password together are one secret, VALKEY_URL.

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "this" {
  name        = var.name
  family      = "valkey8"
  description = "Valkey as Podium needs it"

  # Nothing may be thrown away for want of memory: leases, epochs and keys are in it.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

# Read back from where it was written, so that user and URL get the same one whichever run writes them.
ephemeral "aws_secretsmanager_secret_version" "password" {
  secret_id = var.password_secret_arn
}

resource "aws_elasticache_user" "podium" {
  user_id              = "${var.name}-podium"
  user_name            = "podium"
  engine               = "valkey"
  access_string        = "on ~podium:* &* +@all -@dangerous"
  passwords_wo         = ephemeral.aws_secretsmanager_secret_version.password.secret_string
  passwords_wo_version = var.password_version
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = var.name
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.podium.user_id]
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = var.name
  description          = "Discovery of ${var.name}"
  engine               = "valkey"
  engine_version       = var.engine_version
  node_type            = var.node_type
  port                 = var.port

  num_cache_clusters         = var.nodes
  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [var.security_group_id]

  parameter_group_name       = aws_elasticache_parameter_group.this.name
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn

  # Keys, secrets and configuration have no other copy.
  snapshot_retention_limit  = var.snapshot_days
  snapshot_window           = "02:00-03:00"
  maintenance_window        = "sun:03:30-sun:04:30"
  final_snapshot_identifier = "${var.name}-final"

  auto_minor_version_upgrade = true
  apply_immediately          = false
}

resource "aws_secretsmanager_secret" "url" {
  name                    = "${var.name}/valkey-url"
  description             = "Address and password of Valkey (VALKEY_URL)"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret_version" "url" {
  secret_id = aws_secretsmanager_secret.url.id
  secret_string_wo = format(
    "valkeys://podium:%s@%s:%d/0",
    ephemeral.aws_secretsmanager_secret_version.password.secret_string,
    aws_elasticache_replication_group.this.primary_endpoint_address,
    var.port,
  )
  secret_string_wo_version = var.password_version
}
