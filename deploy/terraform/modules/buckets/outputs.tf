output "names" {
  description = "Buckets by what is in them: deployments, replicas, files, logs."
  value       = { for name, bucket in aws_s3_bucket.this : name => bucket.bucket }

  # Whoever writes logs needs the policy that lets it.
  depends_on = [aws_s3_bucket_policy.this]
}

output "arns" {
  description = "Their ARNs."
  value       = { for name, bucket in aws_s3_bucket.this : name => bucket.arn }
}
