"""When an agent may be put to sleep."""

from podium.wire.status import InstanceStatus

_SLEEPABLE = frozenset({InstanceStatus.READY, InstanceStatus.WAITING})
"""A ready agent sleeps; so does one that has waited this long for a person: its turn is run again when it is woken, and
what it asked is answered from the durable row."""


def sleep_due(status: InstanceStatus, idle_timeout_ms: int, last_active: float) -> float | None:
    """When (monotonic seconds) the agent should be asked whether it may sleep; None: not as things are."""
    if idle_timeout_ms == 0 or status not in _SLEEPABLE:
        return None
    return last_active + idle_timeout_ms / 1000
