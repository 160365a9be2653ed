"""Whatever is done to a pool in whatever order, it has exactly what it must have."""

import shutil
import tempfile
from pathlib import Path

from blake3 import blake3
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chronicle.model.errors import NotFoundError
from chronicle.store.pool import Pool, check, sweep
from tests.unit.chronicle.pool.contents import DAY, Clock, flip, loose_file, noise
from tests.unit.chronicle.pool.remotes import MemoryRemote

CONTENTS = [
    b"",
    b"a",
    noise(200),
    bytes(50_000),
    noise(33_000),
    noise(90_000),
    noise(4_500_000),
    noise(4_500_000) + b"tail",
]
DIGESTS = [blake3(content).digest() for content in CONTENTS]
some = st.lists(st.integers(0, len(CONTENTS) - 1), max_size=4)


class AnyOrder(RuleBasedStateMachine):
    """A pool beside what it must have: content → when it was last counted on."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.used: dict[int, float] = {}
        self.pool = Pool.open(self.directory, clock=self.clock, touch_after_s=0)

    @rule(numbers=some, durable=st.booleans())
    def store(self, numbers: list[int], durable: bool) -> None:
        with self.pool.batch(durable=durable) as batch:
            for number in numbers:
                assert batch.add(CONTENTS[number]).digest == DIGESTS[number]
                self.used[number] = self.clock.now

    @rule(numbers=some)
    def fail_to_store(self, numbers: list[int]) -> None:
        with self.pool.batch() as batch:
            for number in numbers:
                if number not in self.used:
                    batch.add(CONTENTS[number])
            batch.discard()

    @rule(seconds=st.sampled_from([1.0, DAY / 2, DAY]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(live=some, dry_run=st.booleans())
    def collect(self, live: list[int], dry_run: bool) -> None:
        sweep(self.pool, [DIGESTS[number] for number in live], now=self.clock.now, dry_run=dry_run)
        if not dry_run:
            kept = {number for number, at in self.used.items() if at >= self.clock.now - DAY} | set(live)
            self.used = {number: at for number, at in self.used.items() if number in kept}

    @rule()
    def reopen(self) -> None:
        self.pool.close()
        self.pool = Pool.open(self.directory, clock=self.clock, touch_after_s=0)

    @rule()
    def damage_and_heal(self) -> None:
        if 5 not in self.used:
            return
        remote = MemoryRemote()
        remote.bodies[DIGESTS[5]] = b"\x00" + CONTENTS[5]
        flip(loose_file(self.pool, DIGESTS[5]), 1000)
        self.pool.remote = remote
        assert self.pool.read(DIGESTS[5]) == CONTENTS[5]
        self.pool.remote = None
        self.used[5] = self.clock.now

    @invariant()
    def has_exactly_what_it_must_have(self) -> None:
        if not hasattr(self, "pool"):
            return
        for number, content in enumerate(CONTENTS):
            if number in self.used:
                assert self.pool.read(DIGESTS[number]) == content
            else:
                self.is_not_there(number)

    def is_not_there(self, number: int) -> None:
        try:
            self.pool.read(DIGESTS[number])
        except NotFoundError:
            return
        raise AssertionError(f"content {number} is there")

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            assert list(check(self.pool)) == []
            self.pool.close()
            shutil.rmtree(self.directory)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
