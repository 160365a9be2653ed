variable "prefix" {
  description = "Beginning of the buckets' names, unique in the world."
  type        = string
}

variable "account_id" {
  description = "The account everything is in."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that objects are encrypted with."
  type        = string
}

variable "log_days" {
  description = "Days the load balancer's access logs are kept."
  type        = number
}

variable "force_destroy" {
  description = "Lets `terraform destroy` remove buckets with what is in them. For environments nobody would miss."
  type        = bool
}
