# One load balancer for clients: REST and WebSockets of the gateways under one name, Diminuendo under another.

resource "aws_lb" "this" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.subnet_ids
  security_groups            = [var.security_group_id]
  idle_timeout               = var.idle_timeout_seconds
  client_keep_alive          = 3600
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "defensive"
  enable_deletion_protection = var.deletion_protection

  access_logs {
    bucket  = var.log_bucket
    prefix  = "alb"
    enabled = true
  }
}

locals {
  targets = {
    gateway    = { port = var.gateway_port, health = "/ready" }
    diminuendo = { port = var.diminuendo_port, health = "/health" }
  }
}

resource "aws_lb_target_group" "this" {
  for_each = local.targets

  name_prefix          = substr(each.key, 0, 6)
  vpc_id               = var.vpc_id
  port                 = each.value.port
  protocol             = "HTTP"
  target_type          = "ip"
  deregistration_delay = var.deregistration_seconds

  # A WebSocket is one long request: the target with the fewest of them gets the next.
  load_balancing_algorithm_type = "least_outstanding_requests"

  # Any gateway can serve any client: what a client needs to resume is in its own cursor.
  stickiness {
    enabled = false
    type    = "lb_cookie"
  }

  health_check {
    path                = each.value.health
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  # A name nobody has been told of is answered nothing.
  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each = { gateway = var.gateway_domain, diminuendo = var.diminuendo_domain }

  listener_arn = aws_lb_listener.https.arn
  priority     = each.key == "gateway" ? 10 : 20

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }

  condition {
    host_header {
      values = [each.value]
    }
  }
}

# The metrics pages are for operators, inside.
resource "aws_lb_listener_rule" "metrics" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 1

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }

  condition {
    path_pattern {
      values = ["/metrics"]
    }
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
