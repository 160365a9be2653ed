output "log_groups" {
  description = "Log groups by service: name and arn."
  value       = { for service, group in aws_cloudwatch_log_group.service : service => { name = group.name, arn = group.arn } }
}

output "metrics_log_group_arn" {
  description = "Where collectors write metrics."
  value       = aws_cloudwatch_log_group.metrics.arn
}

output "alarm_topic_arn" {
  description = "Topic that alarms are sent to; subscribe to it."
  value       = aws_sns_topic.alarms.arn
}

output "endpoint" {
  description = "Where a daemon finds the collector beside it (OTEL_EXPORTER_OTLP_ENDPOINT)."
  value       = "http://127.0.0.1:${var.otlp_port}"
}

output "collectors" {
  description = "The sidecar's container definition, by service. It is not essential: a daemon goes on without it."
  value = {
    for service in local.services : service => {
      name                   = "collector"
      image                  = var.collector_image
      essential              = false
      readonlyRootFilesystem = true
      cpu                    = 64
      memory                 = 256
      environment            = [{ name = "AOT_CONFIG_CONTENT", value = yamlencode(local.collector) }]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.service[service].name
          awslogs-region        = var.region
          awslogs-stream-prefix = "collector"
        }
      }
    }
  }
}
