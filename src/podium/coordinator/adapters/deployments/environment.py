"""The virtual environment of a deployment that has dependencies, made by `uv`.

`uv.lock` beside `pyproject.toml` is honoured to the letter (`uv sync --frozen`); else `pyproject.toml` or `requirements.txt` is
resolved now. A deployment with none of them needs no environment and no registry.
"""

import asyncio
import os
import shutil
import signal
import sys
import tomllib
from pathlib import Path
from typing import Final

from podium.wire.errors import ErrorCode, PodiumError

LOG_LINES: Final = 50
"""Last lines of the tool's output that go with a failure."""

_KEPT: Final = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")
_KEPT_PREFIXES: Final = ("UV_", "PIP_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy")


def needs_environment(bundle: Path) -> bool:
    """Whether a Python bundle names dependencies."""
    requirements = bundle / "requirements.txt"
    if requirements.is_file() and _says_something(requirements):
        return True
    project = bundle / "pyproject.toml"
    if not project.is_file():
        return False
    try:
        table = tomllib.loads(project.read_text()).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return True  # uv will say what is wrong with it
    return bool(isinstance(table, dict) and table.get("dependencies"))


async def make_environment(bundle: Path, environment: Path, seconds: float) -> None:
    """Makes `environment` from what `bundle` names.

    Raises:
        PodiumError: `agent_start_failed` with the tool's last lines when it fails or takes longer than `seconds`.
    """
    uv = _uv()
    await _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(environment)], bundle, seconds)
    python = str(environment / "bin" / "python")
    if (bundle / "pyproject.toml").is_file() and (bundle / "uv.lock").is_file():
        command = [uv, "sync", "--frozen", "--no-install-project", "--no-dev", "--active", "--compile-bytecode"]
        await _run(command, bundle, seconds, VIRTUAL_ENV=str(environment))
        return
    named = "requirements.txt" if (bundle / "requirements.txt").is_file() else "pyproject.toml"
    command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, "-r", named]
    await _run(command, bundle, seconds)


def _says_something(requirements: Path) -> bool:
    lines = requirements.read_text(errors="replace").splitlines()
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise PodiumError(ErrorCode.AGENT_START_FAILED, "uv is not installed on this host; install podium[server]")
    return found


async def _run(command: list[str], bundle: Path, seconds: float, **more: str) -> None:
    """Runs a tool in a process group of its own, which is ended when it takes too long or we are cancelled."""
    kept = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=bundle,
        env={**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", **more},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        raise _failed(f"took longer than {seconds:g} s", b"") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        raise _failed("failed", said)


def _failed(how: str, said: bytes) -> PodiumError:
    lines = said.decode(errors="replace").splitlines()[-LOG_LINES:]
    return PodiumError(ErrorCode.AGENT_START_FAILED, f"making the deployment's environment {how}", logs=lines)
