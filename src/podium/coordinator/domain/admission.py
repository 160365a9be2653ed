"""Whether a host takes one more agent."""

from typing import NamedTuple

from podium.wire.errors import ErrorCode, PodiumError

RETRY_SECONDS = 2.0
"""When it makes sense to ask again after a refusal: hosts announce their load this often."""


class Room(NamedTuple):
    """How full a host is. `agents` awake; memory of the host in bytes; `disk_free` and what is reserved of it as shares of the disk. A
    limit of 0 means none."""

    agents: int
    agents_limit: int
    memory_used: int
    memory_limit: int
    draining: bool = False
    disk_free: float = 1.0
    disk_reserve: float = 0.0


def admit(room: Room) -> None:
    """Lets one more agent in.

    Raises:
        PodiumError: `draining`, or `no_coordinator_available` when the host is full.
    """
    if room.draining:
        raise PodiumError(ErrorCode.DRAINING, "this host is being drained", retry_after=RETRY_SECONDS)
    if room.agents >= room.agents_limit:
        raise PodiumError(
            ErrorCode.NO_COORDINATOR_AVAILABLE,
            f"this host runs {room.agents} agents, as many as it may",
            retry_after=RETRY_SECONDS,
        )
    if room.memory_limit and room.memory_used >= room.memory_limit:
        raise PodiumError(
            ErrorCode.NO_COORDINATOR_AVAILABLE,
            "this host has no memory left for agents",
            retry_after=RETRY_SECONDS,
        )
    if room.disk_free < room.disk_reserve:
        raise PodiumError(
            ErrorCode.NO_COORDINATOR_AVAILABLE,
            f"the disk of this host has {room.disk_free:.1%} left, too little for more agents",
            retry_after=RETRY_SECONDS,
        )


def accept(disk_free: float, disk_reserve: float) -> None:
    """Takes one more message on.

    Raises:
        PodiumError: `workspace_unavailable`, the disk has only its reserve left.
    """
    if disk_free < disk_reserve:
        raise PodiumError(
            ErrorCode.WORKSPACE_UNAVAILABLE,
            f"the disk of the agent's host has {disk_free:.1%} left; nothing is taken on until there is more room",
            retry_after=RETRY_SECONDS,
        )
