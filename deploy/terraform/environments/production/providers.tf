# The bucket and region of the state are given with `terraform init -backend-config=backend.hcl`.
terraform {
  required_version = ">= 1.11"

  backend "s3" {
    key          = "podium/production.tfstate"
    encrypt      = true
    use_lockfile = true
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.45"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "podium", Environment = "production" }
  }
}
