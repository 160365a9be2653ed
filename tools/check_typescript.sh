#!/usr/bin/env bash
# Everything that can be said about typescript/ without running it: the types of both packages, of what tests them and measures them, and what oxlint finds with
# them (promises nobody waits for, above all). Brings the pinned compiler and linter with Bun; without Bun says so.
set -uo pipefail
cd "$(dirname "$0")/../typescript"
bun=${PODIUM_BUN:-../.tools/bin/bun}
if [ ! -x "$bun" ]; then
    echo "typescript/ is not checked: there is no Bun (bash tools/set_up_bun.sh brings it)" >&2
    exit 0
fi
said=$("$bun" install --frozen-lockfile 2>&1) || {
    echo "$said"
    exit 1
}
# Run by Bun itself: a host need not have Node.
failed=0
jobs=()
for package in agent client editors ../benchmarks/typescript; do
    "$bun" --bun node_modules/.bin/tsc --pretty false -p "$package" &
    jobs+=($!)
done
"$bun" --bun node_modules/.bin/oxlint --format unix agent client editors || failed=1
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
exit $failed
