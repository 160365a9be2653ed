# Copy to terraform.tfvars and write your own.
region            = "eu-central-1"
certificate_arn   = "arn:aws:acm:eu-central-1:000000000000:certificate/00000000-0000-0000-0000-000000000000"
gateway_domain    = "podium.staging.example.com"
diminuendo_domain = "sessions.staging.example.com"
