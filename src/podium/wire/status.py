"""The states of an instance, as they appear on the wire."""

from enum import StrEnum
from typing import Final


class InstanceStatus(StrEnum):
    """Where an instance is in its life; the transitions are data in the coordinator's domain."""

    DEPLOYING = "deploying"
    INITIALIZING = "initializing"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    ASLEEP = "asleep"
    STOPPING = "stopping"
    TERMINATED = "terminated"
    FAILED = "failed"


OVER: Final = frozenset({InstanceStatus.TERMINATED, InstanceStatus.FAILED})
"""States that are never left."""

ALIVE: Final = frozenset(InstanceStatus) - OVER
"""States in which the instance holds its agent: another deployment of the agent is refused."""
