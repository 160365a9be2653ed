# Logs, traces and metrics in CloudWatch: daemons send OTLP to a collector beside them, which writes them there.

locals {
  services = ["gateway", "coordinator", "diminuendo"]

  # The sidecar's configuration. It listens on the task's own loopback alone.
  collector = {
    receivers = {
      otlp = { protocols = { http = { endpoint = "127.0.0.1:${var.otlp_port}" } } }
    }
    processors = {
      memory_limiter = { check_interval = "1s", limit_mib = 200 }
      batch          = {}
    }
    exporters = {
      awsxray = { region = var.region }
      awsemf = {
        region         = var.region
        namespace      = var.name
        log_group_name = aws_cloudwatch_log_group.metrics.name
      }
    }
    extensions = { health_check = { endpoint = "127.0.0.1:13133" } }
    service = {
      extensions = ["health_check"]
      pipelines = {
        traces  = { receivers = ["otlp"], processors = ["memory_limiter", "batch"], exporters = ["awsxray"] }
        metrics = { receivers = ["otlp"], processors = ["memory_limiter", "batch"], exporters = ["awsemf"] }
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "service" {
  for_each = toset(local.services)

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_group" "metrics" {
  name              = "/${var.name}/metrics"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

locals {
  alb = { LoadBalancer = var.alb_arn_suffix }
  alarms = {
    refused = {
      meaning   = "Requests that clients got no good answer to"
      namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum"
      threshold = 50, comparison = "GreaterThanThreshold", dimensions = local.alb
    }
    no_gateway = {
      meaning    = "No gateway is ready"
      namespace  = "AWS/ApplicationELB", metric = "HealthyHostCount", statistic = "Minimum"
      threshold  = 1, comparison = "LessThanThreshold"
      dimensions = merge(local.alb, { TargetGroup = var.gateway_target_group })
    }
    valkey_memory = {
      meaning    = "Valkey is nearly full, and throws nothing away"
      namespace  = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum"
      threshold  = 75, comparison = "GreaterThanThreshold"
      dimensions = { ReplicationGroupId = var.valkey_group }
    }
    coordinator_memory = {
      meaning    = "Coordinators are nearly full, and refuse agents beyond"
      namespace  = "AWS/ECS", metric = "MemoryUtilization", statistic = "Average"
      threshold  = 85, comparison = "GreaterThanThreshold"
      dimensions = { ClusterName = var.cluster_name, ServiceName = "coordinator" }
    }
  }

  # What daemons tell about themselves, over all of them whatever its labels.
  own_alarms = {
    replication_lag = {
      meaning = "What would be lost with a host is more than it should be"
      metric  = "podium_replication_lag_seconds", threshold = 5
    }
    replicas_unavailable = {
      meaning = "Agents' changes are only on their hosts"
      metric  = "podium_replicas_unavailable", threshold = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${replace(each.key, "_", "-")}"
  alarm_description   = each.value.meaning
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  dimensions          = each.value.dimensions
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = each.key == "no_gateway" ? "breaching" : "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "own" {
  for_each = local.own_alarms

  alarm_name          = "${var.name}-${replace(each.key, "_", "-")}"
  alarm_description   = each.value.meaning
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "worst"
    period      = 60
    return_data = true
    expression  = "SELECT MAX(${each.value.metric}) FROM \"${var.name}\""
  }
}
