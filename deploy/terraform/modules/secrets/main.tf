# Keys that the services share. They are drawn by AWS and written without passing through Terraform's state: what is drawn is
# ephemeral, what is written is write-only. Raise `versions` of one to draw it anew.

locals {
  secrets = {
    admin-key       = { prefix = "pod_admin_", meaning = "The first admin key (ADMIN_API_KEY)" }
    cluster-key     = { prefix = "", meaning = "What gateways and coordinators recognize each other by (CLUSTER_KEY)" }
    secrets-key     = { prefix = "", meaning = "Seals the secrets of agents (SECRETS_KEY)" }
    metrics-key     = { prefix = "", meaning = "Opens the metrics pages, and nothing else (METRICS_KEY)" }
    valkey-password = { prefix = "", meaning = "Password of Podium's user on Valkey" }
  }
}

ephemeral "aws_secretsmanager_random_password" "this" {
  for_each = local.secrets

  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name                    = "${var.name}/${each.key}"
  description             = each.value.meaning
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret_version" "this" {
  for_each = local.secrets

  secret_id                = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo         = "${each.value.prefix}${ephemeral.aws_secretsmanager_random_password.this[each.key].random_password}"
  secret_string_wo_version = lookup(var.versions, each.key, 1)
}
