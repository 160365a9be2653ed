output "arns" {
  description = "Secrets by name: admin-key, cluster-key, secrets-key, metrics-key, valkey-password."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }

  # Whoever reads one needs its first version.
  depends_on = [aws_secretsmanager_secret_version.this]
}
