"""How long until an agent is there: created from a warm template, woken from sleep, back after `kill -9`?

`python -m benchmarks.instances [--count N] [--rounds N]`: creations of each language over all rounds.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field

from benchmarks.agents import ECHO_PYTHON, ECHO_TYPESCRIPT, runnable
from benchmarks.figures import Row, median, percentile, table
from benchmarks.machine import facts
from benchmarks.server import Server, descendants, podium_up

SLEEP_SECONDS = 60.0


async def _create_and_stop(server: Server, deployment: str, count: int) -> list[float]:
    """Seconds from each request for a new agent until it is ready, one after the other."""
    times, made = [], []
    for _ in range(count):
        started = time.perf_counter()
        made.append(await server.create(deployment))
        times.append(time.perf_counter() - started)
    for instance in made:
        await server.call("DELETE", f"/api/v1/instances/{instance['instance_id']}")
    return times


async def _asleep(server: Server, instance_id: str) -> None:
    end = time.perf_counter() + SLEEP_SECONDS
    while time.perf_counter() < end:
        if (await server.call("GET", f"/api/v1/instances/{instance_id}"))["status"] == "asleep":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{instance_id} did not fall asleep")


async def _turn(server: Server, instance_id: str) -> float:
    """Seconds from opening a connection and sending a message to the first event of the answer."""
    started = time.perf_counter()
    async with server.connect(instance_id) as socket:
        await socket.send_json({"type": "process_message", "content": {"text": "x"}})
        async for message in socket:
            if '"stream_start"' in message.data[:40]:
                return time.perf_counter() - started
    raise AssertionError("the connection ended")


async def _wake(server: Server, deployment: str, count: int) -> list[float]:
    """Seconds from a connection to a sleeping agent until it is `ready` again (its `state.status` event)."""
    times = []
    made = [await server.create(deployment, idle_timeout="200ms") for _ in range(count)]
    for instance in made:
        await _asleep(server, instance["instance_id"])
        started = time.perf_counter()
        async with server.connect(instance["instance_id"]) as socket:
            async for message in socket:
                if '"state.status"' in message.data[:60] and '"status":"ready"' in message.data:
                    times.append(time.perf_counter() - started)
                    break
    return times


async def _agent_pid(server: Server, instance_id: str) -> int:
    """The process of an instance: the one below the platform that works in the instance's workspace."""
    workspace = (await server.call("GET", f"/api/v1/instances/{instance_id}"))["workspace"]["path"]
    for pid in descendants(server.pid):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == workspace:
                return pid
    raise AssertionError(f"no process works in {workspace}")


async def _killed(server: Server, deployment: str, rounds: int) -> list[float]:
    """Seconds from SIGKILL of the agent's process until it has answered a new message."""
    times = []
    for _ in range(rounds):
        instance = await server.create(deployment)
        os.kill(await _agent_pid(server, instance["instance_id"]), signal.SIGKILL)
        times.append(await _turn(server, instance["instance_id"]))
        await server.call("DELETE", f"/api/v1/instances/{instance['instance_id']}")
    return times


@dataclass
class _Times:
    """Seconds, by what was measured."""

    cold: float = 0.0
    created: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    woken: list[float] = field(default_factory=list)
    killed: list[float] = field(default_factory=list)


async def _round(server: Server, deployment: str, count: int, times: _Times) -> None:
    times.created += await _create_and_stop(server, deployment, count)
    times.woken += await _wake(server, deployment, max(2, count // 5))
    times.killed += await _killed(server, deployment, 2)


async def measure(count: int, rounds: int) -> list[Row]:
    """Rows of the table. Each round measures every language, so that what else the machine does falls on all of them."""
    found = {agent: _Times() for agent in runnable(ECHO_PYTHON, ECHO_TYPESCRIPT)}
    async with podium_up() as server, podium_up(CHRONICLE_ENABLE="false") as plain:
        deployed = {}
        for agent, times in found.items():
            deployment = await server.deploy(agent)
            started = time.perf_counter()
            await server.create(deployment)
            times.cold = time.perf_counter() - started
            deployed[agent] = (deployment, await plain.deploy(agent))
            await plain.create(deployed[agent][1])
        for _ in range(rounds):
            for agent, times in found.items():
                await _round(server, deployed[agent][0], count // rounds, times)
                times.plain += await _create_and_stop(plain, deployed[agent][1], count // rounds)
    return [row for agent, times in found.items() for row in _rows(agent.language, times)]


def _rows(language: str, times: _Times) -> list[Row]:
    ms = 1000.0
    aims = {"Python": ("< 25 ms", "< 30 ms"), "TypeScript": ("< 40 ms", "")}[language]
    return [
        Row(f"{language}: first instance after deploy", f"{times.cold * ms:.0f} ms"),
        Row(
            f"{language}: create → ready, p50",
            f"{median(times.created) * ms:.1f} ms",
            aims[0],
            f"{len(times.created)} creates",
        ),
        Row(f"{language}: create → ready, p95", f"{percentile(times.created, 0.95) * ms:.1f} ms", "< 80 ms"),
        Row(f"{language}: create → ready, least", f"{min(times.created) * ms:.1f} ms"),
        Row(
            f"{language}: the same with plain directories, p50",
            f"{median(times.plain) * ms:.1f} ms",
            note=f"CHRONICLE_ENABLE=false; least {min(times.plain) * ms:.1f} ms",
        ),
        Row(
            f"{language}: wake → ready, p50", f"{median(times.woken) * ms:.1f} ms", aims[1], f"{len(times.woken)} wakes"
        ),
        Row(f"{language}: kill -9 → answering again, p50", f"{median(times.killed) * ms:.0f} ms", "< 1000 ms"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(facts())
    print(table("Instances", asyncio.run(measure(given.count, given.rounds))))
