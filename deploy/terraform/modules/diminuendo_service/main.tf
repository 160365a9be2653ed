# Diminuendo, the client gateway. Its sessions are SQLite databases, so there is one of it, on a machine whose disk outlives it: a
# machine that is lost is replaced within minutes, and the next one takes the disk.

module "host" {
  source = "../ecs_hosts"

  name                   = "${var.name}-diminuendo"
  partition              = var.partition
  cluster_name           = var.cluster_name
  subnet_ids             = [var.subnet_ids[0]]
  security_group_id      = var.security_group_id
  instance_type          = var.instance_type
  min_size               = 1
  max_size               = 1 # the disk belongs to one machine
  target_capacity        = 100
  min_healthy_percentage = 0
  max_lifetime_days      = 90
  disk_gib               = 30
  kms_key_arn            = var.kms_key_arn
  stop_seconds           = local.stop_seconds
  drain_seconds          = local.stop_seconds + 30
  data_path              = local.data_path

  user_data = <<-SHELL
    token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
    instance=$(curl -fsS -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
    dnf install -y awscli-2
    export AWS_DEFAULT_REGION=${var.region}
    # The machine before may still hold the disk: only what is detached can be taken.
    aws ec2 wait volume-available --volume-ids ${aws_ebs_volume.data.id}
    aws ec2 attach-volume --volume-id ${aws_ebs_volume.data.id} --instance-id "$instance" --device /dev/sdf
    aws ec2 wait volume-in-use --volume-ids ${aws_ebs_volume.data.id}
    until [ -b /dev/sdf ]; do sleep 1; done
    blkid /dev/sdf || mkfs.ext4 -q /dev/sdf
    mount /dev/sdf ${local.data_path}
    install -d -m 0700 -o 10001 -g 10001 ${local.data_path}/diminuendo
  SHELL
}

locals {
  data_path    = "/var/lib/podium"
  stop_seconds = 60

  environment = {
    DIMINUENDO_PORT    = tostring(var.port)
    DIMINUENDO_STOP    = "${local.stop_seconds - 20}s"
    DIMINUENDO_PROXIES = "1" # the load balancer tells where a client comes from
    OTEL_SERVICE_NAME  = "podium-diminuendo"
  }
}

resource "aws_ebs_volume" "data" {
  availability_zone = var.zone
  size              = var.disk_gib
  type              = "gp3"
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  tags              = { Name = "${var.name}-diminuendo", Snapshots = "${var.name}-daily" }

  lifecycle {
    prevent_destroy = true
  }
}

# The machine may take this disk, and no other.
resource "aws_iam_role_policy" "disk" {
  name = "disk"
  role = module.host.role_name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "ec2:AttachVolume"
        Resource = aws_ebs_volume.data.arn
      },
      {
        Effect    = "Allow"
        Action    = "ec2:AttachVolume"
        Resource  = "arn:${var.partition}:ec2:${var.region}:${var.account_id}:instance/*"
        Condition = { StringEquals = { "aws:ResourceTag/Name" = "${var.name}-diminuendo" } }
      },
      {
        # Who attaches an encrypted disk must be able to use its key.
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Resource = var.kms_key_arn
      },
      {
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = var.kms_key_arn
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
      {
        # Looking can't be limited to one disk.
        Effect   = "Allow"
        Action   = "ec2:DescribeVolumes"
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_role" "snapshots" {
  name_prefix = "${var.name}-snapshots-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "dlm.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "snapshots" {
  role       = aws_iam_role.snapshots.name
  policy_arn = "arn:${var.partition}:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"
}

resource "aws_dlm_lifecycle_policy" "daily" {
  description        = "Daily snapshots of Diminuendo's disk"
  execution_role_arn = aws_iam_role.snapshots.arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = { Snapshots = "${var.name}-daily" }

    schedule {
      name      = "daily"
      copy_tags = true

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = ["01:00"]
      }

      retain_rule {
        count = var.snapshot_days
      }
    }
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = "${var.name}-diminuendo"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = var.task_role_arn
  track_latest             = true

  volume {
    name      = "data"
    host_path = "${local.data_path}/diminuendo"
  }

  container_definitions = jsonencode([
    {
      name                   = "diminuendo"
      image                  = var.image
      command                = ["diminuendo"]
      essential              = true
      user                   = "10001"
      readonlyRootFilesystem = true
      stopTimeout            = local.stop_seconds
      portMappings           = [{ containerPort = var.port, protocol = "tcp" }]
      environment            = [for name, value in merge(var.environment, local.environment) : { name = name, value = value }]
      secrets                = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
      mountPoints            = [{ sourceVolume = "data", containerPath = "/var/lib/podium", readOnly = false }]
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      ulimits                = [{ name = "nofile", softLimit = 65535, hardLimit = 65535 }]
      healthCheck = {
        command     = ["CMD", "podium-image", "health", "diminuendo"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 30
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = var.log_group
          awslogs-region        = var.region
          awslogs-stream-prefix = "diminuendo"
        }
      }
    },
    var.collector,
  ])
}

resource "aws_ecs_service" "this" {
  name            = "diminuendo"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = 1
  propagate_tags  = "SERVICE"

  # Never two on one set of databases: the old one ends before the new one begins. Clients reconnect and resume.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  health_check_grace_period_seconds  = 60

  capacity_provider_strategy {
    capacity_provider = module.host.capacity_provider
    weight            = 1
  }

  network_configuration {
    subnets         = [var.subnet_ids[0]]
    security_groups = [var.security_group_id]
  }

  load_balancer {
    target_group_arn = var.target_group_arn
    container_name   = "diminuendo"
    container_port   = var.port
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}
