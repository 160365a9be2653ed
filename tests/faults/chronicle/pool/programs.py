"""Programs that use a pool and may be killed: `python -m tests.faults.chronicle.pool.programs NAME DIRECTORY [...]`."""

import mmap
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chronicle.store.pool import Pool, sweep

GRACE_S = 6.0
TOUCH_S = 2.0


def noise(size: int, seed: int) -> bytes:
    """Bytes that don't compress, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def contents(seed: int) -> list[bytes]:
    """One of each way to be stored."""
    return [noise(300, seed), noise(60_000, seed), noise(5_000_000, seed)]


class SharedClock:
    """Seconds that all processes of a test see, and that only pass when they are told to."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("<q", 1_700_000_000))
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> float:
        seconds: int = struct.unpack("<q", self._memory[:])[0]
        return float(seconds)

    def tick(self) -> None:
        """A second passes."""
        self._memory[:] = struct.pack("<q", int(self()) + 1)

    def close(self) -> None:
        """Lets the memory go."""
        self._memory.close()


def store(directory: Path) -> None:
    """Stores one batch."""
    pool = Pool.open(directory)
    with pool.batch() as batch:
        for content in contents(1):
            batch.add(content)


def store_on_and_on(directory: Path, first: int) -> None:
    """Stores batch after batch and says which are committed; half of what they hold is common to all that run this."""
    pool = Pool.open(directory)
    for number in range(first, first + 100_000):
        with pool.batch() as batch:
            for content in batch_contents(number):
                batch.add(content)
        os.write(1, b"%d\n" % number)


def batch_contents(number: int) -> Iterator[bytes]:
    """What the batch with this number has."""
    yield noise(200, number)
    yield noise(200, -1 - number % 1000)
    yield noise(50_000, number)
    yield noise(50_000, -1 - number % 1000)


def collect(directory: Path) -> None:
    """Sweeps everything."""
    pool = Pool.open(directory)
    sweep(pool, (), grace_s=0, now=time.time() + 7200)


def write_and_read(directory: Path, rounds: int) -> None:
    """Counts on a random few of some contents in each batch, and reads them after it: each must be there. Time passes."""
    clock = SharedClock(directory.parent / "clock")
    pool = Pool.open(directory, clock=clock, touch_after_s=TOUCH_S)
    drawn = random.Random(4711)
    for _ in range(rounds):
        clock.tick()
        seeds = [drawn.randrange(150) for _ in range(12)]
        with pool.batch() as batch:
            stored = [(batch.add(any_content(seed)), seed) for seed in seeds]
        for one, seed in stored:
            if pool.read(one.digest) != any_content(seed):
                sys.exit(f"content {seed} is wrong")
    pool.close()
    clock.close()


def any_content(seed: int) -> bytes:
    """Small, loose or, rarely, in chunks."""
    if seed % 50 == 7:
        return noise(4_300_000, seed)
    return noise(60_000 if seed % 3 else 300, seed)


def sweep_on_and_on(directory: Path) -> None:
    """Sweeps again and again while the file `go` is there, keeping what `live` names; says how much was removed."""
    clock = SharedClock(directory.parent / "clock")
    pool = Pool.open(directory, clock=clock, touch_after_s=TOUCH_S)
    live = [bytes.fromhex(line) for line in (directory.parent / "live").read_text().split()]
    removed = 0
    while os.path.exists(directory.parent / "go"):
        removed += sweep(pool, live, grace_s=GRACE_S, now=clock()).objects
    print(removed)
    pool.close()
    clock.close()


if __name__ == "__main__":
    name, place, *rest = sys.argv[1:]
    programs: dict[str, Callable[..., None]] = {
        program.__name__: program for program in (store, store_on_and_on, collect, write_and_read, sweep_on_and_on)
    }
    programs[name](Path(place), *map(int, rest))
