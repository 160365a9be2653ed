output "service_name" {
  description = "The ECS service."
  value       = aws_ecs_service.this.name
}
