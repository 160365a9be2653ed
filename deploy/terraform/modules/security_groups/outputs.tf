output "ids" {
  description = "Security groups by who is in them: alb, gateway, coordinator, diminuendo, valkey."
  value       = { for name, group in aws_security_group.this : name => group.id }
}
