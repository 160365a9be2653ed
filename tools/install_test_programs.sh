#!/usr/bin/env bash
# Programs that only tests run: rsync, git, make, tar, node, redis-server, openssl, chromium from the distribution. What can't be installed is left
# out and said; its tests are skipped with the reason.
set -uo pipefail
cd "$(dirname "$0")/.."

missing=()
for pair in git:git make:make tar:tar rsync:rsync npm:npm node:nodejs redis-server:redis-server openssl:openssl tini:tini fusermount3:fuse3 chromium:chromium; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        (apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; }) >/dev/null 2>&1 ||
            echo "not installed: ${missing[*]} (apt-get refused); their tests are skipped"
    else
        echo "not installed: ${missing[*]} (needs root and apt-get); their tests are skipped"
    fi
fi

# Bun comes with set-up, which may have had no npm.
bash tools/set_up_bun.sh
# What checks Terraform, Dockerfile and their policies.
bash tools/set_up_deploy_tools.sh
exit 0
