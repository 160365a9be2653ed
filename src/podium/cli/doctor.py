"""What this host can do: each finding is a small question to the system, and a remedy when the answer is no."""

import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from podium.base.bun import BUN_REMEDY, BUN_VARIABLE, find_bun

ASK_SECONDS: Final = 5.0
"""How long a program may take to say its version."""

PYTHON_MIN: Final = (3, 11)
SQLITE_MIN: Final = (3, 35)
KERNEL_MIN: Final = (5, 4)
BUN_MIN: Final = (1, 4)

_VERSION = re.compile(r"\d+(?:\.\d+)+")


class Finding(NamedTuple):
    """One thing looked at. `needed`: agents can't run without it."""

    what: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = False


def examine() -> list[Finding]:
    """Everything there is to know, in the order people care."""
    return [
        _python(),
        _kernel(),
        _sqlite(),
        _program("uv", "uv", "installs an agent's dependencies; `pip install uv`", [sys.executable, "-m", "uv"]),
        _user(),
        _isolation(),
        _limits(),
        _memory(),
        _workspaces(),
        _bun(),
        _program(
            "Litestream",
            "litestream",
            "for replicas of agents on several hosts; https://litestream.io",
            [],
            ask="version",
        ),
        _variable("Valkey", "VALKEY_URL", "for several hosts; set VALKEY_URL"),
        _variable("S3", "S3_BUCKET", "an object store for several hosts; set S3_BUCKET"),
    ]


def _python() -> Finding:
    good = sys.version_info >= PYTHON_MIN
    return Finding("Python", good, platform.python_version(), "install Python 3.11 or newer", needed=True)


def _kernel() -> Finding:
    release = platform.release()
    good = sys.platform == "linux" and _numbers(release) >= KERNEL_MIN
    found = f"{platform.system()} {release}"
    return Finding("kernel", good, found, "Podium needs Linux 5.4 or newer (pidfd)", needed=True)


def _sqlite() -> Finding:
    good = sqlite3.sqlite_version_info >= SQLITE_MIN
    return Finding("SQLite", good, sqlite3.sqlite_version, "a Python built with SQLite 3.35 or newer", needed=True)


def _user() -> Finding:
    root = os.geteuid() == 0
    found = "root: each agent gets a user id of its own" if root else f"user {os.geteuid()}: agents share it"
    return Finding(
        "user", root, found, "run the coordinator as root (in a container) to give agents user ids of their own"
    )


def _isolation() -> Finding:
    """The level the coordinator would use here, and by which means."""
    try:
        from podium.coordinator.adapters.processes import probe_isolation
        from podium.coordinator.adapters.processes.levels import choose
    except ImportError as error:
        return Finding("isolation", False, f"unknown: {error}", 'install the server: pip install "podium[server]"')
    try:
        facts = probe_isolation()
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return Finding("isolation", False, f"could not be probed: {error}", needed=True)
    plan = choose(None, facts, None)
    means = {
        "process trees in PID namespaces": bool(plan.namespaces),
        "own user ids": bool(plan.identity),
        "user namespaces": bool(plan.users),
    }
    found = f"{plan.level} ({', '.join(name for name, there in means.items() if there) or 'resource limits alone'})"
    remedy = "; ".join(f"{what}: {why}" for what, why in facts.refusals.items())
    return Finding("isolation", plan.level != "none" and bool(plan.namespaces), found, remedy)


_LIMITS: Final = {"memory": "memory", "pids": "processes", "cpu": "processor"}
"""What is limited by which controller of control groups."""


def _limits() -> Finding:
    """Which limits control groups would hold for the whole tree of an agent, and what holds them else."""
    try:
        from podium.coordinator.adapters.processes.hierarchies import survey
    except ImportError as error:
        return Finding("limits", False, f"unknown: {error}", 'install the server: pip install "podium[server]"')
    found = survey()
    versions = {name: each.version for each in found.hierarchies for name in each.controllers}
    held = [f"{what} (cgroup v{versions[name]})" for name, what in _LIMITS.items() if name in versions]
    others = [f"{_LIMITS[name]}: {why}" for name, why in found.refusals.items()]
    told = f"of whole agents: {', '.join(held)}" if held else "of single processes alone, processor not at all"
    return Finding("limits", not others, told, "; ".join(others))


def _memory() -> Finding:
    pages, page = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = pages * page / 2**30
    return Finding(
        "free memory",
        free > 0.5,
        f"{free:.1f} GiB",
        "an agent takes 2 MiB asleep in the template's shadow, more at work",
    )


def _workspaces() -> Finding:
    """How agents' files would be kept here: found out by mounting a workspace for a moment."""
    remedy = (
        "for FUSE give it --device /dev/fuse --cap-add SYS_ADMIN; without it changes are watched for (backend watch)"
    )
    try:
        from chronicle.daemon.client import DaemonProcess
        from chronicle.model.errors import ChronicleError
        from podium.coordinator.adapters.workspaces.trial import tried
    except ImportError as error:
        return Finding("workspaces", False, f"unknown: {error}", 'install the server: pip install "podium[server]"')
    with tempfile.TemporaryDirectory(prefix="podium-doctor-", ignore_cleanup_errors=True) as place:
        directory = Path(place).resolve()
        try:
            daemon = DaemonProcess.start(directory / "daemon", log=subprocess.DEVNULL)
        except (ChronicleError, OSError) as error:
            return Finding("workspaces", False, f"can't be kept: {error}", remedy)
        try:
            found = tried(daemon.daemon, directory / "trial", "auto", for_others=os.geteuid() == 0)
        except (ChronicleError, OSError) as error:
            return Finding("workspaces", False, f"can't be kept: {error}", remedy)
        finally:
            daemon.stop()
    why = f" ({found.why})" if found.why else ""
    return Finding("workspaces", found.backend == "fuse", f"versioned, backend {found.backend}{why}", remedy)


def _bun() -> Finding:
    """What runs agents in TypeScript."""
    path = find_bun()
    if path is None:
        given = os.environ.get(BUN_VARIABLE)
        found = f"{BUN_VARIABLE}={given} is no program" if given else "not found"
        return Finding("Bun", False, found, f"for agents in TypeScript: {BUN_REMEDY}")
    version = _version_of([str(path)])
    if version is None or _numbers(version) < BUN_MIN:
        wanted = ".".join(map(str, BUN_MIN))
        return Finding("Bun", False, f"{version or 'does not run'} ({path})", f"Podium needs Bun {wanted} or newer")
    return Finding("Bun", True, f"{version} ({path})")


def _variable(what: str, variable: str, remedy: str, environment: Mapping[str, str] = os.environ) -> Finding:
    given = bool(environment.get(variable))
    return Finding(what, given, f"{variable} is set" if given else f"{variable} is not set", remedy)


def _program(what: str, name: str, remedy: str, otherwise: list[str], ask: str = "--version") -> Finding:
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    command = [path] if path else otherwise
    version = _version_of(command, ask) if command else None
    if version is None:
        return Finding(what, False, "not found", remedy)
    return Finding(what, True, f"{version}{f' ({path})' if path else ''}")


def _version_of(
    command: list[str],
    ask: str = "--version",
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> str | None:
    try:
        answer = run(
            [*command, ask],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer.stdout + answer.stderr)
    return found[0] if found and answer.returncode == 0 else None


def _numbers(text: str) -> tuple[int, ...]:
    found = _VERSION.search(text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
