"""How long until an agent is there: created from a warm template, woken from sleep, back after `kill -9`?

`python -m benchmarks.instances [--count N]`
"""

import argparse
import asyncio
import os
import signal
import time
from typing import Any

from benchmarks.figures import Row, median, percentile, table
from benchmarks.machine import facts
from benchmarks.server import Server, podium_up

SLEEP_SECONDS = 60.0


async def _create(server: Server, deployment: str, count: int) -> tuple[list[float], list[dict[str, Any]]]:
    times, made = [], []
    for _ in range(count):
        started = time.perf_counter()
        made.append(await server.create(deployment))
        times.append(time.perf_counter() - started)
    return times, made


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


def _agent_pids(coordinator: int) -> set[int]:
    """Every descendant of the coordinator that has no children: agents, and templates without agents."""
    found, todo = set(), [coordinator]
    while todo:
        pid = todo.pop()
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                children = [int(text) for text in file.read().split()]
        except OSError:
            continue
        todo += children
        if not children and pid != coordinator:
            found.add(pid)
    return found


async def _killed(server: Server, deployment: str, rounds: int) -> list[float]:
    """Seconds from SIGKILL of the agent's process until it has answered a new message."""
    times = []
    for _ in range(rounds):
        coordinator = server.processes()["coordinator"]
        before = _agent_pids(coordinator)
        instance = await server.create(deployment)
        (pid,) = _agent_pids(coordinator) - before or {0}
        assert pid, "the agent's process was not found"
        os.kill(pid, signal.SIGKILL)
        times.append(await _turn(server, instance["instance_id"]))
        await server.call("DELETE", f"/api/v1/instances/{instance['instance_id']}")
    return times


async def measure(count: int) -> list[Row]:
    """Rows of the table."""
    async with podium_up() as server:
        deployment = await server.deploy()
        started = time.perf_counter()
        await server.create(deployment)
        cold = time.perf_counter() - started
        times, made = await _create(server, deployment, count)
        for instance in made:
            await server.call("DELETE", f"/api/v1/instances/{instance['instance_id']}")
        woken = await _wake(server, deployment, max(5, count // 5))
        killed = await _killed(server, deployment, 5)
    ms = 1000.0
    return [
        Row("first instance after deploy (template starts)", f"{cold * ms:.0f} ms"),
        Row("create → ready, warm template, p50", f"{median(times) * ms:.1f} ms", "< 25 ms", f"{count} creates"),
        Row("create → ready, warm template, p95", f"{percentile(times, 0.95) * ms:.1f} ms", "< 80 ms"),
        Row("wake → ready, p50", f"{median(woken) * ms:.1f} ms", "< 30 ms", f"{len(woken)} wakes"),
        Row("kill -9 of the agent → answering again, p50", f"{median(killed) * ms:.0f} ms", "< 1000 ms"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=50)
    print(facts())
    print(table("Instances", asyncio.run(measure(parser.parse_args().count))))
