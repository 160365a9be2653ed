"""A gateway in this process, over discovery and objects in memory, with a stub for a coordinator."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium.base.clock import SystemClock
from podium.base.discovery import InstanceRecord, KeyRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.keys import make_key
from podium.base.objects.memory import MemoryObjects
from podium.base.sealing import Sealer
from podium.gateway.app import Gateway
from podium.gateway.options import GatewayOptions
from podium.wire.rest import TENANT_DEFAULT
from podium.wire.status import InstanceStatus
from tests.system.gateway.stub import CLUSTER_KEY, StubCoordinator

ADMIN_KEY = "pod_admin_" + "a" * 40


@dataclass
class House:
    """What a test plays with."""

    gateway: Gateway
    discovery: MemoryDiscovery
    objects: MemoryObjects
    stub: StubCoordinator
    session: aiohttp.ClientSession
    port: int
    key: str
    key_id: str

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return f"http://127.0.0.1:{self.port}"

    async def call(self, method: str, path: str, key: str | None = "", **more: Any) -> tuple[int, Any]:
        """Status and body of an answer."""
        chosen = self.key if key == "" else key
        headers = {**({"Authorization": f"Bearer {chosen}"} if chosen else {}), **more.pop("headers", {})}
        async with self.session.request(method, self.url + path, headers=headers, **more) as answer:
            body = await answer.read()
            is_json = answer.content_type.endswith("json") and body
            return answer.status, await answer.json(content_type=None) if is_json else body

    def connect(self, instance_id: str, after: int | None = None, **more: Any) -> Any:
        """A WebSocket."""
        query = "" if after is None else f"?after={after}"
        headers = more.pop("headers", {"Authorization": f"Bearer {self.key}"})
        url = f"{self.url}/api/v1/instances/{instance_id}/connect{query}"
        return self.session.ws_connect(url, headers=headers, max_msg_size=0, **more)

    async def instance(self, instance_id: str = "inst-aaaaaaaaaaaaaaaa", **more: Any) -> InstanceRecord:
        """An instance in discovery."""
        facts: dict[str, Any] = {
            "instance_id": instance_id,
            "agent_id": "agent-1",
            "tenant_id": "acme",
            "agent_type": "echo",
            "deployment_id": "echo:1.0.0@00000000",
            "coordinator_id": self.stub.coordinator_id,
            "epoch": 1,
            "status": InstanceStatus.READY,
            "created_at": 1,
        }
        record = InstanceRecord(**{**facts, **more})
        await self.discovery.put_instances([record])
        return record

    async def tenant_key(self, tenant_id: str, **more: Any) -> tuple[str, str]:
        """A new key and its id."""
        made = make_key()
        facts = {"permissions": [p.value for p in TENANT_DEFAULT], "created_at": 1, **more}
        await self.discovery.put_key(KeyRecord(made.key_id, made.key_hash, tenant_id, **facts))
        return made.key, made.key_id


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway with a coordinator, and a key of tenant `acme`."""
    clock = SystemClock()
    discovery, objects = MemoryDiscovery(clock), MemoryObjects(clock)
    options = GatewayOptions("test", CLUSTER_KEY, tmp_path / "uploads", ADMIN_KEY, reattach_seconds=20.0)
    gateway = Gateway(options, discovery, objects, Sealer("secrets-key-of-a-test"), clock)
    stub = StubCoordinator(discovery)
    await stub.start()
    port = await gateway.start()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        house = House(gateway, discovery, objects, stub, session, port, "", "")
        house.key, house.key_id = await house.tenant_key("acme")
        yield house
        await gateway.stop(1.0)
    await stub.kill()
    await discovery.close()
    await objects.close()
