"""What a process finds in its environment and what limits it gets. The environment is built from nothing."""

import os
from typing import Final

from podium.coordinator.adapters.processes import directories
from podium.coordinator.adapters.processes.directories import RUN_NAME, SOCKET_NAME
from podium.coordinator.adapters.processes.orphans import MARK_VARIABLE
from podium.coordinator.adapters.processes.runtimes import runtime_environment
from podium.coordinator.domain.ports import PreparedDeployment, ProcessSpec
from podium.wire.manifest import Limits

OPEN_FILES: Final = 4096
"""Descriptors a process may have open."""

SOCKET_PATH_MAX_BYTES: Final = 107
"""Longest address of a Unix socket; a longer path is given relative to the workspace, where the process starts."""

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_environment(deployment: PreparedDeployment, mark: str) -> dict[str, str]:
    """What a template has, and nothing of the coordinator's beside its `PATH` and `LANG`."""
    return {
        "PATH": f"{deployment.interpreter.parent}:{os.environ.get('PATH', _DEFAULT_PATH)}",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": "/",
        MARK_VARIABLE: mark,
    }


def agent_environment(spec: ProcessSpec, mark: str) -> dict[str, str]:
    """What an agent has: `PATH` and `LANG`, which the author may change, what it was given, and what only we set."""
    base = base_environment(spec.deployment, mark)
    directory = spec.agent_directory.resolve()
    return {
        "PATH": base["PATH"],
        "LANG": base["LANG"],
        "USER": "agent",
        "LOGNAME": "agent",
        **runtime_environment(spec.deployment),
        **spec.environment,
        "HOME": str(directory / "home"),
        "TMPDIR": str(directory / "tmp"),
        "AGENT_WORKSPACE": str(directories.place_of(spec.workspace)),
        "PODIUM_AGENT_ID": spec.agent_id,
        "PODIUM_INSTANCE_ID": spec.instance_id,
        "PODIUM_DEPLOYMENT_ID": spec.deployment.deployment.deployment_id,
        "PODIUM_SOCKET": _socket_path(spec),
        MARK_VARIABLE: mark,
    }


def limits_of(limits: Limits, *, closed: bool, own_user: bool) -> dict[str, int]:
    """`RLIMIT_*` of a process; without `closed` only that it leaves no core files.

    Memory is limited as private writable memory (`DATA`), since address space (`AS`) is reserved in amounts nobody
    uses by allocators, threads and WebAssembly. Processes are counted per user id, so that limit needs one of its own.
    """
    if not closed:
        return {"RLIMIT_CORE": 0}
    chosen = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_DATA": limits.memory,
        "RLIMIT_FSIZE": limits.disk,
    }
    return {**chosen, "RLIMIT_NPROC": limits.processes} if own_user else chosen


def _socket_path(spec: ProcessSpec) -> str:
    path = spec.agent_directory.resolve() / RUN_NAME / SOCKET_NAME
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES:
        return str(path)
    return os.path.relpath(path, directories.place_of(spec.workspace))
