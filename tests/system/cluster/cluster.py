"""A cluster of real processes: Valkey, S3, gateways and coordinators, each host with a directory of its own."""

import asyncio
from pathlib import Path

from tests.contract.s3_server import S3Server
from tests.contract.servers import Server
from tests.system.api import Caller
from tests.system.cluster.cut import Cut
from tests.system.daemons import Daemons
from tests.waiting import wait_until


class Cluster:
    """`hosts` coordinators and as many gateways as are asked for. Each of both has its own data directory, as on hosts of their own.

    `apart`: what the first host says to discovery goes through `cut`.
    """

    def __init__(
        self, directory: Path, hosts: int = 2, gateways: int = 1, *, apart: bool = False, **environment: str
    ) -> None:
        self.directory = directory
        self.valkey = Server(directory / "valkey", "appendonly yes", "appendfsync always")  # keys outlive it
        self.s3 = S3Server(directory / "s3")
        shared = {
            "VALKEY_URL": f"valkey://127.0.0.1:{self.valkey.port}/0",
            **self.s3.environment(),
            "CHRONICLE_S3_BUCKET": self.s3.bucket,
            "CHRONICLE_S3_PREFIX": "contents",
            "LITESTREAM_REPLICA_URL": f"s3://{self.s3.bucket}/replicas",
            "LITESTREAM_PROCESSES": "1",
            **environment,
        }
        self.hosts = [
            Daemons(directory / f"host-{number}", {**shared, "COORDINATOR_ID": f"coord-{number}"})
            for number in range(hosts)
        ]
        self.cut = Cut(self.valkey.port)
        if apart:
            self.hosts[0].environment["VALKEY_URL"] = f"valkey://127.0.0.1:{self.cut.port}/0"
        self.gateways = [Daemons(directory / f"gateway-{number}", dict(shared)) for number in range(gateways)]

    @property
    def gateway(self) -> Daemons:
        """The first gateway."""
        return self.gateways[0]

    async def start(self) -> None:
        """Starts everything and waits until it is ready."""
        self.valkey.start()
        self.s3.start()
        for host in self.hosts:
            host.start("coordinator")
        for gateway in self.gateways:
            gateway.start("gateway")
        for gateway in self.gateways:
            await gateway.ready(*self.hosts, coordinators=len(self.hosts))

    def close(self) -> None:
        """Ends everything."""
        for daemons in (*self.gateways, *self.hosts):
            daemons.close()
        self.cut.close()
        self.s3.stop()
        self.valkey.kill()

    async def alive(self, calls: Caller, count: int, timeout: float = 30.0) -> None:
        """Waits until exactly so many coordinators take agents."""

        async def are_there() -> bool:
            items = (await calls.admin("GET", "/api/v1/coordinators")).body["items"]
            return [item["state"] for item in items] == ["active"] * count

        await wait_until(are_there, timeout, f"{count} coordinators")

    def named(self, coordinator_id: str) -> Daemons:
        """The host whose coordinator has this id."""
        return self.hosts[int(coordinator_id.removeprefix("coord-"))]


def running(directory: Path, hosts: int = 2, gateways: int = 1, *, apart: bool = False, **environment: str) -> Cluster:
    """A started cluster; the caller closes it."""
    cluster = Cluster(directory, hosts, gateways, apart=apart, **environment)
    try:
        asyncio.run(cluster.start())
    except BaseException:
        cluster.close()
        raise
    return cluster
