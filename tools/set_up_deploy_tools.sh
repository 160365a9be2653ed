#!/usr/bin/env bash
# Tools that check deploy/, in an environment of their own (.tools/deploy): Terraform as a library, the protocol of its plugins, a
# policy scanner, a linter of Dockerfiles. They are heavy, and nothing of Podium is built with them: so they are not in uv.lock but in
# tools/deploy_tools.lock, made from tools/deploy_tools.in:
#
#   uv pip compile --universal --generate-hashes --no-header --no-annotate tools/deploy_tools.in -o tools/deploy_tools.lock
set -uo pipefail
cd "$(dirname "$0")/.." || exit

stamp=.tools/deploy/.set-up
if cmp -s tools/deploy_tools.lock "$stamp"; then exit 0; fi
uv=.venv/bin/uv
python=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
said=$({ "$uv" venv --quiet --clear --python "$python" --no-python-downloads .tools/deploy &&
    "$uv" pip install --quiet --python .tools/deploy/bin/python --require-hashes --compile-bytecode -r tools/deploy_tools.lock; } 2>&1) || {
    echo "not installed: the tools that check deploy/ ($(tail -n 1 <<<"$said")); their tests are skipped"
    exit 0
}
cp tools/deploy_tools.lock "$stamp"
echo "done: .tools/deploy"
