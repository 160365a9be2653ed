"""The two daemons as real processes that tests start, kill and start again."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import aiohttp

from tests.noise import leaks
from tests.waiting import free_port, until

Daemon = Literal["gateway", "coordinator"]
READY_SECONDS = 30.0
STOP_SECONDS = 30.0
ENDING_SECONDS = 20.0
"""What a coordinator that was killed leaves behind records and unmounts what it has, and ends."""

ADMIN_KEY = "pod_admin_" + "a" * 40


@dataclass
class Daemons:
    """A gateway and a coordinator over one data directory. `environment` goes over what both are given."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    gateway_port: int = field(default_factory=free_port)
    coordinator_port: int = field(default_factory=free_port)
    _running: dict[Daemon, subprocess.Popen[bytes]] = field(default_factory=dict)
    _logs: dict[Daemon, IO[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where clients reach the gateway."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def data(self) -> Path:
        """The data directory of both."""
        return self.directory / "data"

    def start(self, daemon: Daemon) -> None:
        """Starts one daemon; it must not be running."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(exist_ok=True)
        if daemon == "coordinator":
            leaks.served_places.add(str(self.data.resolve()))
        self._logs[daemon] = (self.directory / f"{daemon}.log").open("ab")
        self._running[daemon] = subprocess.Popen(
            [sys.executable, "-m", f"podium.{daemon}"],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._logs[daemon],
            stderr=self._logs[daemon],
            start_new_session=True,
        )

    def pid(self, daemon: Daemon) -> int:
        """Pid of a running daemon."""
        return self._running[daemon].pid

    def kill(self, daemon: Daemon) -> None:
        """SIGKILL, and reaped, with everything below it, which the kernel ends and this process adopts."""
        process = self._running.pop(daemon)
        process.send_signal(signal.SIGSTOP)  # so that it starts nobody between being looked at and its end
        below = descendants(process.pid)
        process.kill()
        process.wait(STOP_SECONDS)
        reap_adopted(below)
        reap_adopted([pid for pid in leaks.children() if _is_part(pid)])
        self._logs.pop(daemon).close()
        self._serves_no_more(daemon)

    def stop(self, daemon: Daemon) -> int:
        """SIGTERM; returns the exit code, -9 when it had to be killed."""
        process = self._running.pop(daemon)
        below = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait(STOP_SECONDS)
        reap_adopted(below)
        self._logs.pop(daemon).close()
        self._serves_no_more(daemon)
        return code

    def _serves_no_more(self, daemon: Daemon) -> None:
        if daemon == "coordinator":
            leaks.served_places.discard(str(self.data.resolve()))

    def close(self) -> None:
        """Stops what still runs."""
        for daemon in ("gateway", "coordinator"):
            if daemon in self._running:
                self.stop(daemon)

    def said(self, daemon: Daemon) -> str:
        """What a daemon has written so far."""
        return (self.directory / f"{daemon}.log").read_text(errors="replace")

    async def ready(self, *others: "Daemons", coordinators: int = 1) -> None:
        """Waits until the gateway says that everything is ready, and knows of so many coordinators.

        Raises:
            AssertionError: it did not happen in time, or a daemon of these or of the `others` ended; with what was written last.
        """
        end = time.monotonic() + READY_SECONDS
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < end:
                if await _answers(session, f"{self.url}/ready") and await self._knows(session, coordinators):
                    return
                for daemons in (self, *others):
                    daemons.check()
                await asyncio.sleep(0.02)
        raise AssertionError("not ready:\n" + "\n".join(self.said(daemon)[-4000:] for daemon in self._running))

    def check(self) -> None:
        """Fails, with what it wrote last, when a daemon has ended by itself."""
        for daemon, process in self._running.items():
            assert process.poll() is None, f"{daemon} ended:\n{self.said(daemon)[-4000:]}"

    async def start_all(self) -> None:
        """Starts both and waits until they are ready."""
        self.start("coordinator")
        self.start("gateway")
        await self.ready()

    async def key(self, tenant_id: str = "acme", permissions: list[str] | None = None) -> str:
        """A new key of a tenant, made with the admin key."""
        body: dict[str, Any] = {"tenant_id": tenant_id}
        if permissions is not None:
            body["permissions"] = permissions
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.url}/api/v1/keys", json=body, headers={"Authorization": f"Bearer {ADMIN_KEY}"}
            ) as answer,
        ):
            made = await answer.json()
            assert answer.status == 201, made
            return str(made["key"])

    async def _knows(self, session: aiohttp.ClientSession, coordinators: int) -> bool:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with session.get(f"{self.url}/api/v1/coordinators", headers=headers) as answer:
            return answer.status == 200 and len((await answer.json())["items"]) >= coordinators

    def _environment(self) -> dict[str, str]:
        base = {key: value for key, value in os.environ.items() if not key.startswith(("PODIUM_", "OTEL_"))}
        return {
            **base,
            "PODIUM_DATA": str(self.data),
            "GATEWAY_PORT": str(self.gateway_port),
            "COORDINATOR_PORT": str(self.coordinator_port),
            "COORDINATOR_ID": "coord-test",
            "ADMIN_API_KEY": ADMIN_KEY,
            "CLUSTER_KEY": "cluster-key-of-a-test-0123456789",
            "SECRETS_KEY": "secrets-key-of-a-test-0123456789",
            "LOG_FORMAT": "json",
            **self.environment,
        }


def descendants(pid: int) -> list[int]:
    """Pids of all processes below `pid`."""
    found: list[int] = []
    todo = [pid]
    while todo:
        current = todo.pop()
        try:
            tasks = list(Path(f"/proc/{current}/task").iterdir())
            children = [child for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
        found += map(int, children)
        todo += map(int, children)
    return found


def reap_adopted(pids: list[int]) -> None:
    """Reaps those of `pids` that became children of this process (it adopts orphans), when they have ended."""
    for pid in pids:
        with contextlib.suppress(TimeoutError):
            until(partial(_has_ended, pid), ENDING_SECONDS)
        with contextlib.suppress(ChildProcessError):  # its parent has reaped it
            os.waitpid(pid, os.WNOHANG)


def _is_part(pid: int) -> bool:
    """Whether a child of ours is one that a daemon, or one of its children, forked: at the last moment, unseen."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith(("podium-", "chronicle-")) and _has_ended(pid)
    except OSError:
        return False


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
