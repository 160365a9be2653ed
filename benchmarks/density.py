"""What does an idle agent cost, and do 500 of them start and rest without trouble?

`python -m benchmarks.density [--agents N]`. PSS is read from /proc, so shared pages are counted once.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass
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
        found = await _memory(server, deployment, PSS_AGENTS)
        took, errors = await _start(server, deployment, max(0, agents - PSS_AGENTS - 1))
        await asyncio.sleep(2.0)
        before, started = cpu_seconds(coordinator), time.perf_counter()
        await asyncio.sleep(REST_SECONDS)
        share = (cpu_seconds(coordinator) - before) / (time.perf_counter() - started)
    rate = max(1, agents - PSS_AGENTS - 1) / took
    return [
        Row(f"Python: PSS per idle agent, {PSS_AGENTS} agents", _mib(found.agent), "< 3 MiB"),
        Row("PSS of what serves the workspace of each", _mib(found.workspace)),
        Row("coordinator's own memory per agent", _mib(found.coordinator)),
        Row(f"starts up to {agents} agents, {AT_ONCE} at once", f"{rate:.0f}/s", note=f"{len(errors)} errors"),
        Row(f"coordinator at rest with {agents} agents", f"{share * 100:.2f} % of a core", "< 2 %"),
    ]


async def _typescript() -> list[Row]:
    if not runnable(ECHO_TYPESCRIPT):
        return [Row("TypeScript: PSS per idle agent", "skipped", note="there is no Bun")]
    async with podium_up() as server:
        deployment = await server.deploy(ECHO_TYPESCRIPT)
        found = await _memory(server, deployment, PSS_AGENTS_TYPESCRIPT)
    return [
        Row(f"TypeScript: PSS per idle agent, {PSS_AGENTS_TYPESCRIPT} agents", _mib(found.agent)),
        Row(f"TypeScript: starts, {AT_ONCE} at once", f"{PSS_AGENTS_TYPESCRIPT / found.took:.0f}/s"),
    ]


def _mib(size: float) -> str:
    return f"{size / 2**20:.2f} MiB"


@dataclass(frozen=True)
class _Memory:
    """Bytes (PSS) for each agent: its process, what serves its workspace's mount, the coordinator. `took`: seconds to start them."""

    agent: float
    workspace: float
    coordinator: float
    took: float


async def _memory(server: Server, deployment: str, count: int) -> _Memory:
    """What `count` more agents take."""
    coordinator = server.processes()["coordinator"]
    await server.create(deployment)
    before = _by_part(coordinator)
    took, errors = await _start(server, deployment, count)
    assert not errors, f"{len(errors)} of {count} agents did not start: {errors[0]}"
    await asyncio.sleep(SETTLE_SECONDS)
    agent, workspace, own = ((now - then) / count for now, then in zip(_by_part(coordinator), before, strict=True))
    return _Memory(agent, workspace, own, took)


def _by_part(coordinator: int) -> tuple[int, int, int]:
    """PSS of agents (with their templates), of Chronicle's processes, of the coordinator itself."""
    below = descendants(coordinator)
    chronicle = [pid for pid in below if _is_chronicle(pid)]
    return _pss([pid for pid in below if pid not in chronicle]), _pss(chronicle), _pss([coordinator])


def _is_chronicle(pid: int) -> bool:
    try:
        return b"chronicle" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--agents", type=int, default=500)
    print(facts())
    print(table("Density", asyncio.run(measure(parser.parse_args().agents))))
