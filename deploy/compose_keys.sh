#!/usr/bin/env bash
# Draws the keys of deploy/compose.yaml into deploy/.env, readable by its owner alone. Keys that are there stay.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
touch .env
chmod 600 .env
for name in CLUSTER_KEY SECRETS_KEY METRICS_KEY VALKEY_PASSWORD MINIO_PASSWORD ADMIN_API_KEY; do
    grep -q "^$name=" .env && continue
    prefix=""
    [ "$name" = ADMIN_API_KEY ] && prefix=pod_admin_
    echo "$name=$prefix$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" >>.env
done
echo "keys are in deploy/.env"
