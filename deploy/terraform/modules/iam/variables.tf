variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "service" {
  description = "The service the roles are for."
  type        = string
}

variable "region" {
  description = "The region everything is in."
  type        = string
}

variable "account_id" {
  description = "The account everything is in."
  type        = string
}

variable "repository_arn" {
  description = "Repository of the image."
  type        = string
}

variable "log_group_arns" {
  description = "Where its containers log."
  type        = list(string)
}

variable "metrics_log_group_arn" {
  description = "Where the collector beside it writes metrics."
  type        = string
}

variable "secret_arns" {
  description = "Secrets its containers are given."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key that secrets and objects are encrypted with."
  type        = string
}

variable "buckets" {
  description = "Buckets its code uses, by ARN: `read` or `write`."
  type        = map(string)

  validation {
    condition     = alltrue([for access in values(var.buckets) : contains(["read", "write"], access)])
    error_message = "The access to a bucket is read or write."
  }
}
