"""How fast is a durable turn, alone and with 32 clients at once, and what do peers give in the same run?

`python -m benchmarks.turns [--seconds S] [--rounds N]`
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.agents import ECHO_PYTHON, ECHO_TYPESCRIPT, Agent, runnable
from benchmarks.figures import Row, median, percentile, table
from benchmarks.machine import facts
from benchmarks.peers import langgraph, restate
from benchmarks.peers.install import PeerUnavailableError
from benchmarks.server import Server, cpu_seconds, free_ports, podium_up

CLIENTS = 32


async def _until(socket: Any, *kinds: str) -> float:
    """Reads until an event of one of the kinds comes; returns when the first event of the answer came."""
    async for message in socket:
        head = message.data[:60]
        if any(f'"messageType":"{kind}"' in head for kind in kinds):
            return time.perf_counter()
    raise AssertionError(f"the connection ended with {socket.close_code}")


async def _first_events(server: Server, deployment: str, count: int) -> list[float]:
    instance = await server.create(deployment)
    times = []
    async with server.connect(instance["instance_id"]) as socket:
        for number in range(count + 10):
            started = time.perf_counter()
            await socket.send_str('{"type":"process_message","content":{"text":"x"}}')
            first = await _until(socket, "stream_start")
            await _until(socket, "checkpoint")
            if number >= 10:
                times.append(first - started)
    return times


async def _rate(server: Server, deployment: str, seconds: float) -> tuple[float, dict[str, float]]:
    instances = [await server.create(deployment) for _ in range(CLIENTS)]
    pids = server.processes()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    end, done = time.perf_counter() + seconds, 0

    async def client(instance_id: str) -> None:
        nonlocal done
        async with server.connect(instance_id) as socket:
            while time.perf_counter() < end:
                await socket.send_str('{"type":"process_message","content":{"text":"x"}}')
                await _until(socket, "checkpoint")
                done += 1

    started = time.perf_counter()
    await asyncio.gather(*(client(instance["instance_id"]) for instance in instances))
    took = time.perf_counter() - started
    used = {name: (cpu_seconds(pid) - before[name]) / max(done, 1) * 1e6 for name, pid in pids.items()}
    for instance in instances:
        await server.call("DELETE", f"/api/v1/instances/{instance['instance_id']}")
    return done / took, used


async def _peers(seconds: float) -> list[Row]:
    rows = []
    for name in ("restate", "langgraph"):
        ports = free_ports(4)
        try:
            with tempfile.TemporaryDirectory() as folder:
                if name == "restate":
                    four = (ports[0], ports[1], ports[2], ports[3])
                    found = await restate.measure(Path(folder), four, clients=CLIENTS, seconds=seconds)
                else:
                    found = await langgraph.measure(Path(folder), ports[0], clients=CLIENTS, seconds=seconds)
        except PeerUnavailableError as reason:
            rows.append(Row(name, "skipped", note=str(reason)))
            continue
        durable = "durable" if name == "restate" else "in memory, not durable"
        rows.append(Row(f"{name}: first event, p50", f"{found['first_event_ms']:.1f} ms"))
        rows.append(Row(f"{name}: turns/s, {CLIENTS} clients", f"{found['turns_per_s']:.0f}", note=durable))
    return rows


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Rows of the table. Each round measures every language."""
    async with podium_up() as server:
        agents = [(agent, await server.deploy(agent)) for agent in runnable(ECHO_PYTHON, ECHO_TYPESCRIPT)]
        first = {agent: await _first_events(server, deployment, 200) for agent, deployment in agents}
        rates: dict[Agent, list[tuple[float, dict[str, float]]]] = {agent: [] for agent, _ in agents}
        for _ in range(rounds):
            for agent, deployment in agents:
                rates[agent].append(await _rate(server, deployment, seconds))
    rows = [row for agent, _ in agents for row in _rows(agent.language, first[agent], rates[agent])]
    return [*rows, *await _peers(seconds)]


def _rows(language: str, first: list[float], rates: list[tuple[float, dict[str, float]]]) -> list[Row]:
    found = [rate for rate, _ in rates]
    cpu = ", ".join(f"{name} {used:.0f} µs of CPU a turn" for name, used in rates[-1][1].items())
    spread = f"median of {len(rates)}: {min(found):.0f}–{max(found):.0f}; {cpu}"
    return [
        Row(f"{language}: warm turn, first event, p50", f"{median(first) * 1000:.2f} ms", "< 5 ms", "200 turns"),
        Row(f"{language}: warm turn, first event, p99", f"{percentile(first, 0.99) * 1000:.2f} ms"),
        Row(f"{language}: durable turns/s, {CLIENTS} clients", f"{median(found):.0f}", "> 800", spread),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(facts())
    print(table("Turns", asyncio.run(measure(given.seconds, given.rounds))))
