# Who may talk to whom. Everything that is not named here is refused.

locals {
  groups = {
    alb         = "The load balancer: clients reach it, it reaches gateways and Diminuendo"
    gateway     = "Gateways"
    coordinator = "Coordinators and the agents on them"
    diminuendo  = "Diminuendo"
    valkey      = "Valkey: discovery"
  }

  # from → to, on a port.
  ways = {
    alb_gateway        = { from = "alb", to = "gateway", port = var.gateway_port }
    alb_diminuendo     = { from = "alb", to = "diminuendo", port = var.diminuendo_port }
    diminuendo_gateway = { from = "diminuendo", to = "gateway", port = var.gateway_port }
    gateway_to_agents  = { from = "gateway", to = "coordinator", port = var.coordinator_port }
    gateway_valkey     = { from = "gateway", to = "valkey", port = var.valkey_port }
    coordinator_valkey = { from = "coordinator", to = "valkey", port = var.valkey_port }
  }
}

resource "aws_security_group" "this" {
  for_each = local.groups

  name_prefix = "${var.name}-${each.key}-"
  description = each.value
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "way" {
  for_each = local.ways

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  description                  = "to ${each.value.to}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "way" {
  for_each = local.ways

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  description                  = "from ${each.value.from}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# 80 only answers with where 443 is.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = { for pair in setproduct(var.client_cidrs, [80, 443]) : "${pair[0]}-${pair[1]}" => pair }

  security_group_id = aws_security_group.this["alb"].id
  description       = "clients"
  cidr_ipv4         = each.value[0]
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
}

# S3, Secrets Manager, CloudWatch, ECR, and whoever checks tokens: by TLS only.
resource "aws_vpc_security_group_egress_rule" "services" {
  for_each = toset(["gateway", "diminuendo"])

  security_group_id = aws_security_group.this[each.key].id
  description       = "services of AWS and identity providers"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Agents call models, registries of packages and whatever their work needs.
resource "aws_vpc_security_group_egress_rule" "agents" {
  for_each = toset(var.agent_egress_cidrs)

  security_group_id = aws_security_group.this["coordinator"].id
  description       = "what agents call"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = var.agent_egress_ports.from
  to_port           = var.agent_egress_ports.to
}
