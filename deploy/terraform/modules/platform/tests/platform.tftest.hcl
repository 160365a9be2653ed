# The platform as a whole, planned with few values.

variables {
  environment       = "tested"
  cidr              = "10.40.0.0/16"
  zone_count        = 3
  nat_per_zone      = true
  certificate_arn   = "arn:aws:acm:eu-central-1:000000000000:certificate/0"
  gateway_domain    = "podium.example.com"
  diminuendo_domain = "sessions.example.com"
  log_days          = 30
  snapshot_days     = 7
  valkey_node_type  = "cache.t4g.small"
  valkey_nodes      = 2
  gateway           = { cpu = 512, memory = 1024, min_tasks = 2, max_tasks = 4 }
  coordinator       = { instance_type = "m7i.xlarge", cpu = 3584, memory = 14336, min_hosts = 2, max_hosts = 4, disk_gib = 100 }
  diminuendo        = { enabled = false, instance_type = "t3.medium", cpu = 1024, memory = 2048, disk_gib = 20 }
}

provider "aws" {
  region = "eu-central-1"
}

run "names_and_parts" {
  command = plan

  assert {
    condition     = output.cluster_name == "podium-tested"
    error_message = "everything is named after the environment"
  }

  assert {
    condition     = length(module.diminuendo_service) == 0
    error_message = "Diminuendo waits for its key"
  }

  assert {
    condition     = output.buckets.files == "podium-tested-000000000000-files"
    error_message = "buckets are named after the platform and its account"
  }
}

run "network" {
  command = plan

  module {
    source = "../network"
  }

  variables {
    name        = "tested"
    region      = "eu-central-1"
    kms_key_arn = "arn:aws:kms:eu-central-1:000000000000:key/0"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_subnet.private) == 3
    error_message = "each zone has its own way out"
  }

  assert {
    condition     = length(distinct(concat(aws_subnet.private[*].cidr_block, aws_subnet.public[*].cidr_block))) == 6
    error_message = "subnets do not overlap"
  }
}

run "one_way_out" {
  command = plan

  module {
    source = "../network"
  }

  variables {
    name         = "tested"
    region       = "eu-central-1"
    nat_per_zone = false
    kms_key_arn  = "arn:aws:kms:eu-central-1:000000000000:key/0"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 3
    error_message = "all zones share one way out"
  }
}

run "one_zone_is_refused" {
  command = plan

  module {
    source = "../network"
  }

  variables {
    name        = "tested"
    region      = "eu-central-1"
    zone_count  = 1
    kms_key_arn = "arn:aws:kms:eu-central-1:000000000000:key/0"
  }

  expect_failures = [var.zone_count]
}

run "load_balancer" {
  command = plan

  module {
    source = "../alb"
  }

  variables {
    name                   = "tested"
    vpc_id                 = "vpc-0"
    subnet_ids             = ["subnet-0", "subnet-1"]
    security_group_id      = "sg-0"
    internal               = false
    idle_timeout_seconds   = 300
    deregistration_seconds = 30
    deletion_protection    = true
    log_bucket             = "logs"
    gateway_port           = 8090
    diminuendo_port        = 8080
  }

  assert {
    condition     = aws_lb.this.idle_timeout == 300 && aws_lb.this.enable_deletion_protection
    error_message = "a WebSocket that says nothing for a while stays"
  }

  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : !group.stickiness[0].enabled])
    error_message = "any gateway serves any client"
  }

  assert {
    condition     = aws_lb_target_group.this["gateway"].health_check[0].path == "/ready"
    error_message = "a gateway without Valkey gets no clients"
  }

  assert {
    condition     = aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06" && aws_lb_listener.http.default_action[0].type == "redirect"
    error_message = "TLS 1.2 and newer, and nothing without it"
  }
}

run "an_idle_timeout_that_cuts_websockets_is_refused" {
  command = plan

  module {
    source = "../alb"
  }

  variables {
    name                   = "tested"
    vpc_id                 = "vpc-0"
    subnet_ids             = ["subnet-0", "subnet-1"]
    security_group_id      = "sg-0"
    internal               = false
    idle_timeout_seconds   = 60
    deregistration_seconds = 30
    deletion_protection    = true
    log_bucket             = "logs"
    gateway_port           = 8090
    diminuendo_port        = 8080
  }

  expect_failures = [var.idle_timeout_seconds]
}

run "buckets" {
  command = plan

  module {
    source = "../buckets"
  }

  variables {
    prefix        = "tested"
    account_id    = "000000000000"
    kms_key_arn   = "arn:aws:kms:eu-central-1:000000000000:key/0"
    force_destroy = false
  }

  assert {
    condition = alltrue([
      for name in ["deployments", "replicas", "files", "logs"] :
      aws_s3_bucket_public_access_block.this[name].block_public_policy &&
      aws_s3_bucket_public_access_block.this[name].restrict_public_buckets &&
      aws_s3_bucket_versioning.this[name].versioning_configuration[0].status == "Enabled" &&
      length(aws_s3_bucket_server_side_encryption_configuration.this[name].rule) == 1
    ])
    error_message = "every bucket is private, versioned and encrypted"
  }

  assert {
    condition = alltrue([
      for configuration in aws_s3_bucket_lifecycle_configuration.this :
      anytrue([for rule in configuration.rule : try(rule.abort_incomplete_multipart_upload[0].days_after_initiation, 0) == 1 && rule.status == "Enabled"])
    ])
    error_message = "uploads that were not finished go away"
  }
}

run "valkey" {
  command = plan

  module {
    source = "../valkey"
  }

  variables {
    name                 = "tested"
    subnet_ids           = ["subnet-0", "subnet-1"]
    security_group_id    = "sg-0"
    port                 = 6379
    node_type            = "cache.t4g.small"
    nodes                = 2
    kms_key_arn          = "arn:aws:kms:eu-central-1:000000000000:key/0"
    password_secret_arn  = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:0"
    password_version     = 1
    secret_recovery_days = 30
  }

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_mode == "required" && aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled
    error_message = "TLS always, and a replica in another zone takes over"
  }

  assert {
    condition     = one([for parameter in aws_elasticache_parameter_group.this.parameter : parameter.value if parameter.name == "maxmemory-policy"]) == "noeviction"
    error_message = "leases and keys are never thrown away"
  }
}

run "one_node_is_refused" {
  command = plan

  module {
    source = "../valkey"
  }

  variables {
    name                 = "tested"
    subnet_ids           = ["subnet-0", "subnet-1"]
    security_group_id    = "sg-0"
    port                 = 6379
    node_type            = "cache.t4g.small"
    nodes                = 1
    kms_key_arn          = "arn:aws:kms:eu-central-1:000000000000:key/0"
    password_secret_arn  = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:0"
    password_version     = 1
    secret_recovery_days = 30
  }

  expect_failures = [var.nodes]
}

run "hosts" {
  command = plan

  module {
    source = "../ecs_hosts"
  }

  variables {
    name                   = "tested"
    partition              = "aws"
    cluster_name           = "tested"
    subnet_ids             = ["subnet-0", "subnet-1"]
    security_group_id      = "sg-0"
    instance_type          = "m7i.xlarge"
    min_size               = 2
    max_size               = 4
    target_capacity        = 100
    min_healthy_percentage = 90
    max_lifetime_days      = 30
    disk_gib               = 100
    kms_key_arn            = "arn:aws:kms:eu-central-1:000000000000:key/0"
    stop_seconds           = 120
    drain_seconds          = 180
    data_path              = "/var/lib/podium"
  }

  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required" && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "agents can't take the machine's role"
  }

  assert {
    condition     = aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_draining == "ENABLED" && aws_autoscaling_lifecycle_hook.drain.heartbeat_timeout > var.stop_seconds
    error_message = "a machine that ends waits until its agents are elsewhere"
  }
}

run "a_bucket_is_read_or_written" {
  command = plan

  module {
    source = "../iam"
  }

  variables {
    name                  = "tested"
    service               = "gateway"
    region                = "eu-central-1"
    account_id            = "000000000000"
    repository_arn        = "arn:aws:ecr:eu-central-1:000000000000:repository/podium"
    log_group_arns        = ["arn:aws:logs:eu-central-1:000000000000:log-group:x"]
    metrics_log_group_arn = "arn:aws:logs:eu-central-1:000000000000:log-group:m"
    secret_arns           = []
    kms_key_arn           = "arn:aws:kms:eu-central-1:000000000000:key/0"
    buckets               = { "arn:aws:s3:::x" = "everything" }
  }

  expect_failures = [var.buckets]
}
