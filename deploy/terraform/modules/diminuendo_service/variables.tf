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

variable "account_id" {
  description = "The account everything is in."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that disks are encrypted with."
  type        = string
}

variable "zone" {
  description = "Zone of the disk; the first subnet must be in it."
  type        = string
}

variable "instance_type" {
  description = "Type of the machine."
  type        = string
}

variable "disk_gib" {
  description = "The disk of sessions, in GiB."
  type        = number
}

variable "snapshot_days" {
  description = "Days a daily snapshot of the disk is kept."
  type        = number
}

variable "target_group_arn" {
  description = "Target group of Diminuendo."
  type        = string
}
