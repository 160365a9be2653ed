output "url_secret_arn" {
  description = "Secret that holds VALKEY_URL."
  value       = aws_secretsmanager_secret.url.arn

  depends_on = [aws_secretsmanager_secret_version.url]
}

output "replication_group_id" {
  description = "How CloudWatch and snapshots call it."
  value       = aws_elasticache_replication_group.this.id
}
