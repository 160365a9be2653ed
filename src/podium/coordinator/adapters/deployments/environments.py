"""The virtual environment of a deployment, made by `uv` from what the bundle declares.

`uv.lock` beside a `pyproject.toml` is followed to the letter; else `requirements.txt`, else the dependencies of
`pyproject.toml`. A bundle that declares none gets no environment. Building a dependency from source runs its code: as
root, `uv` runs under a user id of its own.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from podium.agent.process import boot
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import START_FAILURE_LOG_LINES

BUILDER_UID: Final = 189_999
"""User and group id `uv` runs under when the coordinator is root."""

OUTPUT_KEPT_BYTES: Final = 256 * 1024
"""What `uv` printed last, kept for the error."""

_PASSED: Final = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_PASSED_PREFIXES: Final = ("UV_", "PIP_")


def commands(bundle: Path, environment: Path, uv: str) -> list[list[str]]:
    """What must be run to make `environment`; nothing when the bundle declares no dependencies.

    Raises:
        PodiumError: `invalid_bundle`, `pyproject.toml` is no TOML.
    """
    declared = _declared(bundle)
    if declared is None:
        return []
    make = [uv, "venv", "--relocatable", "--no-project", "--python", sys.executable, str(environment)]
    if declared == "uv.lock":
        install = [
            uv,
            "sync",
            "--frozen",
            "--no-dev",
            "--no-install-project",
            "--no-editable",
            "--project",
            str(bundle),
        ]
    else:
        install = [uv, "pip", "install", "--python", str(environment / "bin" / "python"), "-r", str(bundle / declared)]
    return [make, install]


def uv_path() -> str:
    """The `uv` that is installed beside the coordinator, or the one on `PATH`.

    Raises:
        PodiumError: `agent_start_failed`, there is none.
    """
    found = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if found is None:
        raise PodiumError(ErrorCode.AGENT_START_FAILED, "this host has no uv to install dependencies with")
    return found


async def make_environment(bundle: Path, making: Path, seconds: float, mark: Mapping[str, str]) -> bool:
    """Makes `making/env` if the bundle needs it; whether it did. `mark` goes into the tool's environment.

    Raises:
        PodiumError: `agent_start_failed` with the tool's last lines; nothing of it runs on.
    """
    environment, scratch = making / "env", making / "scratch"
    todo = commands(bundle, environment, uv_path()) if _declared(bundle) else []
    if not todo:
        return False
    environment.mkdir(mode=0o755)
    scratch.mkdir(mode=0o700)
    cache = _cache(making)
    cache.mkdir(mode=0o700, exist_ok=True)
    before = _under(making)
    if before:
        for directory in (environment, scratch, cache):
            os.chown(directory, BUILDER_UID, BUILDER_UID)
    variables = {**_passed(), **mark, "UV_PROJECT_ENVIRONMENT": str(environment), "UV_CACHE_DIR": str(cache)}
    variables |= {"HOME": str(scratch), "TMPDIR": str(scratch), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    try:
        async with asyncio.timeout(seconds):
            for command in todo:
                await _run([*before, *command], bundle, variables)
    except TimeoutError:
        raise PodiumError(
            ErrorCode.AGENT_START_FAILED, f"installing its dependencies took more than {seconds:g} s"
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if before:
        await asyncio.to_thread(_take_back, environment)
    return True


def _declared(bundle: Path) -> str | None:
    """Which file declares dependencies: `uv.lock`, `requirements.txt` or `pyproject.toml`; None: none does."""
    project = _project_dependencies(bundle / "pyproject.toml")
    if project and (bundle / "uv.lock").is_file():
        return "uv.lock"
    requirements = bundle / "requirements.txt"
    if requirements.is_file():
        lines = (line.strip() for line in requirements.read_text(errors="replace").splitlines())
        if any(line and not line.startswith("#") for line in lines):
            return "requirements.txt"
    return "pyproject.toml" if project else None


def _project_dependencies(file: Path) -> list[str]:
    if not file.is_file():
        return []
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PodiumError(ErrorCode.INVALID_BUNDLE, f"pyproject.toml is no TOML: {error}") from error
    dependencies = project.get("dependencies", []) if isinstance(project, dict) else []
    return dependencies if isinstance(dependencies, list) else []


def _under(making: Path) -> list[str]:
    """What to put before a command so that, as root, it runs under the builder's user id; nothing for others."""
    if os.geteuid() != 0:
        return []
    roots = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), making.resolve(), _cache(making).resolve()}
    visible = sorted(str(path) for path in roots | {Path(uv_path()).resolve().parent})
    return [sys.executable, "-I", "-B", boot.__file__, "under", str(BUILDER_UID), json.dumps(visible)]


def _cache(making: Path) -> Path:
    return making.parent.parent / ".cache"


def _passed() -> dict[str, str]:
    """What of our environment the tool needs: how to reach the network, and its own settings. No secret of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _PASSED or name.startswith(_PASSED_PREFIXES)
    }


async def _run(command: list[str], directory: Path, variables: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    output = bytearray()
    try:
        assert process.stdout is not None
        while chunk := await process.stdout.read(64 * 1024):
            output += chunk
            del output[:-OUTPUT_KEPT_BYTES]
        code = await process.wait()
    finally:  # also when cancelled or out of time
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await process.wait()
    if code != 0:
        lines = output.decode(errors="replace").splitlines()[-START_FAILURE_LOG_LINES:]
        raise PodiumError(ErrorCode.AGENT_START_FAILED, "its dependencies could not be installed", logs=lines)


def _take_back(directory: Path) -> None:
    """What was installed belongs to root again, so that no build of another deployment can change it."""
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            os.chown(os.path.join(parent, name), 0, 0, follow_symlinks=False)
    os.chown(directory, 0, 0)
