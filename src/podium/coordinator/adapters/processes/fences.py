"""What of the file system an agent at level `sandbox` is left: what is its own, its deployment, and a read-only system."""

from collections.abc import Iterable
from typing import Final

from podium.coordinator.adapters.processes.directories import OWN_NAMES
from podium.coordinator.adapters.processes.levels import Plan
from podium.coordinator.domain.ports import ProcessSpec

SYSTEM: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/proc",
    "/sys",
    "/dev",
)
"""What any program may read and run, as far as the host's own permissions let it."""

DEVICES: Final = (
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
)
"""What any program may write to."""


def around(spec: ProcessSpec, plan: Plan, visible: Iterable[str]) -> tuple[list[str], list[str]]:
    """What may be read, and what may be written, by the agent of `spec`. `visible`: its deployment and what runs it, without the directory all
    agents are in."""
    directory = spec.agent_directory.resolve()
    readable = [*SYSTEM, *(path for path in visible if path != str(directory.parent))]
    # A fence drawn before the workspace is mounted can't name it, but its directory, in which only what is its own is open to its user id.
    own = (
        [directory]
        if can_be_drawn_early(plan)
        else [directory / spec.workspace.name, *(directory / name for name in OWN_NAMES)]
    )
    return readable, [*DEVICES, *map(str, own)]


def can_be_drawn_early(plan: Plan) -> bool:
    """Whether a fence may be drawn before the workspace is there: around the agent's whole directory, where its user id has access to nothing that
    is not its own."""
    return bool(plan.identity) or not plan.sandboxed
