"""What do traces and metrics cost the daemons? Two platforms side by side, one with a collector and one without, the same load on
each in turn.

`python -m benchmarks.telemetry [--seconds S] [--rounds N]`
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from benchmarks.agents import ECHO_PYTHON, FLOOD_PYTHON, Agent
from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from benchmarks.server import Server, cpu_seconds, free_ports, podium_up
from benchmarks.stream import CLIENTS, one_round

AIM = "≤ 5 %"

_COLLECTOR = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""Takes everything and keeps nothing."""

_IMPORTS = "import time, podium.gateway.app; t = time.perf_counter(); import podium.base.telemetry.otlp; print(time.perf_counter() - t)"


@asynccontextmanager
async def _collector() -> AsyncIterator[str]:
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-c", _COLLECTOR, str(port)])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def _stream(server: Server, instance: str, events: int) -> float:
    """CPU-seconds of both daemons for an event that is written, committed and sent to all clients."""
    pids = server.processes()
    before = sum(map(cpu_seconds, pids.values()))
    port, path = int(server.url.rsplit(":", 1)[1]), f"/api/v1/instances/{instance}/connect"
    await one_round(server, instance, port, path, pids["gateway"], events, 10)
    return (sum(map(cpu_seconds, pids.values())) - before) / events


async def _turns(server: Server, instance: str, count: int) -> float:
    """CPU-seconds of both daemons for a small turn, asked for by REST: the shortest there is, so that spans weigh most."""
    pids = server.processes()
    before = sum(map(cpu_seconds, pids.values()))
    for _ in range(count):
        await server.call("POST", f"/api/v1/instances/{instance}/messages?wait=true", {"text": "x"})
    return (sum(map(cpu_seconds, pids.values())) - before) / count


async def _made(server: Server, agent: Agent) -> str:
    return str((await server.create(await server.deploy(agent)))["instance_id"])


async def _pairs(rounds: int, once: Callable[[int], Awaitable[float]]) -> tuple[list[float], list[float]]:
    """What `once` gives without a collector (0) and with one (1), in turn; a round before the first warms up."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            took = await once(side)
            if number:
                found[side].append(took)
    return found


def _row(what: str, unit: str, without: list[float], with_: list[float], aim: str = "") -> Row:
    more = median([b / a - 1 for a, b in zip(without, with_, strict=True)])
    shown = f"{median(without) * 1e6:.1f} → {median(with_) * 1e6:.1f} µs CPU a {unit}"
    least = min(with_) / min(without) - 1
    return Row(what, f"{more:+.1%}", aim, f"{shown}; median of {len(without)} pairs, least against least {least:+.1%}")


def _import_seconds() -> float:
    command = [sys.executable, "-c", _IMPORTS]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    runs = [float(subprocess.run(command, check=True, capture_output=True, env=environment).stdout) for _ in range(6)]
    return median(runs[1:])  # the first one compiles


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Rows of the table."""
    events, turns = int(seconds * 5000), int(seconds * 100)
    async with _collector() as url, podium_up() as without, podium_up(OTEL_EXPORTER_OTLP_ENDPOINT=url) as with_:
        servers = (without, with_)
        floods = [await _made(server, FLOOD_PYTHON) for server in servers]
        echoes = [await _made(server, ECHO_PYTHON) for server in servers]
        streamed = await _pairs(rounds, lambda side: _stream(servers[side], floods[side], events))
        # Only now: spans are sent some seconds later, and those of these turns would count for the streams.
        turned = await _pairs(rounds, lambda side: _turns(servers[side], echoes[side], turns))
    return [
        _row(f"streamed events, {CLIENTS} clients", "event", *streamed, aim=AIM),
        _row("small turns by REST", "turn", *turned),
        Row(
            "loading OpenTelemetry, at the start of a daemon",
            f"{_import_seconds() * 1000:.0f} ms",
            "",
            "only with a collector",
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    print(facts())
    print(table("Telemetry", asyncio.run(measure(given.seconds, given.rounds))))
