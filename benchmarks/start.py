"""How long from the command until the platform answers, and how does that compare?

`python -m benchmarks.start [--rounds N]`
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from benchmarks.peers import langgraph, restate
from benchmarks.peers.install import PeerUnavailableError
from benchmarks.server import free_ports, podium_up


async def _podium(rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        async with podium_up() as server:
            times.append(server.ready_s)
    return times


async def _peer(name: str, rounds: int) -> Row:
    times = []
    try:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                ports = free_ports(4)
                if name == "langgraph":
                    found = await langgraph.measure(Path(folder), ports[0], clients=1, seconds=0.1)
                else:
                    found = await restate.measure(
                        Path(folder), (ports[0], ports[1], ports[2], ports[3]), clients=1, seconds=0.1
                    )
            times.append(found["ready_s"])
    except PeerUnavailableError as reason:
        return Row(f"{name}: command → ready", "skipped", note=str(reason))
    return Row(f"{name}: command → ready", f"{median(times):.2f} s")


async def measure(rounds: int) -> list[Row]:
    """Rows of the table."""
    times = await _podium(rounds)
    spread = f"{min(times):.2f}–{max(times):.2f}, {rounds} rounds"
    rows = [Row("podium up: command → ready", f"{median(times):.2f} s", "< 1.0 s", spread)]
    return [*rows, await _peer("restate", min(rounds, 3)), await _peer("langgraph", min(rounds, 3))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    print(facts())
    print(table("Start", asyncio.run(measure(parser.parse_args().rounds))))
