"""A cluster whose every wire can fail: each daemon reaches Valkey and S3, and gateways each coordinator, over links of their own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from podium.base.discovery import DiscoveryUnavailableError
from podium.base.discovery.valkey import ValkeyDiscovery
from tests.contract.servers import Server
from tests.faults.cluster.network import Link, Network
from tests.noise import leaks
from tests.system.cluster.cluster import Cluster
from tests.system.daemons import ADMIN_KEY, Daemon, Daemons, descendants, reap_adopted
from tests.waiting import wait_until

KEPT: Final = ("appendonly yes", "appendfsync always")
"""Valkey as it is to be run: what it acknowledged is on its disk."""

SMALL_DISK: Final = "400m"
"""Size of the disk that can be filled: an agent and its host need some tens of megabytes."""

HOST_SECONDS: Final = 60.0
"""How long a daemon may take to be there again on a busy machine."""


@dataclass(frozen=True)
class Wires:
    """The links of one daemon. `front`: how gateways reach a coordinator; None for a gateway."""

    valkey: Link
    s3: Link
    front: Link | None = None


class Bench(Cluster):
    """`small_disk`: the data of host 0 lie on a disk that can be filled; needs root."""

    def __init__(
        self, directory: Path, network: Network, hosts: int = 3, gateways: int = 2, *, small_disk: bool = False
    ) -> None:
        super().__init__(directory, hosts, gateways)
        self.valkey = Server(directory / "valkey-kept", *KEPT)
        self.host_wires = [self._wired(network, host) for host in self.hosts]
        self.gateway_wires = [self._wired(network, gateway) for gateway in self.gateways]
        for host, wires in zip(self.hosts, self.host_wires, strict=True):
            assert wires.front is not None
            host.environment["COORDINATOR_URL"] = f"http://127.0.0.1:{wires.front.port}"
        self._small_disk = small_disk
        self._mounted = False

    def _wired(self, network: Network, daemons: Daemons) -> Wires:
        is_host = daemons in self.hosts
        front = network.link(daemons.coordinator_port) if is_host else None
        wires = Wires(network.link(self.valkey.port), network.link(self.s3.port), front)
        daemons.environment["VALKEY_URL"] = f"valkey://127.0.0.1:{wires.valkey.port}/0"
        daemons.environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{wires.s3.port}"
        return wires

    async def start(self) -> None:
        """Starts everything and waits until every host is known."""
        if self._small_disk:
            disk = self.hosts[0].data
            disk.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "bench", disk], check=True, timeout=10)
            self._mounted = True
        await super().start()
        await self.complete()

    def close(self) -> None:
        """Ends everything."""
        try:
            super().close()
            _reap()
        finally:
            if self._mounted:
                subprocess.run(["umount", "-l", self.hosts[0].data], check=True, timeout=10)
                self._mounted = False

    async def complete(self) -> None:
        """Returns when every coordinator and every gateway serves."""
        await wait_until(self._all_known, HOST_SECONDS, "every host to be known to every gateway")

    async def _all_known(self) -> bool:
        return all([await self._knows_all(gateway) for gateway in self.gateways])

    async def _knows_all(self, gateway: Daemons) -> bool:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), headers=headers) as session,
                session.get(f"{gateway.url}/api/v1/coordinators") as answer,
            ):
                if answer.status == 200:
                    items = (await answer.json())["items"]
                    return len([item for item in items if item["state"] == "active"]) == len(self.hosts)
        await asyncio.sleep(0.2)
        return False

    # ── what can be done to it ──────────────────────────────────────────────────────────────────────────────

    def children(self, host: int, what: str) -> list[int]:
        """Pids of processes of a host's coordinator whose command has `what` in it."""
        found = []
        for pid in descendants(self.hosts[host].pid("coordinator")):
            with contextlib.suppress(OSError):
                if what.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def kill_coordinator(self, host: int) -> float:
        """SIGKILL, and waits for everything below it; returns when it was sent."""
        daemons = self.hosts[host]
        below = descendants(daemons.pid("coordinator"))
        os.kill(daemons.pid("coordinator"), signal.SIGKILL)
        died = time.time()
        daemons.kill("coordinator")
        reap_adopted(below)
        return died

    def send(self, daemon: Daemon, number: int, sent: signal.Signals) -> None:
        """Sends a signal to a coordinator or gateway."""
        daemons = self.hosts[number] if daemon == "coordinator" else self.gateways[number]
        os.kill(daemons.pid(daemon), sent)

    def signal_children(self, host: int, what: str, number: signal.Signals) -> int:
        """Sends a signal to them; returns to how many."""
        pids = self.children(host, what)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(pids)

    async def empty_valkey(self, away: float) -> None:
        """Valkey dies, and comes back after `away` seconds without anything but the keys of tenants, as from a backup of those."""
        discovery = ValkeyDiscovery(self.valkey.location)
        try:
            keys = await discovery.keys(None, 100)
        finally:
            await discovery.close()
        await asyncio.to_thread(self.valkey.kill)
        self.valkey.forget()
        await asyncio.sleep(away)
        await asyncio.to_thread(self.valkey.start)
        discovery = ValkeyDiscovery(self.valkey.location)
        try:
            for record in keys:
                await self._insisting(discovery, record)
        finally:
            await discovery.close()

    async def _insisting(self, discovery: ValkeyDiscovery, record: object) -> None:
        async def put() -> bool:
            try:
                await discovery.put_key(record)  # type: ignore[arg-type]
            except DiscoveryUnavailableError:
                return False
            return True

        await wait_until(put, HOST_SECONDS, "a key to be kept")

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """The disk of host 0 is full."""
        assert self._mounted
        ballast = self.hosts[0].data / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass
        try:
            yield
        finally:
            ballast.unlink()


def _reap() -> None:
    """What was killed below a daemon has become a child of this process, which adopts orphans, and is dead."""
    for pid in leaks.children():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
