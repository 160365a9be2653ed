output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer."
  value       = aws_subnet.public[*].id
}

output "private_subnet_ids" {
  description = "Subnets of everything else, one for each zone, in the order of the zones."
  value       = aws_subnet.private[*].id
}

output "zones" {
  description = "Names of the availability zones in use."
  value       = local.zones
}
