variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "region" {
  description = "The region everything is in."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC: a /16, of which public subnets take /24 and private ones /20."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && endswith(var.cidr, "/16")
    error_message = "Give a network of /16, such as 10.20.0.0/16."
  }
}

variable "zone_count" {
  description = "Availability zones in use."
  type        = number

  validation {
    condition     = var.zone_count >= 2 && var.zone_count <= 4
    error_message = "Two to four zones: the load balancer and Valkey need two."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway for each zone, so that a zone that is lost takes no other's way out along."
  type        = bool
}

variable "log_days" {
  description = "Days the flow log is kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that logs are encrypted with."
  type        = string
}
