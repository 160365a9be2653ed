#!/usr/bin/env bash
# Everything that can be said about the code without running it, in parallel; prints only what is wrong.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
declare -A jobs
start() {
    local name=$1
    shift
    "$@" >"$out/$name" 2>&1 &
    jobs[$name]=$!
}
start ruff $bin/ruff check src tests tools benchmarks examples deploy
start format $bin/ruff format --check -q src tests tools benchmarks examples deploy
start types $bin/mypy src tests tools benchmarks deploy
start layers $bin/lint-imports --no-logo
start sizes $bin/python tools/check_sizes.py
start tests $bin/python tools/check_tests.py
start locks $bin/python tools/check_locks.py
start places $bin/python tools/check_places.py
start schemas $bin/python tools/generate_schemas.py --check
start observability $bin/python tools/generate_observability.py --check
start generated $bin/python tools/generate_typescript.py --check
start typescript bash tools/check_typescript.sh
start docs $bin/python tools/check_docs.py
failed=0
for name in "${!jobs[@]}"; do
    if ! wait "${jobs[$name]}"; then
        failed=1
        echo "── $name"
        cat "$out/$name"
    fi
done
[ $failed = 0 ] && echo "lint: all clean"
exit $failed
