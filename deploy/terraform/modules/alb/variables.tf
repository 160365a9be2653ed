variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets, or private ones for a load balancer that is internal."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the load balancer."
  type        = string
}

variable "internal" {
  description = "Reachable from inside the network alone."
  type        = bool
}

variable "idle_timeout_seconds" {
  description = "How long a connection may say nothing. Clients and the platform ping each other every 30 s and less."
  type        = number

  validation {
    condition     = var.idle_timeout_seconds >= 120 && var.idle_timeout_seconds <= 4000
    error_message = "120 to 4000 seconds: less cuts WebSockets whose ping is late."
  }
}

variable "deregistration_seconds" {
  description = "How long open connections of a target that is leaving are kept. Gateways close theirs with 1012 and clients go elsewhere."
  type        = number
}

variable "deletion_protection" {
  description = "Refuses to destroy the load balancer."
  type        = bool
}

variable "log_bucket" {
  description = "Bucket of the access logs."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of both names, in ACM."
  type        = string
}

variable "gateway_domain" {
  description = "Name that clients of Podium's API use."
  type        = string
}

variable "diminuendo_domain" {
  description = "Name that clients of Diminuendo use."
  type        = string
}

variable "gateway_port" {
  description = "Port of gateways."
  type        = number
}

variable "diminuendo_port" {
  description = "Port of Diminuendo."
  type        = number
}
