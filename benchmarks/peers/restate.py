"""Restate's server with a Python virtual object that counts: time to ready, one durable turn, turns per second at 32 clients."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.figures import median
from benchmarks.peers.install import PeerUnavailableError, npm_peer, python_peer
from benchmarks.peers.ready import seconds_until_ready

_SERVICE = """
import restate

counter = restate.VirtualObject("Counter")

@counter.handler()
async def turn(ctx: restate.ObjectContext, text: str) -> str:
    count = (await ctx.get("count", type_hint=int)) or 0
    ctx.set("count", count + 1)
    return f"seen {count + 1}"

app = restate.app([counter])
"""


@asynccontextmanager
async def _processes(directory: Path, ports: tuple[int, int, int, int]) -> AsyncIterator[float]:
    server = npm_peer("restate", "@restatedev/restate-server") / "restate-server"
    hypercorn = python_peer("restate-sdk", "restate-sdk[serde]", "hypercorn") / "hypercorn"
    (directory / "service.py").write_text(_SERVICE)
    ingress, admin, node, service = ports
    environment = {
        **os.environ,
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "DO_NOT_TRACK": "1",
    }
    started = time.perf_counter()
    process = await _quiet(directory, environment, str(server), "--base-dir", str(directory / "data"))
    bind = f"127.0.0.1:{service}"
    other = await _quiet(directory, dict(os.environ), str(hypercorn), "--bind", bind, "service:app")
    try:
        yield await seconds_until_ready("restate-server", f"http://127.0.0.1:{admin}/health", process, started)
    finally:
        for each in (process, other):
            if each.returncode is None:
                each.terminate()
                await asyncio.wait_for(each.wait(), 15)


async def _quiet(directory: Path, environment: dict[str, str], *command: str) -> asyncio.subprocess.Process:
    null = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, cwd=directory, env=environment, stdout=null, stderr=null)


async def _register(session: aiohttp.ClientSession, admin: int, service: int) -> None:
    for _ in range(100):
        try:
            body = {"uri": f"http://127.0.0.1:{service}"}
            async with session.post(f"http://127.0.0.1:{admin}/deployments", json=body) as answer:
                if answer.status in (200, 201):
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise PeerUnavailableError("restate-server did not take the service")


async def _turn(session: aiohttp.ClientSession, ingress: int, key: str) -> float:
    started = time.perf_counter()
    async with session.post(f"http://127.0.0.1:{ingress}/Counter/{key}/turn", json="x") as answer:
        await answer.read()
        answer.raise_for_status()
    return time.perf_counter() - started


async def measure(
    directory: Path, ports: tuple[int, int, int, int], *, clients: int = 32, seconds: float = 5.0
) -> dict[str, float]:
    """`ready_s`, `first_event_ms` (one whole durable turn, median of 20), `turns_per_s`.

    Raises:
        PeerUnavailableError: it can't be had here.
    """
    ingress, admin, _, service = ports
    async with _processes(directory, ports) as ready:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            await _register(session, admin, service)
            warm = [await _turn(session, ingress, f"warm{n}") for n in range(25)][5:]
            end, done = time.perf_counter() + seconds, 0

            async def client(number: int) -> None:
                nonlocal done
                while time.perf_counter() < end:
                    await _turn(session, ingress, f"agent{number}")
                    done += 1

            started = time.perf_counter()
            await asyncio.gather(*map(client, range(clients)))
            rate = done / (time.perf_counter() - started)
    return {"ready_s": ready, "first_event_ms": median(warm) * 1000, "turns_per_s": rate}
