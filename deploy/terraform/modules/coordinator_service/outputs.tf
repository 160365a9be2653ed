output "capacity_provider" {
  description = "Capacity provider of its machines."
  value       = module.hosts.capacity_provider
}
