variable "name" {
  description = "What everything of the platform is named after; the namespace of its metrics."
  type        = string
}

variable "region" {
  description = "The region everything is in."
  type        = string
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that logs are encrypted with."
  type        = string
}

variable "collector_image" {
  description = "The collector, pinned: AWS's distribution of OpenTelemetry."
  type        = string
}

variable "otlp_port" {
  description = "Port the collector takes OTLP over HTTP on."
  type        = number
  default     = 4318
}

variable "alb_arn_suffix" {
  description = "How CloudWatch calls the load balancer."
  type        = string
}

variable "gateway_target_group" {
  description = "How CloudWatch calls the gateways' target group."
  type        = string
}

variable "valkey_group" {
  description = "Replication group of Valkey."
  type        = string
}

variable "cluster_name" {
  description = "The ECS cluster."
  type        = string
}
