"""A cluster at work loses hosts, servers and wires, one after the other, and keeps what it promised.

The seed of every run is printed and can be given with `PODIUM_FAULT_SEED`. `PODIUM_BENCH_SECONDS` asks for a long run, in which all
faults come in random order; `PODIUM_BENCH_FAULTS` names those that are wanted, separated by `;`.
"""

import os
import random
from pathlib import Path

import pytest

from podium.coordinator.adapters.replication.litestream import litestream_path
from tests.faults.cluster.episodes import FAULTS, Fault, named
from tests.faults.cluster.run import Load, at_random, in_order, run_bench

SECONDS = float(os.environ.get("PODIUM_BENCH_SECONDS", "0"))

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="agents of several hosts need root"),
    pytest.mark.skipif(litestream_path() is None, reason="there is no Litestream"),
    pytest.mark.slow,
]


@pytest.mark.timeout(240)
async def test_nothing_promised_is_lost_with_a_host_and_a_gateway(tmp_path: Path) -> None:
    faults = in_order([named("coordinator killed, gone"), named("gateway killed")])
    load = Load(agents=2, clients_each=1, churns=0)
    report = await run_bench(tmp_path, 1, faults, hosts=2, gateways=2, load=load)
    print(report)
    assert report.findings == []
    assert report.acked > 0


@pytest.mark.skipif(not SECONDS, reason="PODIUM_BENCH_SECONDS asks for it")
@pytest.mark.timeout(SECONDS + 1200)
async def test_nothing_promised_is_lost_over_any_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("PODIUM_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed}")
    wanted = [named(name) for name in os.environ.get("PODIUM_BENCH_FAULTS", "").split(";") if name]
    faults: list[Fault] = wanted or list(FAULTS)
    report = await run_bench(tmp_path, seed, at_random(faults, seed, SECONDS), small_disk=True)
    print(report)
    assert report.findings == []
    assert report.episodes
