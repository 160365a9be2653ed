# Gateways on Fargate: stateless, as many as clients need.

locals {
  stop_seconds = 30
}

resource "aws_ecs_task_definition" "this" {
  family                   = "${var.name}-gateway"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = var.task_role_arn
  # build_image.sh --deploy registers revisions, too; the newest is the one that counts.
  track_latest = true

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  # Uploads on their way to the bucket; nothing that has to stay.
  volume {
    name = "data"
  }

  container_definitions = jsonencode([
    {
      name                   = "gateway"
      image                  = var.image
      command                = ["gateway"]
      essential              = true
      user                   = "10001"
      readonlyRootFilesystem = true
      stopTimeout            = local.stop_seconds
      portMappings           = [{ containerPort = var.port, protocol = "tcp" }]
      environment            = [for name, value in merge(var.environment, local.environment) : { name = name, value = value }]
      secrets                = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
      mountPoints            = [{ sourceVolume = "data", containerPath = "/var/lib/podium", readOnly = false }]
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      ulimits                = [{ name = "nofile", softLimit = 65535, hardLimit = 65535 }]
      healthCheck = {
        command     = ["CMD", "podium-image", "health", "gateway"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 30
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = var.log_group
          awslogs-region        = var.region
          awslogs-stream-prefix = "gateway"
        }
      }
    },
    var.collector,
  ])
}

locals {
  environment = {
    GATEWAY_PORT        = tostring(var.port)
    GATEWAY_CONNECTIONS = tostring(var.connections_per_task)
    GATEWAY_STOP        = "${local.stop_seconds - 10}s"
    OTEL_SERVICE_NAME   = "podium-gateway"
  }
}

resource "aws_ecs_service" "this" {
  name                               = "gateway"
  cluster                            = var.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "FARGATE"
  desired_count                      = var.min_tasks
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  availability_zone_rebalancing      = "ENABLED"
  propagate_tags                     = "SERVICE"

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = var.target_group_arn
    container_name   = "gateway"
    container_port   = var.port
  }

  # Diminuendo finds gateways by this name.
  service_registries {
    registry_arn = aws_service_discovery_service.this.arn
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_service_discovery_service" "this" {
  name = "gateway"

  dns_config {
    namespace_id   = var.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.this.name}"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${var.name}-gateway-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.cpu_target
    scale_in_cooldown  = 300
    scale_out_cooldown = 30

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

# WebSockets cost memory long before they cost processor time. The load balancer counts a connection on either side of it.
resource "aws_appautoscaling_policy" "connections" {
  name               = "${var.name}-gateway-connections"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.connections_per_task * var.connections_target
    scale_in_cooldown  = 600
    scale_out_cooldown = 30

    customized_metric_specification {
      metrics {
        id          = "connections"
        return_data = false

        metric_stat {
          stat = "Sum"

          metric {
            namespace   = "AWS/ApplicationELB"
            metric_name = "ActiveConnectionCount"

            dimensions {
              name  = "LoadBalancer"
              value = var.alb_arn_suffix
            }
          }
        }
      }

      metrics {
        id          = "gateways"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "AWS/ApplicationELB"
            metric_name = "HealthyHostCount"

            dimensions {
              name  = "LoadBalancer"
              value = var.alb_arn_suffix
            }

            dimensions {
              name  = "TargetGroup"
              value = var.target_group_arn_suffix
            }
          }
        }
      }

      metrics {
        id          = "each"
        label       = "Connections of each gateway"
        expression  = "connections / 2 / gateways"
        return_data = true
      }
    }
  }
}
