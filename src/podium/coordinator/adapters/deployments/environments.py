"""The virtual environment of a deployment, made by `uv` from what the bundle declares.

`uv.lock` beside a `pyproject.toml` is followed to the letter; else `requirements.txt`, else the dependencies of
`pyproject.toml`. A bundle that declares none gets no environment. Building a dependency from source runs its code: as
root, `uv` runs under a user id of its own.
"""

import asyncio
import os
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path

from podium.coordinator.adapters.deployments.tools import BUILDER_UID, passed, run_all, take_back, under_builder
from podium.wire.errors import ErrorCode, PodiumError


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
    cache = making.parent.parent / ".cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    before = under_builder([making, cache, Path(uv_path()).resolve().parent])
    as_root = os.geteuid() == 0
    if as_root:
        for directory in (environment, scratch, cache):
            os.chown(directory, BUILDER_UID, BUILDER_UID)
    variables = {**passed(("UV_", "PIP_")), **mark, "UV_PROJECT_ENVIRONMENT": str(environment)}
    variables |= {"UV_CACHE_DIR": str(cache), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    variables |= {"HOME": str(scratch), "TMPDIR": str(scratch)}
    try:
        await run_all([[*before, *command] for command in todo], bundle, variables, seconds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if as_root:
        await asyncio.to_thread(take_back, environment)
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
