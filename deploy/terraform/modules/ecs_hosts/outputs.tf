output "capacity_provider" {
  description = "Name of the capacity provider."
  value       = aws_ecs_capacity_provider.this.name
}

output "role_name" {
  description = "Role of the machines, for policies beyond ECS's own."
  value       = aws_iam_role.this.name
}
