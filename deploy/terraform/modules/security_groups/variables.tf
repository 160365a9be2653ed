variable "name" {
  description = "What everything of the platform is named after."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "gateway_port" {
  description = "Port of gateways."
  type        = number
}

variable "coordinator_port" {
  description = "Port of coordinators."
  type        = number
}

variable "diminuendo_port" {
  description = "Port of Diminuendo."
  type        = number
}

variable "valkey_port" {
  description = "Port of Valkey."
  type        = number
}

variable "client_cidrs" {
  description = "Networks that may reach the load balancer."
  type        = list(string)
}

variable "agent_egress_cidrs" {
  description = "Networks that agents and coordinators may reach. S3 and the services of AWS must be among them."
  type        = list(string)
}

variable "agent_egress_ports" {
  description = "TCP ports they may reach there."
  type        = object({ from = number, to = number })
}
