variable "environment" {
  description = "staging, production: part of every name, and of the keys in the object store."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC, a /16."
  type        = string
}

variable "zone_count" {
  description = "Availability zones in use."
  type        = number
}

variable "nat_per_zone" {
  description = "A NAT gateway for each zone instead of one for all."
  type        = bool
}

variable "internal" {
  description = "The load balancer is reachable from inside the network alone."
  type        = bool
  default     = false
}

variable "client_cidrs" {
  description = "Networks that may reach the load balancer."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "agent_egress_cidrs" {
  description = "Networks that agents may reach."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "agent_egress_ports" {
  description = "TCP ports that agents may reach there. 443 is needed for AWS itself."
  type        = object({ from = number, to = number })
  default     = { from = 443, to = 443 }
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

variable "idle_timeout_seconds" {
  description = "How long a connection may say nothing before the load balancer closes it."
  type        = number
  default     = 300
}

variable "disposable" {
  description = "Nobody would miss it: no protection against deletion, buckets and secrets go with it."
  type        = bool
  default     = false
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "snapshot_days" {
  description = "Days that daily snapshots of Valkey and of Diminuendo's disk are kept."
  type        = number
}

variable "secret_versions" {
  description = "Secrets that were drawn anew, with a number that grows."
  type        = map(number)
  default     = {}
}

variable "valkey_node_type" {
  description = "Type of Valkey's nodes."
  type        = string
}

variable "valkey_nodes" {
  description = "Valkey's primary and replicas."
  type        = number
}

variable "collector_image" {
  description = "The OpenTelemetry collector beside each daemon."
  type        = string
  default     = "public.ecr.aws/aws-observability/aws-otel-collector:v0.46.0"
}

variable "gateway" {
  description = "Gateways: size of one, how many, and settings beyond the defaults."
  type = object({
    cpu         = number
    memory      = number
    min_tasks   = number
    max_tasks   = number
    environment = optional(map(string), {})
  })
}

variable "coordinator" {
  description = "Coordinators: their machines, what of one they get, how many, and settings beyond the defaults."
  type = object({
    instance_type = string
    cpu           = number
    memory        = number
    min_hosts     = number
    max_hosts     = number
    disk_gib      = number
    environment   = optional(map(string), {})
  })
}

variable "diminuendo" {
  description = "Diminuendo: whether there is one, its machine, its disk, and settings beyond the defaults."
  type = object({
    enabled       = bool
    instance_type = string
    cpu           = number
    memory        = number
    disk_gib      = number
    environment   = optional(map(string), {})
  })
}
