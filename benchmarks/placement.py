"""How evenly do gateways that see old numbers spread agents over coordinators, and what would other rules give?

`python -m benchmarks.placement`: gateways place 1,000,000 agents on 1,000 coordinators of two sizes, with the code of the product.
A coordinator tells its load every two seconds, each at a time of its own, so that what is seen is up to two seconds old; it refuses
what it has no room for. All gateways see the same and know nothing of each other's choices, nor even of their own: ten or one of them
make no difference then, and no number of gateways does worse. Hosts fail, are listed for six seconds more, and their agents are placed anew; they come back
empty. Time is simulated: what counts is how the load is spread, over time and at the end.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks.figures import Row, table
from benchmarks.machine import facts
from podium.base.discovery import CoordinatorRecord
from podium.gateway.domain.placement import NEAR, PLACEMENT_TRIES, candidates, fullness, of_two
from podium.wire.rest import Load

COORDINATORS: Final = 1_000
AGENTS: Final = 1_000_000
SIZES: Final = (800, 1_600)
"""How many agents a coordinator takes; every second one is large. In the end 83 % of all places are taken."""

SECONDS: Final = 100.0
STEP: Final = 0.2
TELL_EVERY: Final = 2.0
LISTED: Final = 6.0
FAILURES: Final = 20
"""Hosts that fail, all but the first and the last ten seconds; two percent of all."""

AWAY: Final = 20.0
SETTLED: Final = 0.4
"""Before so much of the agents is placed, a ratio of the highest load to the mean says little: it is not counted."""

Choice = Callable[[Sequence[CoordinatorRecord], random.Random], Callable[[], CoordinatorRecord]]
"""A rule: from what is known, something to call for each agent."""


class Outcome(NamedTuple):
    """`worst`: the highest max/mean load at any time; `last`: at the end. `refused`: calls that a coordinator had no room for, `lost`
    those to one that had failed, `unplaced` creates that found no room in three tries."""

    worst: float
    last: float
    spread: float
    refused: int
    lost: int
    unplaced: int
    seconds: float


class _Host:
    """A coordinator: what it has, what it said last."""

    def __init__(self, number: int) -> None:
        self.name = f"c{number}"
        self.limit = SIZES[number % len(SIZES)]
        self.agents = 0
        self.phase = number % round(TELL_EVERY / STEP)
        self.failed_at: float | None = None
        self.told: CoordinatorRecord | None = None
        self.tell()

    def tell(self) -> None:
        load = Load(self.agents, self.limit, 0.0, 0, 0)
        self.told = CoordinatorRecord(self.name, "", "0", 0, "active", load)

    @property
    def load(self) -> float:
        return self.agents / self.limit


class _World:
    """The hosts, and what becomes of agents that are placed by a rule."""

    def __init__(self, rule: Choice, seed: int) -> None:
        self.random = random.Random(seed)
        self.rule = rule
        self.hosts = {host.name: host for host in map(_Host, range(COORDINATORS))}
        fails = sorted(self.random.uniform(10.0, SECONDS - 10.0) for _ in range(FAILURES))
        self.fails = list(zip(fails, self.random.sample(list(self.hosts.values()), FAILURES), strict=True))
        self.refused = self.lost = self.unplaced = 0
        self.again: list[tuple[float, int]] = []

    def step(self, number: int, now: float) -> None:
        """What happens to hosts between two steps: some fail, some come back, some tell how full they are."""
        while self.fails and self.fails[0][0] <= now:
            _, host = self.fails.pop(0)
            host.failed_at = now
            self.again.append((now + LISTED, host.agents))
            host.agents = 0
        for host in self.hosts.values():
            if host.failed_at is not None:
                if now >= host.failed_at + AWAY:
                    host.failed_at = None
                    host.tell()
                elif now >= host.failed_at + LISTED:
                    host.told = None
            elif number % round(TELL_EVERY / STEP) == host.phase:
                host.tell()

    def due(self, now: float) -> int:
        """Agents of failed hosts that are to be placed anew by now."""
        count = sum(agents for at, agents in self.again if at <= now)
        self.again = [each for each in self.again if each[0] > now]
        return count

    def place(self, count: int) -> None:
        """Places so many agents with what all gateways know now."""
        known = [host.told for host in self.hosts.values() if host.told is not None]
        rules: dict[frozenset[str], Callable[[], CoordinatorRecord]] = {}
        for _ in range(count):
            if not self._place(known, rules):
                self.unplaced += 1

    def _place(
        self, known: list[CoordinatorRecord], rules: dict[frozenset[str], Callable[[], CoordinatorRecord]]
    ) -> bool:
        tried: frozenset[str] = frozenset()
        for _ in range(PLACEMENT_TRIES):
            if tried not in rules:
                rules[tried] = self.rule([each for each in known if each.coordinator_id not in tried], self.random)
            host = self.hosts[rules[tried]().coordinator_id]
            if host.failed_at is None and host.agents < host.limit:
                host.agents += 1
                return True
            tried |= {host.name}
            if host.failed_at is None:
                self.refused += 1
            else:
                self.lost += 1
        return False

    def balance(self) -> tuple[float, float]:
        """Highest and lowest load of hosts that have not failed, as multiples of the mean (all agents over all places)."""
        alive = [host for host in self.hosts.values() if host.failed_at is None]
        mean = sum(host.agents for host in alive) / sum(host.limit for host in alive)
        loads = [host.load for host in alive]
        return max(loads) / mean, min(loads) / mean


def run(rule: Choice, seed: int = 1) -> Outcome:
    """One simulation."""
    started = time.perf_counter()
    world, worst = _World(rule, seed), 0.0
    steps = round(SECONDS / STEP)
    for number in range(steps):
        now = number * STEP
        world.step(number, now)
        world.place(AGENTS // steps + world.due(now))
        if number >= SETTLED * steps:
            worst = max(worst, world.balance()[0])
    highest, lowest = world.balance()
    took = time.perf_counter() - started
    return Outcome(worst, highest, lowest, world.refused, world.lost, world.unplaced, took)


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────


def _below(generator: random.Random) -> Callable[[int], int]:
    draw = generator.random
    return lambda limit: int(draw() * limit)


def podium_rule(known: Sequence[CoordinatorRecord], generator: random.Random) -> Callable[[], CoordinatorRecord]:
    """What the gateway does: the two halves of its `choose`, the first done once for what is known."""
    among, pick = candidates(known), _below(generator)
    return lambda: of_two(among, pick)


def at_random(known: Sequence[CoordinatorRecord], generator: random.Random) -> Callable[[], CoordinatorRecord]:
    """Any one with room."""
    among = candidates(known)
    return lambda: among[int(generator.random() * len(among))]


def the_least(known: Sequence[CoordinatorRecord], generator: random.Random) -> Callable[[], CoordinatorRecord]:
    """The least loaded of all; equals by chance."""
    among = candidates(known)
    lowest = min(map(fullness, among))
    equals = [each for each in among if fullness(each) == lowest]
    return lambda: equals[int(generator.random() * len(equals))]


def near_the_least(known: Sequence[CoordinatorRecord], generator: random.Random) -> Callable[[], CoordinatorRecord]:
    """The less loaded of two random ones among those that are about as loaded as the least loaded."""
    among, pick = candidates(known), _below(generator)
    limit = min(map(fullness, among)) + NEAR
    equals = [each for each in among if fullness(each) <= limit]
    return lambda: of_two(equals, pick)


def the_lower_half(known: Sequence[CoordinatorRecord], generator: random.Random) -> Callable[[], CoordinatorRecord]:
    """The less loaded of two random ones among the less loaded half."""
    among, pick = sorted(candidates(known), key=fullness), _below(generator)
    half = among[: -(-len(among) // 2)]
    return lambda: of_two(half, pick)


RULES: Final[dict[str, Choice]] = {
    "of two random ones (Podium)": podium_rule,
    "of two of the lower half": the_lower_half,
    "of two about as loaded as the least": near_the_least,
    "random": at_random,
    "the least loaded": the_least,
}


def measure() -> list[Row]:
    """Rows of the table, the product's rule first."""
    rows = []
    for name, rule in RULES.items():
        got = run(rule)
        note = (  # the lowest is a host that has come back a moment ago
            f"lowest {got.spread:.2f}; {got.refused} refused, {got.lost} to failed hosts, {got.unplaced} without a place; "
            f"{got.seconds:.0f} s"
        )
        aim = "≤ 1.1" if rule is podium_rule else ""
        rows.append(Row(name, f"{got.last:.3f} at the end, {got.worst:.3f} at worst", aim, note))
    return rows


if __name__ == "__main__":
    print(facts())
    print(table("Placement: highest load as a multiple of the mean", measure()))
