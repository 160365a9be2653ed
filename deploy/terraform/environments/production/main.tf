# Production: three zones, each with its own way out; nothing goes without asking.

module "platform" {
  source = "../../modules/platform"

  environment       = "production"
  certificate_arn   = var.certificate_arn
  gateway_domain    = var.gateway_domain
  diminuendo_domain = var.diminuendo_domain

  cidr          = "10.30.0.0/16"
  zone_count    = 3
  nat_per_zone  = true
  log_days      = 365
  snapshot_days = 14

  valkey_node_type = "cache.r7g.large"
  valkey_nodes     = 3

  gateway = {
    cpu       = 2048
    memory    = 4096
    min_tasks = 3
    max_tasks = 20
  }

  # The machine has 16 cores and 64 GiB; ECS and the system keep what the task does not get.
  coordinator = {
    instance_type = "m7i.4xlarge"
    cpu           = 15360
    memory        = 59392
    min_hosts     = 3
    max_hosts     = 30
    disk_gib      = 500
  }

  diminuendo = {
    enabled       = var.diminuendo_enabled
    instance_type = "m7i.large"
    cpu           = 1536
    memory        = 6144
    disk_gib      = 100
  }
}
