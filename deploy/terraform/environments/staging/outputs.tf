output "platform" {
  description = "What operators need to know."
  value       = module.platform
}
