output "execution_role_arn" {
  description = "The role that starts tasks."
  value       = aws_iam_role.execution.arn

  depends_on = [aws_iam_role_policy.execution]
}

output "task_role_arn" {
  description = "The role of the code."
  value       = aws_iam_role.task.arn

  depends_on = [aws_iam_role_policy.task]
}
