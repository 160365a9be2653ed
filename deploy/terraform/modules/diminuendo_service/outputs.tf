output "capacity_provider" {
  description = "Capacity provider of its machine."
  value       = module.host.capacity_provider
}

output "volume_id" {
  description = "The disk of sessions."
  value       = aws_ebs_volume.data.id
}
