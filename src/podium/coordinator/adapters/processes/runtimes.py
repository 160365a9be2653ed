"""What differs between the runtimes of agents: the commands, the places and the environment of a deployment's processes."""

import sys
from pathlib import Path
from typing import Final

import msgspec

from podium.agent.process import boot
from podium.agent.process.orders import GATE_DESCRIPTOR
from podium.base.bun import sdk_directory
from podium.coordinator.adapters.processes.facts import package_roots
from podium.coordinator.domain.ports import PreparedDeployment
from podium.wire.manifest import Limits

BUN_FLAGS: Final = ("--no-install", "--no-env-file", "--config=/dev/null")
"""Bun would install missing packages by itself, and take `.env` and `bunfig.toml` from where it is started: the workspace."""

BUN_ENVIRONMENT: Final = {
    # Reserved at start and counted as used by the limit of memory: a gigabyte and four. Without the first, code is not compiled.
    "BUN_JSC_jitMemoryReservationSize": str(64 * 2**20),
    "BUN_JSC_structureHeapSizeInKB": str(64 * 2**10),
    # Else each agent keeps compiled copies of large modules in its home, and a crash is reported to Bun's makers.
    "BUN_RUNTIME_TRANSPILER_CACHE_PATH": "0",
    "DO_NOT_TRACK": "1",
}
"""What Bun is told; an author may say something else."""

BUN_RESERVE_BYTES: Final = 288 * 2**20
"""Writable memory Bun 1.4 reserves without using it, measured with `BUN_ENVIRONMENT`: 190 MiB, and 340 MiB while it starts."""

BUN_MEMORY_MIN_BYTES: Final = 64 * 2**20
"""Bun does not start with less."""

BUN_THREADS: Final = 16
"""Threads Bun may have of its own: eight on two processors, for the collector, the compiler and its pool."""


def is_bun(deployment: PreparedDeployment) -> bool:
    """Whether agents of the deployment run on Bun."""
    return deployment.manifest.runtime == "typescript"


def template_command(deployment: PreparedDeployment, sdk: Path) -> list[str]:
    """How a template is started: it is Python for every runtime. Our own interpreter goes without its site packages: an
    agent sees what its deployment declared, the same on every host. `sdk`: see `make_sdk_directory`."""
    python = Path(sys.executable) if is_bun(deployment) else deployment.interpreter
    own = python == Path(sys.executable)
    script = sdk / Path(boot.__file__).resolve().relative_to(package_roots()[0].parent)
    return [str(python), "-I", "-B", *(["-S"] if own else []), str(script)]


def agent_command(deployment: PreparedDeployment, sdk: Path, runner: Path | None, *, waits: bool) -> list[str]:
    """The program of a plain start. `runner`: see `make_runner`; None: the deployment does not run on Bun. `waits`: Bun waits for the
    workspace itself, for it takes a while to start, and needs no workspace for that."""
    run = ["run", str(deployment.directory.resolve()), deployment.manifest.entry]
    if runner is None:
        return [*template_command(deployment, sdk), *run]
    gate = [str(GATE_DESCRIPTOR)] if waits else []
    return [str(deployment.interpreter.resolve()), *BUN_FLAGS, str(runner), *run, *gate]


def homes(deployment: PreparedDeployment, runner: Path | None) -> list[Path]:
    """Where a deployment and what runs it lie. `runner`: as in `agent_command`."""
    directory = deployment.directory.resolve()
    if runner is None:
        return [directory, deployment.interpreter.parent.parent.resolve()]
    modules = directory.parent / "node_modules"
    found = [directory, deployment.interpreter.resolve().parent, sdk_directory(), runner.parent]
    return [*found, modules] if modules.is_dir() else found


def runtime_environment(deployment: PreparedDeployment) -> dict[str, str]:
    """What the runtime is told in an agent's environment."""
    return dict(BUN_ENVIRONMENT) if is_bun(deployment) else {}


def tree_limits(deployment: PreparedDeployment, limits: Limits) -> Limits:
    """The limits of a whole tree: the manifest's, with room for the runtime's own threads, which count as processes, and as much memory
    as it needs to start."""
    if not is_bun(deployment):
        return limits
    memory, processes = max(limits.memory, BUN_MEMORY_MIN_BYTES), limits.processes + BUN_THREADS
    return msgspec.structs.replace(limits, memory=memory, processes=processes)


def process_limits(deployment: PreparedDeployment, limits: Limits) -> Limits:
    """The limits of one process: those of the tree, with room for memory the runtime reserves and does not use."""
    limits = tree_limits(deployment, limits)
    return msgspec.structs.replace(limits, memory=limits.memory + BUN_RESERVE_BYTES) if is_bun(deployment) else limits
