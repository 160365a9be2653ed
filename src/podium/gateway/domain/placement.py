"""On which coordinator a new instance starts. Pure: randomness is handed in."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from podium.base.discovery import CoordinatorRecord
from podium.wire.errors import ErrorCode, PodiumError

PLACEMENT_TRIES: Final = 3
"""How many coordinators are asked before a create call is answered with 503."""

RETRY_SECONDS: Final = 2.0
"""`Retry-After` when no coordinator has room: about how often they tell their load."""

Pick = Callable[[int], int]
"""A random number below the given one."""


def has_room(coordinator: CoordinatorRecord) -> bool:
    """Whether a coordinator takes new agents."""
    load = coordinator.load
    memory_left = load.memory_limit <= 0 or load.memory < load.memory_limit
    return coordinator.state == "active" and load.agents < load.agents_limit and memory_left


def fullness(coordinator: CoordinatorRecord) -> float:
    """How full a coordinator is: the fullest of its agents, memory and processors, 0 to about 1."""
    load = coordinator.load
    agents = load.agents / load.agents_limit if load.agents_limit > 0 else 1.0
    memory = load.memory / load.memory_limit if load.memory_limit > 0 else 0.0
    return max(agents, memory, load.cpu)


def choose(
    coordinators: Sequence[CoordinatorRecord], pick: Pick, *, home: str | None = None, tried: Collection[str] = ()
) -> CoordinatorRecord:
    """The coordinator to try next: the less loaded of two random ones, which spreads a burst better than the least
    loaded of all would while every gateway sees the same slightly old numbers.

    `home` is the coordinator that has the agent's data; only it will do.

    Raises:
        PodiumError: `coordinator_unreachable` or `draining` for `home`, else `no_coordinator_available`.
    """
    if home is not None:
        return _home(coordinators, home, tried)
    candidates = [c for c in coordinators if has_room(c) and c.coordinator_id not in tried]
    if not candidates:
        raise PodiumError(
            ErrorCode.NO_COORDINATOR_AVAILABLE, "no coordinator takes new agents now", retry_after=RETRY_SECONDS
        )
    first = candidates[pick(len(candidates))]
    others = [c for c in candidates if c is not first]
    return min(first, others[pick(len(others))], key=fullness) if others else first


def _home(coordinators: Sequence[CoordinatorRecord], home: str, tried: Collection[str]) -> CoordinatorRecord:
    found = next((c for c in coordinators if c.coordinator_id == home), None)
    if found is None or home in tried:
        raise PodiumError(
            ErrorCode.COORDINATOR_UNREACHABLE, "the coordinator that has this agent is away", retry_after=RETRY_SECONDS
        )
    if found.state == "draining":
        raise PodiumError(
            ErrorCode.DRAINING, "the coordinator that has this agent is draining", retry_after=RETRY_SECONDS
        )
    return found
