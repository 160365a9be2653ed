output "load_balancer" {
  description = "Name that the records of both domains point to."
  value       = module.alb.dns_name
}

output "cluster_name" {
  description = "The ECS cluster, for build_image.sh."
  value       = aws_ecs_cluster.this.name
}

output "buckets" {
  description = "Buckets by what is in them."
  value       = module.buckets.names
}

output "admin_key_secret" {
  description = "Secret that holds the first admin key."
  value       = module.secrets.arns["admin-key"]
}

output "diminuendo_key_secret" {
  description = "Secret to put Diminuendo's key into."
  value       = aws_secretsmanager_secret.diminuendo_key.arn
}

output "alarm_topic" {
  description = "Topic of alarms; subscribe to it."
  value       = module.observability.alarm_topic_arn
}
