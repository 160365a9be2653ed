output "dns_name" {
  description = "Name of the load balancer, for records that point to it."
  value       = aws_lb.this.dns_name
}

output "arn_suffix" {
  description = "How CloudWatch calls the load balancer."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arns" {
  description = "Target groups by service: gateway, diminuendo."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn }
}

output "target_group_arn_suffixes" {
  description = "How CloudWatch calls them."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn_suffix }
}
