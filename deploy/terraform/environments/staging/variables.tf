variable "region" {
  description = "The region everything is in."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of both domains, in ACM."
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

variable "diminuendo_enabled" {
  description = "Whether Diminuendo runs: from the second apply on, when its key is there."
  type        = bool
  default     = false
}
