variable "name" {
  description = "What machines and capacity provider are named after."
  type        = string
}

variable "partition" {
  description = "Partition of AWS, such as aws."
  type        = string
}

variable "cluster_name" {
  description = "The ECS cluster machines join."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets machines are started in."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the machines."
  type        = string
}

variable "instance_type" {
  description = "Type of the machines."
  type        = string
}

variable "min_size" {
  description = "Fewest machines."
  type        = number
}

variable "max_size" {
  description = "Most machines."
  type        = number
}

variable "target_capacity" {
  description = "How full machines are kept, in percent; below 100 one waits for the next task."
  type        = number
}

variable "min_healthy_percentage" {
  description = "Machines that stay while others are replaced, in percent."
  type        = number
}

variable "max_lifetime_days" {
  description = "Days after which a machine is replaced, by one with the newest system."
  type        = number
}

variable "disk_gib" {
  description = "Size of the disk, in GiB."
  type        = number
}

variable "disk_iops" {
  description = "Operations of the disk in a second; 3000 come without a price."
  type        = number
  default     = 3000
}

variable "disk_throughput" {
  description = "Throughput of the disk, in MiB a second; 125 come without a price."
  type        = number
  default     = 125
}

variable "kms_key_arn" {
  description = "Key that disks are encrypted with."
  type        = string
}

variable "stop_seconds" {
  description = "How long a task may take to stop before it is killed."
  type        = number
}

variable "drain_seconds" {
  description = "How long a machine that is to end waits for its tasks."
  type        = number
}

variable "data_path" {
  description = "Directory of the machine that tasks keep their data in."
  type        = string
}

variable "user_data" {
  description = "More lines of the shell script that a machine starts with."
  type        = string
  default     = ""
}
