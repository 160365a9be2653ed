# Staging: the same parts as production, small, and nobody would miss it.

module "platform" {
  source = "../../modules/platform"

  environment       = "staging"
  certificate_arn   = var.certificate_arn
  gateway_domain    = var.gateway_domain
  diminuendo_domain = var.diminuendo_domain
  disposable        = true

  cidr          = "10.20.0.0/16"
  zone_count    = 2
  nat_per_zone  = false
  log_days      = 14
  snapshot_days = 3

  valkey_node_type = "cache.t4g.small"
  valkey_nodes     = 2

  gateway = {
    cpu       = 512
    memory    = 1024
    min_tasks = 2
    max_tasks = 4
  }

  # The machine has 4 cores and 16 GiB; ECS and the system keep what the task does not get.
  coordinator = {
    instance_type = "m7i.xlarge"
    cpu           = 3584
    memory        = 14336
    min_hosts     = 2
    max_hosts     = 4
    disk_gib      = 100
  }

  diminuendo = {
    enabled       = var.diminuendo_enabled
    instance_type = "t3.medium"
    cpu           = 1024
    memory        = 2048
    disk_gib      = 20
  }
}
