#!/usr/bin/env bash
# Programs that only tests run: rsync, git, make, tar, node from the distribution, Bun from npm. What can't be installed is left
# out and said; its tests are skipped with the reason.
set -uo pipefail
cd "$(dirname "$0")/.."
BUN_VERSION=1.4.5

missing=()
for pair in git:git make:make tar:tar rsync:rsync npm:npm node:nodejs; do
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

# npm knows no SSL_CERT_FILE; where the host's certificates are named by it, npm is told.
export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-${SSL_CERT_FILE:-}}"
if ! command -v bun >/dev/null 2>&1 && [ ! -x .tools/bin/bun ]; then
    case "$(uname -m)" in x86_64) package=@oven/bun-linux-x64 ;; aarch64) package=@oven/bun-linux-aarch64 ;; *) package= ;; esac
    if [ -n "$package" ] && command -v npm >/dev/null 2>&1 &&
        npm install --silent --no-save --no-audit --no-fund --prefix .tools/bun "$package@$BUN_VERSION" >/dev/null 2>&1; then
        mkdir -p .tools/bin
        ln -sf "../bun/node_modules/$package/bin/bun" .tools/bin/bun
    else
        echo "not installed: bun (npm could not bring it); its tests are skipped"
    fi
fi
exit 0
