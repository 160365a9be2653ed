"""What does being a cluster cost at rest, how long is an agent away when its host is lost, what does durability `sync` add?

`python -m benchmarks.cluster [--agents N] [--awake N] [--seconds S] [--only rest,failover,sync]`: two coordinators with Litestream
and Chronicle, one gateway, Valkey and an S3 server (SeaweedFS), real processes on this machine. It takes some minutes.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from benchmarks.server import cpu_seconds
from tests.system.api import Answer, Caller
from tests.system.cluster.cluster import Cluster, running
from tests.system.cluster.followers import Follower, following
from tests.system.daemons import Daemons, descendants
from tests.waiting import wait_until

AT_ONCE: Final = 6
LINGER: Final = "2s"
"""Workspaces of agents that fell asleep are unmounted after this; by default half a minute, which would only be waited for."""

AFTER_KILL_SECONDS: Final = 0.3
"""Events that come later than this after a kill are no longer those that were on their way."""

ECHO: Final = """
from podium.agent import BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx, message):
        ctx.state.count += 1
        (ctx.workspace / "notes").write_text(f"{ctx.state.count}")
        reply = await ctx.send_message()
        await reply.stream_token(f"seen {ctx.state.count}", final=True)
"""

TALKER: Final = """
import asyncio
from podium.agent import BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        for number in range(600):
            await reply.stream_token(f"{number} ")
            await asyncio.sleep(0.1)
"""

KINDS: Final = {
    "litestream": "litestream",
    "podium.coordinator": "coordinators",
    "podium.gateway": "gateway",
    "chronicle": "chronicle",
    "valkey-server": "valkey",
    "weed": "s3 server",
}
"""By what is in a command, what a process is; all others below a coordinator are agents and templates."""


@asynccontextmanager
async def _cluster() -> AsyncIterator[tuple[Cluster, Caller]]:
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-cluster-"))
    cluster = await asyncio.to_thread(running, folder, CHRONICLE_LINGER=LINGER)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            caller = Caller(cluster.gateway, session, await cluster.gateway.key("bench"))
            await cluster.alive(caller, 2)
            yield cluster, caller
    except BaseException:
        for host in cluster.hosts:
            told = [line for line in host.said("coordinator").splitlines() if '"level": "info"' not in line]
            print("\n".join(line[:900] for line in told[-15:]))
        raise
    finally:
        await asyncio.to_thread(cluster.close)
        shutil.rmtree(folder, ignore_errors=True)


def _good(answer: Answer) -> Answer:
    assert answer.status < 300, f"{answer.status} {answer.text[:400]}"
    return answer


# ── at rest ─────────────────────────────────────────────────────────────────────────────────────────────────


async def rest(agents: int, awake: int, seconds: float) -> list[Row]:
    """Processor time over some idle seconds, `agents` of which `awake` are awake and all others sleep."""
    async with _cluster() as (cluster, caller):
        deployment = await caller.deploy(cluster.directory / "agent", "bench-echo", ECHO)
        asleep = await _make(caller, deployment, agents - awake, "2s")
        await _make(caller, deployment, awake, "0")
        await wait_until(lambda: _sleeping(caller, len(asleep)), 300, f"{len(asleep)} agents to sleep")
        pids = [host.pid("coordinator") for host in cluster.hosts]
        await wait_until(lambda: _served(pids) <= awake + 2, 120, "their workspaces to be unmounted")
        await asyncio.sleep(20.0)  # last changes are brought outside, and who is awake comes to rest
        before, began = _spent(cluster), time.perf_counter()
        await asyncio.sleep(seconds)
        after, took = _spent(cluster), time.perf_counter() - began
    share = {kind: 100 * (after[kind][0] - before[kind][0]) / took for kind in after if kind in before}
    counts = {kind: after[kind][1] for kind in after}
    own = sum(share.get(kind, 0.0) for kind in ("coordinators", "litestream", "chronicle"))
    note = f"{agents} agents on two hosts, {awake} awake; {seconds:.0f} s"
    rows = [Row("coordinators, Litestream and Chronicle together", f"{own:.2f} % of a core", "", note)]
    replication = share.get("litestream", 0.0) + share.get("coordinators", 0.0)
    rows.append(Row("of these replication and leases", f"{replication:.2f} % of a core", "< 2 %", "all but Chronicle"))
    return rows + [Row(kind, f"{share[kind]:.2f} %", note=f"{counts[kind]} processes") for kind in sorted(share)]


async def _make(caller: Caller, deployment: str, count: int, idle_timeout: str) -> list[str]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with gate:
            body = {"deployment_id": deployment, "idle_timeout": idle_timeout}
            made = _good(await caller("POST", "/api/v1/instances", json=body)).body
            said = {"text": "hello"}
            _good(await caller("POST", f"/api/v1/instances/{made['instance_id']}/messages?wait=true", json=said))
            return str(made["instance_id"])

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def _sleeping(caller: Caller, count: int) -> bool:
    seen, cursor = 0, ""
    while True:
        page = _good(await caller("GET", f"/api/v1/instances?status=asleep&limit=200{cursor}")).body
        seen += len(page["items"])
        if not page.get("next_cursor"):
            break
        cursor = f"&cursor={page['next_cursor']}"
    await asyncio.sleep(0.5)
    return seen >= count


def _kind(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "gone"
    return next((kind for part, kind in KINDS.items() if part in command), "agents")


def _served(coordinators: list[int]) -> int:
    return sum(1 for pid in coordinators for below in descendants(pid) if _kind(below) == "chronicle") - len(
        coordinators
    )


def _spent(cluster: Cluster) -> dict[str, tuple[float, int]]:
    """Processor seconds and number of processes of each kind."""
    pids = [pid for host in cluster.hosts for pid in (host.pid("coordinator"), *descendants(host.pid("coordinator")))]
    pids.append(cluster.gateway.pid("gateway"))
    count: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for pid in pids:
        kind = _kind(pid)
        try:
            seconds[kind] = seconds.get(kind, 0.0) + cpu_seconds(pid)
        except OSError:
            continue
        count[kind] += 1
    return {kind: (seconds[kind], count[kind]) for kind in seconds}


# ── a host is lost ──────────────────────────────────────────────────────────────────────────────────────────


async def failover(rounds: int) -> list[Row]:
    """From the kill of a coordinator in the middle of a turn to the first event its client sees, from the other host."""
    took: list[float] = []
    async with _cluster() as (cluster, caller):
        deployment = await caller.deploy(cluster.directory / "agent", "bench-talker", TALKER)
        for _ in range(rounds):
            made = await caller.create(deployment)
            home = cluster.named(made["coordinator_id"])
            async with following(caller, made["instance_id"], 1) as (follower,):
                await follower.say("go", "c-1")
                await wait_until(lambda: len(follower.events) > 20, 30, "tokens")
                took.append(await _first_after_kill(home, follower))
            _good(await caller("DELETE", f"/api/v1/instances/{made['instance_id']}"))
            home.start("coordinator")
            await cluster.alive(caller, 2)
    note = f"{rounds} kills, {min(took):.1f} to {max(took):.1f} s"
    return [Row("kill of a host → first event from the other, p50", f"{median(took):.1f} s", "< 15 s", note)]


async def _first_after_kill(home: Daemons, follower: Follower) -> float:
    killed = time.monotonic()
    await asyncio.to_thread(home.kill, "coordinator")
    elsewhere = killed + AFTER_KILL_SECONDS
    await wait_until(lambda: follower.times[-1] > elsewhere, 60, "the turn to go on")
    return next(at for at in follower.times if at > elsewhere) - killed


# ── sync ────────────────────────────────────────────────────────────────────────────────────────────────────


async def sync(messages: int) -> list[Row]:
    """How long a message takes until it is acknowledged, and a turn until its end is told, with and without `sync`."""
    rows = []
    async with _cluster() as (cluster, caller):
        deployment = await caller.deploy(cluster.directory / "agent", "bench-echo", ECHO)
        for name, limits in (("default", {}), ("sync", {"durability": "sync"})):
            made = await caller.create(deployment, limits=limits)
            path = f"/api/v1/instances/{made['instance_id']}/messages"
            acknowledged, ended = [], []
            for number in range(messages):
                began = time.perf_counter()
                _good(await caller("POST", path, json={"text": f"m-{number}"}))
                acknowledged.append(time.perf_counter() - began)
                _good(await caller("POST", f"{path}?wait=true", json={"text": "w"}))
                began = time.perf_counter()
                _good(await caller("POST", f"{path}?wait=true", json={"text": "w"}))
                ended.append(time.perf_counter() - began)
            figures = f"{median(acknowledged) * 1000:.1f} ms, {median(ended) * 1000:.1f} ms"
            rows.append(
                Row(f"message acknowledged, whole turn; durability {name}; p50", figures, "", f"{messages} of each")
            )
    return rows


async def measure(agents: int, awake: int, seconds: float, only: str) -> list[Row]:
    """Rows of the table."""
    rows: list[Row] = []
    if "rest" in only:
        rows += await rest(agents, awake, seconds)
    if "failover" in only:
        rows += await failover(5)
    if "sync" in only:
        rows += await sync(20)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--awake", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", default="rest,failover,sync")
    given = parser.parse_args()
    print(facts())
    print(table("Cluster", asyncio.run(measure(given.agents, given.awake, given.seconds, given.only))))
