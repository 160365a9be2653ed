#!/usr/bin/env bash
# Makes .venv from the lock file. Needs a Python >= 3.11 and nothing else; brings its own uv. Agents in TypeScript also need
# Bun, which npm brings where there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

# A Python that other users can read is preferred: run as root, agents get user ids of their own.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 /usr/local/bin/python3 python3 python3.13 python3.12 python3.11; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "Podium needs Python 3.11 or newer; install it (for example: apt-get install python3)." >&2
    exit 1
}

# uv: the one on the PATH, else installed beside us with whichever pip there is.
find_uv() {
    if command -v uv >/dev/null 2>&1; then command -v uv; return; fi
    if [ -x .tools/uv/bin/uv ]; then echo .tools/uv/bin/uv; return; fi
    local pip
    for pip in "$1 -m pip" "python3 -m pip" pip3 pip; do
        if $pip --version >/dev/null 2>&1; then
            $pip install --quiet --disable-pip-version-check --target .tools/uv "uv==${UV_VERSION}" >&2
            echo .tools/uv/bin/uv
            return
        fi
    done
    if "$1" -m venv .tools/uv-venv >/dev/null 2>&1; then
        .tools/uv-venv/bin/pip install --quiet "uv==${UV_VERSION}" >&2
        echo .tools/uv-venv/bin/uv
        return
    fi
    echo "Neither uv nor pip was found; install one (for example: apt-get install python3-pip)." >&2
    exit 1
}

python=$(find_python)
uv=$(find_uv "$python")
echo "setting up .venv with $python"
unset PYTHONDONTWRITEBYTECODE
"$uv" sync --quiet --frozen --compile-bytecode --python "$python" --no-python-downloads
.venv/bin/python -m compileall -q src
echo "done: .venv/bin/podium"
bash tools/set_up_bun.sh
