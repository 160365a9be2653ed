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

variable "partition" {
  description = "Partition of AWS, such as aws."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that disks are encrypted with."
  type        = string
}

variable "instance_type" {
  description = "Type of the machines; each runs one coordinator."
  type        = string
}

variable "min_hosts" {
  description = "Fewest coordinators."
  type        = number
}

variable "max_hosts" {
  description = "Most coordinators."
  type        = number
}

variable "disk_gib" {
  description = "Disk of a machine, in GiB: workspaces, deployments, databases."
  type        = number
}

variable "max_lifetime_days" {
  description = "Days after which a machine is replaced."
  type        = number
  default     = 30
}

variable "memory_target" {
  description = "Load of the memory that scaling aims at, in percent."
  type        = number
  default     = 60
}

variable "cpu_target" {
  description = "Load of the processor that scaling aims at, in percent."
  type        = number
  default     = 60
}

variable "stop_seconds" {
  description = "How long a coordinator may take to hand its agents over."
  type        = number
  default     = 120
}
