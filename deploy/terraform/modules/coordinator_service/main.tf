# Coordinators on EC2, one on a machine: they mount workspaces with FUSE and give agents users of their own, which Fargate can't.

module "hosts" {
  source = "../ecs_hosts"

  name                   = "${var.name}-coordinator"
  partition              = var.partition
  cluster_name           = var.cluster_name
  subnet_ids             = var.subnet_ids
  security_group_id      = var.security_group_id
  instance_type          = var.instance_type
  min_size               = var.min_hosts
  max_size               = var.max_hosts + 1 # one more while a machine is replaced
  target_capacity        = 100
  min_healthy_percentage = 90
  max_lifetime_days      = var.max_lifetime_days
  disk_gib               = var.disk_gib
  disk_iops              = 6000
  disk_throughput        = 250
  kms_key_arn            = var.kms_key_arn
  stop_seconds           = var.stop_seconds
  drain_seconds          = var.stop_seconds + 60
  data_path              = local.data_path
}

locals {
  # On the machine's own disk. A coordinator that is started again on it finds its agents there.
  data_path = "/var/lib/podium"

  environment = {
    COORDINATOR_PORT    = tostring(var.port)
    COORDINATOR_STOP    = "${var.stop_seconds - 20}s"
    AGENTS_MEMORY_LIMIT = "${floor(var.memory * 0.9)}MiB"
    CHRONICLE_ENABLE    = "true"
    CHRONICLE_BACKEND   = "fuse" # a machine that can't is no machine for agents
    OTEL_SERVICE_NAME   = "podium-coordinator"
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = "${var.name}-coordinator"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = var.task_role_arn
  track_latest             = true

  volume {
    name      = "data"
    host_path = local.data_path
  }

  container_definitions = jsonencode([
    {
      name         = "coordinator"
      image        = var.image
      command      = ["coordinator"]
      essential    = true
      stopTimeout  = var.stop_seconds
      portMappings = [{ containerPort = var.port, protocol = "tcp" }]
      environment  = [for name, value in merge(var.environment, local.environment) : { name = name, value = value }]
      secrets      = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
      mountPoints  = [{ sourceVolume = "data", containerPath = "/data", readOnly = false }]
      ulimits      = [{ name = "nofile", softLimit = 1048576, hardLimit = 1048576 }]
      # Mounts, namespaces for agents, and the device of FUSE; not `privileged`, which would be every device and capability.
      linuxParameters = {
        capabilities = { add = ["SYS_ADMIN"] }
        devices      = [{ hostPath = "/dev/fuse", containerPath = "/dev/fuse", permissions = ["read", "write"] }]
      }
      healthCheck = {
        command     = ["CMD", "podium-image", "health", "coordinator"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = var.log_group
          awslogs-region        = var.region
          awslogs-stream-prefix = "coordinator"
        }
      }
    },
    var.collector,
  ])
}

resource "aws_ecs_service" "this" {
  name            = "coordinator"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = var.min_hosts
  propagate_tags  = "SERVICE"

  # A new one takes the old one's place on the machine, where its agents' data are.
  deployment_minimum_healthy_percent = 50
  deployment_maximum_percent         = 100

  capacity_provider_strategy {
    capacity_provider = module.hosts.capacity_provider
    weight            = 1
  }

  placement_constraints {
    type = "distinctInstance"
  }

  ordered_placement_strategy {
    type  = "spread"
    field = "attribute:ecs.availability-zone"
  }

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [var.security_group_id]
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.this.name}"
  min_capacity       = var.min_hosts
  max_capacity       = var.max_hosts
}

# New agents go to the least loaded host: the fuller all of them are, the more there should be. Hosts leave slowly.
resource "aws_appautoscaling_policy" "this" {
  for_each = {
    memory = { metric = "ECSServiceAverageMemoryUtilization", target = var.memory_target }
    cpu    = { metric = "ECSServiceAverageCPUUtilization", target = var.cpu_target }
  }

  name               = "${var.name}-coordinator-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.target
    scale_in_cooldown  = 1800
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
    }
  }
}
