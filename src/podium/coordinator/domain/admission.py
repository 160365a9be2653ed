"""Whether a host takes one more agent."""

from typing import NamedTuple

from podium.wire.errors import ErrorCode, PodiumError

RETRY_SECONDS = 2.0
"""When it makes sense to ask again after a refusal: hosts announce their load this often."""


class Room(NamedTuple):
    """How full a host is. `agents` awake; memory of the host in bytes; a limit of 0 means none."""

    agents: int
    agents_limit: int
    memory_used: int
    memory_limit: int
    draining: bool = False


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
