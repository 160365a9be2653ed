variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of Valkey."
  type        = string
}

variable "port" {
  description = "Port of Valkey."
  type        = number
}

variable "node_type" {
  description = "Type of its nodes."
  type        = string
}

variable "nodes" {
  description = "The primary and its replicas."
  type        = number

  validation {
    condition     = var.nodes >= 2 && var.nodes <= 6
    error_message = "Two to six nodes: one that is lost must not take discovery along."
  }
}

variable "engine_version" {
  description = "Version of Valkey, 7.2 or newer."
  type        = string
  default     = "8.1"
}

variable "snapshot_days" {
  description = "Days a daily snapshot is kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that data at rest and the secret are encrypted with."
  type        = string
}

variable "password_secret_arn" {
  description = "Secret that holds the password."
  type        = string
}

variable "password_version" {
  description = "Grows when the password was drawn anew."
  type        = number
}

variable "secret_recovery_days" {
  description = "Days the secret can be brought back after it was deleted."
  type        = number
}
