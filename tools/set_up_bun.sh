#!/usr/bin/env bash
# Bun, which runs agents in TypeScript: the pinned program from npm into .tools/bin, unless there is one. Without it
# everything else works, and TypeScript deployments are refused with the reason.
set -uo pipefail
cd "$(dirname "$0")/.."
BUN_VERSION=1.4.5

if [ -n "${PODIUM_BUN:-}" ] || [ "$(.tools/bin/bun --version 2>/dev/null)" = "$BUN_VERSION" ]; then exit 0; fi
case "$(uname -m)" in x86_64) package=@oven/bun-linux-x64 ;; aarch64) package=@oven/bun-linux-aarch64 ;; *) package= ;; esac
# The ordinary build needs AVX2.
if [ "$package" = @oven/bun-linux-x64 ] && ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; then package=$package-baseline; fi

refused() {
    echo "Bun is not installed: $1. Agents in TypeScript can't run here; everything else can."
    echo "Install npm and run this again (bash tools/set_up_bun.sh), or set PODIUM_BUN to the path of a Bun $BUN_VERSION."
    exit 0
}

[ -n "$package" ] || refused "there is none for $(uname -m)"
command -v npm >/dev/null 2>&1 || refused "there is no npm"
# npm knows no SSL_CERT_FILE; where the host's certificates are named by it, npm is told.
export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-${SSL_CERT_FILE:-}}"
said=$(timeout 300 npm install --silent --no-save --no-audit --no-fund --prefix .tools/bun "$package@$BUN_VERSION" 2>&1) ||
    refused "npm could not bring it${said:+ ($(tail -n 1 <<<"$said"))}"
mkdir -p .tools/bin
ln -sfn "../bun/node_modules/$package/bin/bun" .tools/bin/bun
.tools/bin/bun --version >/dev/null 2>&1 || refused "the program does not run on this processor"
echo "done: .tools/bin/bun $BUN_VERSION"
