"""What does an idle agent cost, and do 500 of them start and rest without trouble?

`python -m benchmarks.density [--agents N]`. PSS is read from /proc, so shared pages are counted once.
"""

import argparse
import asyncio
import time
from pathlib import Path

from benchmarks.agents import ECHO_PYTHON, ECHO_TYPESCRIPT, runnable
from benchmarks.figures import Row, table
from benchmarks.machine import facts
from benchmarks.server import Server, cpu_seconds, descendants, podium_up

AT_ONCE = 16
REST_SECONDS = 10.0
SETTLE_SECONDS = 2.0
"""From the last start until memory is read."""

PSS_AGENTS = 200
PSS_AGENTS_TYPESCRIPT = 100


def _pss(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(text.split("Pss:")[1].split()[0]) * 1024
    return total


async def _start(server: Server, deployment: str, count: int) -> tuple[float, list[str]]:
    """Seconds until all were ready, and what was said about those that were not."""
    gate, errors = asyncio.Semaphore(AT_ONCE), []

    async def one() -> None:
        async with gate:
            try:
                await server.create(deployment)
            except AssertionError as refused:
                errors.append(str(refused))

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return time.perf_counter() - started, errors


async def measure(agents: int) -> list[Row]:
    """Rows of the table."""
    return [*await _python(agents), *await _typescript()]


async def _python(agents: int) -> list[Row]:
    async with podium_up() as server:
        deployment = await server.deploy(ECHO_PYTHON)
        coordinator = server.processes()["coordinator"]
        each, each_self, _ = await _memory(server, deployment, PSS_AGENTS)
        took, errors = await _start(server, deployment, max(0, agents - PSS_AGENTS - 1))
        await asyncio.sleep(2.0)
        before, started = cpu_seconds(coordinator), time.perf_counter()
        await asyncio.sleep(REST_SECONDS)
        share = (cpu_seconds(coordinator) - before) / (time.perf_counter() - started)
    rate = max(1, agents - PSS_AGENTS - 1) / took
    return [
        Row(f"Python: PSS per idle agent, {PSS_AGENTS} agents", f"{each / 2**20:.2f} MiB", "< 3 MiB"),
        Row("coordinator's own memory per agent", f"{each_self / 2**20:.2f} MiB"),
        Row(f"starts up to {agents} agents, {AT_ONCE} at once", f"{rate:.0f}/s", note=f"{len(errors)} errors"),
        Row(f"coordinator at rest with {agents} agents", f"{share * 100:.2f} % of a core", "< 2 %"),
    ]


async def _typescript() -> list[Row]:
    if not runnable(ECHO_TYPESCRIPT):
        return [Row("TypeScript: PSS per idle agent", "skipped", note="there is no Bun")]
    async with podium_up() as server:
        deployment = await server.deploy(ECHO_TYPESCRIPT)
        each, _, took = await _memory(server, deployment, PSS_AGENTS_TYPESCRIPT)
    return [
        Row(f"TypeScript: PSS per idle agent, {PSS_AGENTS_TYPESCRIPT} agents", f"{each / 2**20:.2f} MiB"),
        Row(f"TypeScript: starts, {AT_ONCE} at once", f"{PSS_AGENTS_TYPESCRIPT / took:.0f}/s"),
    ]


async def _memory(server: Server, deployment: str, count: int) -> tuple[float, float, float]:
    """Bytes each of `count` more agents takes, what the coordinator itself takes for it, and seconds until all were ready."""
    coordinator = server.processes()["coordinator"]
    await server.create(deployment)
    base, base_self = _pss(descendants(coordinator)), _pss([coordinator])
    took, errors = await _start(server, deployment, count)
    assert not errors, f"{len(errors)} of {count} agents did not start: {errors[0]}"
    await asyncio.sleep(SETTLE_SECONDS)
    each = (_pss(descendants(coordinator)) - base) / count
    return each, (_pss([coordinator]) - base_self) / count, took


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--agents", type=int, default=500)
    print(facts())
    print(table("Density", asyncio.run(measure(parser.parse_args().agents))))
