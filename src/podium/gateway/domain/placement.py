"""On which coordinator a new instance starts. Pure: randomness is handed in."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from podium.base.discovery import CoordinatorRecord
from podium.wire.errors import ErrorCode, PodiumError

PLACEMENT_TRIES: Final = 3
"""How many coordinators are asked before a create call is answered with 503."""

RETRY_SECONDS: Final = 2.0
"""`Retry-After` when no coordinator has room: about how often they tell their load."""

NEAR: Final = 0.02
"""Two coordinators whose loads differ by no more than this are equally loaded: what is known of them is up to two seconds old, and of
a processor's load this much is noise. In `benchmarks/placement.py` half or twice as much makes no difference."""

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


def candidates(coordinators: Sequence[CoordinatorRecord], tried: Collection[str] = ()) -> list[CoordinatorRecord]:
    """Those that have room, are not being drained and were not tried."""
    return [each for each in coordinators if has_room(each) and each.coordinator_id not in tried]


def of_two(among: Sequence[CoordinatorRecord], pick: Pick) -> CoordinatorRecord:
    """The less loaded of two random ones, any of them when they are equally loaded (`NEAR`). `among` is not empty."""
    count = len(among)
    place = pick(count)
    first = among[place]
    if count == 1:
        return first
    second = among[(place + 1 + pick(count - 1)) % count]
    return second if fullness(second) < fullness(first) - NEAR else first


def choose(
    coordinators: Sequence[CoordinatorRecord], pick: Pick, *, home: str | None = None, tried: Collection[str] = ()
) -> CoordinatorRecord:
    """The coordinator to try next: the less loaded of two random ones. Of two it is the least loaded one; of many it is one of the
    less loaded, since gateways that see the same slightly old numbers would all send their agents to the least loaded of all,
    which fills it far beyond the others before it can say so (measured in `benchmarks/placement.py`).

    `home` is the coordinator that has the agent's data; only it will do.

    Raises:
        PodiumError: `coordinator_unreachable` or `draining` for `home`, else `no_coordinator_available`.
    """
    if home is not None:
        return _home(coordinators, home, tried)
    left = candidates(coordinators, tried)
    if not left:
        raise PodiumError(
            ErrorCode.NO_COORDINATOR_AVAILABLE, "no coordinator takes new agents now", retry_after=RETRY_SECONDS
        )
    return of_two(left, pick)


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
