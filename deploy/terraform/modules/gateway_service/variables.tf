variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "region" {
  description = "The region everything is in."
  type        = string
}

variable "cluster_arn" {
  description = "The ECS cluster."
  type        = string
}

variable "image" {
  description = "The image of Podium."
  type        = string
}

variable "execution_role_arn" {
  description = "Role that starts tasks."
  type        = string
}

variable "task_role_arn" {
  description = "Role of the code."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets tasks are started in."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of tasks."
  type        = string
}

variable "log_group" {
  description = "Where containers log."
  type        = string
}

variable "collector" {
  description = "Container definition of the collector beside the daemon."
  type        = any
}

variable "environment" {
  description = "Variables of the daemon besides those that follow from this module."
  type        = map(string)
}

variable "secrets" {
  description = "Variables whose values are secrets: their ARNs."
  type        = map(string)
}

variable "port" {
  description = "Port the daemon listens on."
  type        = number
}

variable "cpu" {
  description = "Processor of a task: 1024 is one core."
  type        = number
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
}

variable "cluster_name" {
  description = "The ECS cluster, by name."
  type        = string
}

variable "namespace_id" {
  description = "Private DNS namespace gateways are found in."
  type        = string
}

variable "target_group_arn" {
  description = "Target group of gateways."
  type        = string
}

variable "target_group_arn_suffix" {
  description = "How CloudWatch calls it."
  type        = string
}

variable "alb_arn_suffix" {
  description = "How CloudWatch calls the load balancer."
  type        = string
}

variable "min_tasks" {
  description = "Fewest gateways."
  type        = number
}

variable "max_tasks" {
  description = "Most gateways."
  type        = number
}

variable "cpu_target" {
  description = "Load of the processor that scaling aims at, in percent."
  type        = number
  default     = 50
}

variable "connections_per_task" {
  description = "WebSockets a gateway takes at most (GATEWAY_CONNECTIONS)."
  type        = number
  default     = 20000
}

variable "connections_target" {
  description = "Part of them that scaling aims at."
  type        = number
  default     = 0.5
}
