variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that secrets are encrypted with."
  type        = string
}

variable "recovery_days" {
  description = "Days a secret that was deleted can be brought back; 0 deletes at once."
  type        = number
}

variable "versions" {
  description = "Secrets that were drawn anew, with a number that grows: { \"cluster-key\" = 2 }."
  type        = map(number)
  default     = {}
}
