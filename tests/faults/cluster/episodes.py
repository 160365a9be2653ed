"""Faults, each from its beginning to its end: what is done to the cluster, to whom, for how long.

`random.Random` decides victim and duration, so that a seed gives the same faults again; the moment within the work is another each time.
"""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.cluster.bench import Bench
from tests.faults.cluster.network import Link

LITESTREAM: Final = "litestream\0"
CHRONICLE: Final = "chronicled.py"
"""What the commands of the processes of a coordinator have in them."""

AGENT: Final = "boot.py"
"""Templates and agents."""

SHORT: Final = (0.0, 1.0)
LONG: Final = (14.0, 22.0)
"""Longer than it takes until a host counts as lost (TTL 10 s)."""

EITHER: Final = (1.0, 20.0)


@dataclass(frozen=True)
class Episode:
    """A fault that was. `host`: whose agents could suffer, None: all of them. `began`, `ended`: by this machine's clock, in seconds.
    `died`: when its coordinator was dead, so that what was made later was made by another process."""

    name: str
    host: int | None
    began: float
    ended: float
    died: float | None = None

    def __str__(self) -> str:
        where = "" if self.host is None else f" of host {self.host}"
        return f"{self.name}{where}, {self.ended - self.began:.1f} s"


Work = Callable[[Bench, random.Random, int], Awaitable[float | None]]
"""Does it to a host (or to the gateway of that number, as far as there is one), and undoes it. Returns when a coordinator died."""


@dataclass(frozen=True)
class Fault:
    """A fault that can be. `everywhere`: it is no single host's."""

    name: str
    work: Work
    everywhere: bool = False
    needs_small_disk: bool = False

    async def happen(self, bench: Bench, lots: random.Random, busy: Sequence[int]) -> Episode:
        """Does it once, to one of these hosts."""
        host = 0 if self.needs_small_disk else lots.choice(busy)
        began = time.time()
        died = await self.work(bench, lots, host)
        return Episode(self.name, None if self.everywhere else host, began, time.time(), died)


# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────


def _killed(seconds: tuple[float, float]) -> Work:
    async def work(bench: Bench, lots: random.Random, host: int) -> float:
        died = await asyncio.to_thread(bench.kill_coordinator, host)
        await asyncio.sleep(lots.uniform(*seconds))
        bench.hosts[host].start("coordinator")
        return died

    return work


def _stopped(seconds: tuple[float, float]) -> Work:
    async def work(bench: Bench, lots: random.Random, host: int) -> None:
        bench.send("coordinator", host, signal.SIGSTOP)
        await asyncio.sleep(lots.uniform(*seconds))
        bench.send("coordinator", host, signal.SIGCONT)

    return work


async def _gateway_killed(bench: Bench, lots: random.Random, host: int) -> None:
    gateway = bench.gateways[host % len(bench.gateways)]
    await asyncio.to_thread(gateway.kill, "gateway")
    await asyncio.sleep(lots.uniform(0.0, 5.0))
    gateway.start("gateway")


async def _gateway_stopped(bench: Bench, lots: random.Random, host: int) -> None:
    bench.send("gateway", host % len(bench.gateways), signal.SIGSTOP)
    await asyncio.sleep(lots.uniform(0.5, 12.0))
    bench.send("gateway", host % len(bench.gateways), signal.SIGCONT)


def _child_killed(what: str) -> Work:
    async def work(bench: Bench, lots: random.Random, host: int) -> None:
        bench.signal_children(host, what, signal.SIGKILL)
        await asyncio.sleep(lots.uniform(0.0, 2.0))

    return work


def _child_stopped(what: str) -> Work:
    async def work(bench: Bench, lots: random.Random, host: int) -> None:
        bench.signal_children(host, what, signal.SIGSTOP)
        await asyncio.sleep(lots.uniform(1.0, 8.0))
        bench.signal_children(host, what, signal.SIGCONT)

    return work


# ── wires ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _cut(choose: Callable[[Bench, int], Sequence[Link]], seconds: tuple[float, float] = EITHER) -> Work:
    """Silence; sometimes in one direction, sometimes with a reset at the end, when nothing of what was held arrives."""

    async def work(bench: Bench, lots: random.Random, host: int) -> None:
        links = choose(bench, host)
        ways = lots.choice(((), (), ("up",), ("down",)))
        resets = lots.random() < 0.5
        for link in links:
            link.cut(*ways)
        await asyncio.sleep(lots.uniform(*seconds))
        for link in links:
            if resets:
                link.reset()
            link.heal()

    return work


def _from_valkey(bench: Bench, host: int) -> Sequence[Link]:
    return [bench.host_wires[host].valkey]


def _from_s3(bench: Bench, host: int) -> Sequence[Link]:
    return [bench.host_wires[host].s3]


def _from_both(bench: Bench, host: int) -> Sequence[Link]:
    return [bench.host_wires[host].valkey, bench.host_wires[host].s3]


def _from_all(bench: Bench, host: int) -> Sequence[Link]:
    front = bench.host_wires[host].front
    assert front is not None
    return [*_from_both(bench, host), front]


def _from_gateways(bench: Bench, host: int) -> Sequence[Link]:
    front = bench.host_wires[host].front
    assert front is not None
    return [front]


def _gateway_from_valkey(bench: Bench, host: int) -> Sequence[Link]:
    return [bench.gateway_wires[host % len(bench.gateways)].valkey]


async def _slow(bench: Bench, lots: random.Random, host: int) -> None:
    links, seconds = _from_all(bench, host), lots.uniform(0.02, 0.2)
    for link in links:
        link.delay(seconds)
    await asyncio.sleep(lots.uniform(2.0, 10.0))
    for link in links:
        link.heal()


async def _resets(bench: Bench, lots: random.Random, host: int) -> None:
    for _ in range(lots.randint(1, 5)):
        for link in _from_all(bench, host):
            link.reset()
        await asyncio.sleep(lots.uniform(0.0, 1.0))


# ── servers and disks ───────────────────────────────────────────────────────────────────────────────────────────


async def _valkey_killed(bench: Bench, lots: random.Random, host: int) -> None:
    await asyncio.to_thread(bench.valkey.kill)
    await asyncio.sleep(lots.uniform(*EITHER))
    await asyncio.to_thread(bench.valkey.start)


async def _valkey_stopped(bench: Bench, lots: random.Random, host: int) -> None:
    bench.valkey.signal(signal.SIGSTOP)
    await asyncio.sleep(lots.uniform(*EITHER))
    bench.valkey.signal(signal.SIGCONT)


async def _valkey_emptied(bench: Bench, lots: random.Random, host: int) -> None:
    await bench.empty_valkey(lots.uniform(0.0, 8.0))


async def _s3_killed(bench: Bench, lots: random.Random, host: int) -> None:
    await asyncio.to_thread(bench.s3.stop)
    await asyncio.sleep(lots.uniform(*EITHER))
    await asyncio.to_thread(bench.s3.start)


async def _disk_full(bench: Bench, lots: random.Random, host: int) -> None:
    with bench.full_disk():
        await asyncio.sleep(lots.uniform(1.0, 8.0))


FAULTS: Final = (
    Fault("coordinator killed, back at once", _killed(SHORT)),
    Fault("coordinator killed, gone", _killed(LONG)),
    Fault("coordinator stopped", _stopped(EITHER)),
    Fault("coordinator stopped for long", _stopped(LONG)),
    Fault("gateway killed", _gateway_killed, everywhere=True),
    Fault("gateway stopped", _gateway_stopped, everywhere=True),
    Fault("litestream killed", _child_killed(LITESTREAM)),
    Fault("litestream stopped", _child_stopped(LITESTREAM)),
    Fault("chronicle daemon killed", _child_killed(CHRONICLE)),
    Fault("chronicle daemon stopped", _child_stopped(CHRONICLE)),
    Fault("agents killed", _child_killed(AGENT)),
    Fault("host cut from Valkey", _cut(_from_valkey)),
    Fault("host cut from S3", _cut(_from_s3)),
    Fault("host cut from Valkey and S3", _cut(_from_both)),
    Fault("host cut from everything", _cut(_from_all, LONG)),
    Fault("host cut from gateways", _cut(_from_gateways)),
    Fault("gateway cut from Valkey", _cut(_gateway_from_valkey), everywhere=True),
    Fault("host on a slow network", _slow),
    Fault("connections of a host reset", _resets),
    Fault("Valkey killed", _valkey_killed, everywhere=True),
    Fault("Valkey stopped", _valkey_stopped, everywhere=True),
    Fault("Valkey emptied", _valkey_emptied, everywhere=True),
    Fault("S3 killed", _s3_killed, everywhere=True),
    Fault("disk full", _disk_full, needs_small_disk=True),
)
"""Everything the bench can do."""


def named(name: str) -> Fault:
    """The fault of that name."""
    return next(fault for fault in FAULTS if fault.name == name)
