"""`podium up` as a user starts it, and the few calls benchmarks make of it, with as little client as possible."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.agents import Agent
from podium.base.bundles import pack

READY_SECONDS = 30.0
EXAMPLES = Path(__file__).parent.parent / "examples"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass
class Server:
    """A running platform. `ready_s`: from the command to the first 200 of `/ready`."""

    url: str
    key: str
    data: Path
    pid: int
    ready_s: float
    session: aiohttp.ClientSession

    async def call(
        self, method: str, path: str, body: Any = None, expect: tuple[int, ...] = (200, 201, 202, 204)
    ) -> Any:
        """A REST call; an unexpected status is an AssertionError with the body."""
        async with self.session.request(method, self.url + path, json=body, headers=self.headers) as answer:
            text = await answer.text()
            assert answer.status in expect, f"{method} {path}: {answer.status} {text[:400]}"
            return json.loads(text) if text else None

    @property
    def headers(self) -> dict[str, str]:
        """Authorization."""
        return {"Authorization": f"Bearer {self.key}"}

    async def deploy(self, agent: Agent) -> str:
        """Deploys an agent; returns the deployment id."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / agent.file).write_text(agent.code)
            (Path(folder) / "podium.toml").write_text(agent.manifest)
            bundle = io.BytesIO()
            pack(Path(folder), bundle)
        form = aiohttp.FormData()
        form.add_field("agent_type", agent.agent_type)
        form.add_field("version", "1.0.0")
        bundle.seek(0)
        form.add_field("file", bundle, filename="bundle.tar.gz", content_type="application/gzip")
        async with self.session.post(self.url + "/api/v1/deployments", data=form, headers=self.headers) as answer:
            made = await answer.json()
            assert answer.status in (200, 201), made
            return str(made["deployment_id"])

    async def create(self, deployment_id: str, **more: Any) -> dict[str, Any]:
        """A new instance, ready."""
        return dict(await self.call("POST", "/api/v1/instances", {"deployment_id": deployment_id, **more}))

    def connect(self, instance_id: str, after: int | None = None) -> Any:
        """A WebSocket to the instance (an aiohttp context manager)."""
        query = "" if after is None else f"?after={after}"
        return self.session.ws_connect(
            f"{self.url}/api/v1/instances/{instance_id}/connect{query}",
            headers=self.headers,
            protocols=["podium.v1"],
            max_msg_size=0,
        )

    def processes(self) -> dict[str, int]:
        """Pids of the daemons by name (`gateway`, `coordinator`)."""
        found: dict[str, int] = {}
        for pid in _children(self.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for name in ("gateway", "coordinator"):
                if f"podium.{name}" in command:
                    found[name] = pid
        return found


def descendants(pid: int) -> list[int]:
    """Pids of all processes below `pid`."""
    found, todo = [], [pid]
    while todo:
        with contextlib.suppress(OSError):  # it has ended
            children = _children(todo.pop())
            found += children
            todo += children
    return found


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid: int) -> float:
    """CPU time a process (all its threads, also those that ended) has used so far, without its children, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock of a process, as clock_getcpuclockid(3) makes it


@asynccontextmanager
async def podium_up(**environment: str) -> AsyncIterator[Server]:
    """Starts `podium up` in an empty directory and stops it again."""
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    gateway, coordinator = free_ports(2)
    command = [str(Path(sys.executable).with_name("podium")), "up", "--data", str(folder / "data")]
    ports = {"GATEWAY_PORT": str(gateway), "COORDINATOR_PORT": str(coordinator), "DIMINUENDO_PORT": "0"}
    log = (folder / "log").open("wb")
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **ports, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=folder,
    )
    try:
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            url = f"http://127.0.0.1:{gateway}"
            ready = await _ready(session, url, process, started, folder)
            yield Server(url, await _dev_key(folder), folder / "data", process.pid, ready, session)
    finally:
        process.terminate()
        process.wait(30)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _ready(
    session: aiohttp.ClientSession, url: str, process: subprocess.Popen[bytes], started: float, folder: Path
) -> float:
    while time.perf_counter() - started < READY_SECONDS:
        try:
            async with session.get(url + "/ready") as answer:
                if answer.status == 200:
                    return time.perf_counter() - started
        except aiohttp.ClientError:
            pass
        if process.poll() is not None:
            break
        await asyncio.sleep(0.005)
    raise AssertionError("podium up was not ready: " + (folder / "log").read_text()[-2000:])


async def _dev_key(folder: Path) -> str:
    for _ in range(1000):
        path = folder / "data" / "dev-key"
        if path.exists() and path.read_text().strip():
            return path.read_text().strip()
        await asyncio.sleep(0.01)
    raise AssertionError("podium up wrote no dev-key")
