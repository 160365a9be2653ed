# The platform as a whole: what the other modules make, put together. Environments give it values.

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

# The image that build_image.sh --deploy brought last.
data "aws_ssm_parameter" "image" {
  name = "/podium/${var.environment}/image"
}

locals {
  name       = "podium-${var.environment}"
  account_id = data.aws_caller_identity.here.account_id
  partition  = data.aws_partition.here.partition
  region     = data.aws_region.here.region
  image      = data.aws_ssm_parameter.image.insecure_value

  ports = { gateway = 8090, coordinator = 9090, diminuendo = 8080, valkey = 6379 }

  # What all daemons are told, and what those of the cluster are told besides.
  told = {
    LOG_FORMAT                  = "json"
    OTEL_EXPORTER_OTLP_ENDPOINT = module.observability.endpoint
    OTEL_RESOURCE_ATTRIBUTES    = "deployment.environment.name=${var.environment}"
  }
  told_cluster = merge(local.told, {
    ENVIRONMENT = var.environment
    AWS_REGION  = local.region
    S3_BUCKET   = module.buckets.names.deployments
  })
}

resource "aws_kms_key" "this" {
  description             = "Everything ${local.name} keeps"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/${local.name}/*" }
        }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        # Machines of Auto Scaling have encrypted disks.
        Sid    = "Disks"
        Effect = "Allow"
        Principal = {
          AWS = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        }
        Action   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource = "*"
      },
      {
        Sid    = "DisksOfMachines"
        Effect = "Allow"
        Principal = {
          AWS = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        }
        Action    = "kms:CreateGrant"
        Resource  = "*"
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.this.key_id
}

module "network" {
  source = "../network"

  name         = local.name
  region       = local.region
  cidr         = var.cidr
  zone_count   = var.zone_count
  nat_per_zone = var.nat_per_zone
  log_days     = var.log_days
  kms_key_arn  = aws_kms_key.this.arn
}

module "security_groups" {
  source = "../security_groups"

  name               = local.name
  vpc_id             = module.network.vpc_id
  gateway_port       = local.ports.gateway
  coordinator_port   = local.ports.coordinator
  diminuendo_port    = local.ports.diminuendo
  valkey_port        = local.ports.valkey
  client_cidrs       = var.client_cidrs
  agent_egress_cidrs = var.agent_egress_cidrs
  agent_egress_ports = var.agent_egress_ports
}

module "buckets" {
  source = "../buckets"

  prefix        = "${local.name}-${local.account_id}"
  account_id    = local.account_id
  kms_key_arn   = aws_kms_key.this.arn
  log_days      = var.log_days
  force_destroy = var.disposable
}

module "secrets" {
  source = "../secrets"

  name          = local.name
  kms_key_arn   = aws_kms_key.this.arn
  recovery_days = var.disposable ? 0 : 30
  versions      = var.secret_versions
}

# Made by hand, when the first gateway runs: the key that Diminuendo uses Podium with.
resource "aws_secretsmanager_secret" "diminuendo_key" {
  name                    = "${local.name}/diminuendo-key"
  description             = "Key that Diminuendo uses Podium with (PODIUM_API_KEY)"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.disposable ? 0 : 30
}

module "valkey" {
  source = "../valkey"

  name                 = local.name
  subnet_ids           = module.network.private_subnet_ids
  security_group_id    = module.security_groups.ids.valkey
  port                 = local.ports.valkey
  node_type            = var.valkey_node_type
  nodes                = var.valkey_nodes
  snapshot_days        = var.snapshot_days
  kms_key_arn          = aws_kms_key.this.arn
  password_secret_arn  = module.secrets.arns["valkey-password"]
  password_version     = lookup(var.secret_versions, "valkey-password", 1)
  secret_recovery_days = var.disposable ? 0 : 30
}

module "alb" {
  source = "../alb"

  name                   = local.name
  vpc_id                 = module.network.vpc_id
  subnet_ids             = var.internal ? module.network.private_subnet_ids : module.network.public_subnet_ids
  security_group_id      = module.security_groups.ids.alb
  internal               = var.internal
  idle_timeout_seconds   = var.idle_timeout_seconds
  deregistration_seconds = 30
  deletion_protection    = !var.disposable
  log_bucket             = module.buckets.names.logs
  certificate_arn        = var.certificate_arn
  gateway_domain         = var.gateway_domain
  diminuendo_domain      = var.diminuendo_domain
  gateway_port           = local.ports.gateway
  diminuendo_port        = local.ports.diminuendo
}

resource "aws_ecs_cluster" "this" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enhanced"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name = aws_ecs_cluster.this.name
  capacity_providers = concat(
    ["FARGATE", module.coordinator_service.capacity_provider],
    module.diminuendo_service[*].capacity_provider,
  )
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${local.name}.internal"
  description = "Services of ${local.name}, for each other"
  vpc         = module.network.vpc_id
}

module "observability" {
  source = "../observability"

  name                 = local.name
  region               = local.region
  log_days             = var.log_days
  kms_key_arn          = aws_kms_key.this.arn
  collector_image      = var.collector_image
  alb_arn_suffix       = module.alb.arn_suffix
  gateway_target_group = module.alb.target_group_arn_suffixes.gateway
  valkey_group         = module.valkey.replication_group_id
  cluster_name         = aws_ecs_cluster.this.name
}

locals {
  # What each service may use. Variables are those of podium.base.settings.
  secrets = {
    gateway = {
      ADMIN_API_KEY = module.secrets.arns["admin-key"]
      CLUSTER_KEY   = module.secrets.arns["cluster-key"]
      SECRETS_KEY   = module.secrets.arns["secrets-key"]
      VALKEY_URL    = module.valkey.url_secret_arn
    }
    coordinator = {
      CLUSTER_KEY = module.secrets.arns["cluster-key"]
      SECRETS_KEY = module.secrets.arns["secrets-key"]
      METRICS_KEY = module.secrets.arns["metrics-key"]
      VALKEY_URL  = module.valkey.url_secret_arn
    }
    diminuendo = {
      PODIUM_API_KEY = aws_secretsmanager_secret.diminuendo_key.arn
    }
  }
  buckets = {
    gateway = { deployments = "write" }
    # Deployments are only read where agents run; their own data are written.
    coordinator = { deployments = "read", replicas = "write", files = "write" }
    diminuendo  = {}
  }
}

module "iam" {
  source   = "../iam"
  for_each = local.secrets

  name                  = local.name
  service               = each.key
  region                = local.region
  account_id            = local.account_id
  repository_arn        = "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/podium"
  log_group_arns        = [module.observability.log_groups[each.key].arn]
  metrics_log_group_arn = module.observability.metrics_log_group_arn
  secret_arns           = values(each.value)
  kms_key_arn           = aws_kms_key.this.arn
  buckets               = { for name, access in local.buckets[each.key] : module.buckets.arns[name] => access }
}

module "gateway_service" {
  source = "../gateway_service"

  name                    = local.name
  region                  = local.region
  cluster_arn             = aws_ecs_cluster.this.arn
  cluster_name            = aws_ecs_cluster.this.name
  image                   = local.image
  execution_role_arn      = module.iam["gateway"].execution_role_arn
  task_role_arn           = module.iam["gateway"].task_role_arn
  subnet_ids              = module.network.private_subnet_ids
  security_group_id       = module.security_groups.ids.gateway
  log_group               = module.observability.log_groups.gateway.name
  collector               = module.observability.collectors.gateway
  environment             = merge(local.told_cluster, var.gateway.environment)
  secrets                 = local.secrets.gateway
  port                    = local.ports.gateway
  cpu                     = var.gateway.cpu
  memory                  = var.gateway.memory
  min_tasks               = var.gateway.min_tasks
  max_tasks               = var.gateway.max_tasks
  namespace_id            = aws_service_discovery_private_dns_namespace.this.id
  target_group_arn        = module.alb.target_group_arns.gateway
  target_group_arn_suffix = module.alb.target_group_arn_suffixes.gateway
  alb_arn_suffix          = module.alb.arn_suffix
}

module "coordinator_service" {
  source = "../coordinator_service"

  name               = local.name
  region             = local.region
  partition          = local.partition
  cluster_arn        = aws_ecs_cluster.this.arn
  cluster_name       = aws_ecs_cluster.this.name
  image              = local.image
  execution_role_arn = module.iam["coordinator"].execution_role_arn
  task_role_arn      = module.iam["coordinator"].task_role_arn
  subnet_ids         = module.network.private_subnet_ids
  security_group_id  = module.security_groups.ids.coordinator
  log_group          = module.observability.log_groups.coordinator.name
  collector          = module.observability.collectors.coordinator
  environment = merge(local.told_cluster, {
    CHRONICLE_S3_BUCKET    = module.buckets.names.files
    LITESTREAM_REPLICA_URL = "s3://${module.buckets.names.replicas}/agents"
  }, var.coordinator.environment)
  secrets           = local.secrets.coordinator
  port              = local.ports.coordinator
  cpu               = var.coordinator.cpu
  memory            = var.coordinator.memory
  instance_type     = var.coordinator.instance_type
  min_hosts         = var.coordinator.min_hosts
  max_hosts         = var.coordinator.max_hosts
  disk_gib          = var.coordinator.disk_gib
  max_lifetime_days = 30
  kms_key_arn       = aws_kms_key.this.arn
}

module "diminuendo_service" {
  source = "../diminuendo_service"
  # Its key is made with the first gateway: the second apply brings it.
  count = var.diminuendo.enabled ? 1 : 0

  name               = local.name
  region             = local.region
  partition          = local.partition
  account_id         = local.account_id
  cluster_arn        = aws_ecs_cluster.this.arn
  cluster_name       = aws_ecs_cluster.this.name
  image              = local.image
  execution_role_arn = module.iam["diminuendo"].execution_role_arn
  task_role_arn      = module.iam["diminuendo"].task_role_arn
  subnet_ids         = module.network.private_subnet_ids
  zone               = module.network.zones[0]
  security_group_id  = module.security_groups.ids.diminuendo
  log_group          = module.observability.log_groups.diminuendo.name
  collector          = module.observability.collectors.diminuendo
  environment = merge(local.told, {
    PODIUM_URL = "http://gateway.${aws_service_discovery_private_dns_namespace.this.name}:${local.ports.gateway}"
  }, var.diminuendo.environment)
  secrets          = local.secrets.diminuendo
  port             = local.ports.diminuendo
  cpu              = var.diminuendo.cpu
  memory           = var.diminuendo.memory
  instance_type    = var.diminuendo.instance_type
  disk_gib         = var.diminuendo.disk_gib
  snapshot_days    = var.snapshot_days
  kms_key_arn      = aws_kms_key.this.arn
  target_group_arn = module.alb.target_group_arns.diminuendo
}
