"""A coordinator for tests of the gateway: the calls it answers, a journal, and connections that break where told."""

import asyncio
import base64
import hashlib
import json
from typing import Any, cast

from podium.base.discovery import CoordinatorRecord, InstanceRecord
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.http import (
    CLUSTER,
    EVENT_STREAM,
    Answer,
    Call,
    ClusterAuthenticator,
    Endpoint,
    Headers,
    HttpApp,
    HttpServer,
    SseEvent,
    Streamed,
    Upgrade,
    event_stream,
)
from podium.gateway.domain.client_frames import ClientFrames
from podium.gateway.domain.frames import CLOSE, read_head, unmask
from podium.wire.envelope import EventRow, FrameWriter, local_frame
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import CoordinatorCreate, Instance, Load
from podium.wire.status import InstanceStatus

CLUSTER_KEY = "cluster-key-of-a-test-0123456789"
LOAD = Load(agents=0, agents_limit=100, cpu=0.0, memory=0, memory_limit=0)


class StubCoordinator:
    """One coordinator with one journal, whichever instance is asked for. `breaks`: after how many bytes each of the
    next stream connections breaks (None: it does not)."""

    def __init__(self, discovery: MemoryDiscovery, coordinator_id: str = "coord-1") -> None:
        self.discovery = discovery
        self.coordinator_id = coordinator_id
        self.port = 0
        self.journal: list[bytes] = []
        self.created: list[CoordinatorCreate] = []
        self.calls: list[tuple[str, str, Headers, bytes]] = []
        self.commands: list[str] = []
        self.breaks: list[int | None] = []
        self.dialed: list[tuple[str, Headers]] = []
        self.refuse: PodiumError | None = None
        self.create_gate = asyncio.Event()
        self.create_gate.set()
        self.streams: list[_Stream] = []
        self._writer = FrameWriter("agt-stub")
        self._done: set[str] = set()
        self._server: HttpServer | None = None
        self._app: HttpApp | None = None

    async def start(self) -> None:
        """Serves, on the port of the first start, and announces itself."""
        self._app = HttpApp(_endpoints(self), ClusterAuthenticator(CLUSTER_KEY))
        self._server = HttpServer(self._app, self._upgrade)
        self.port = await self._server.start(port=self.port)
        await self.discovery.announce(
            CoordinatorRecord(self.coordinator_id, f"http://127.0.0.1:{self.port}", "0", 0, "active", LOAD)
        )

    async def kill(self) -> None:
        """Gone, as by SIGKILL: connections break where they are."""
        assert self._server is not None
        assert self._app is not None
        for stream in list(self.streams):
            stream.transport.abort()
        await self._app.close()
        await self._server.stop(0.1)

    def publish(self, *texts: str) -> None:
        """Writes events and sends them to everyone who listens."""
        for text in texts:
            content = json.dumps({"text": text}).encode()
            row = EventRow(len(self.journal) + 1, "stream_update", content, "inst-stub", "", 1)
            self.journal.append(text_frame(self._writer.write(row)))
        for stream in list(self.streams):
            stream.catch_up()

    def command(self, text: str) -> str | None:
        """Does a command once; returns its id."""
        command_id: str | None = json.loads(text).get("id")
        if command_id is None or command_id not in self._done:
            self.commands.append(text)
            if command_id is not None:
                self._done.add(command_id)
        return command_id

    def _upgrade(self, upgrade: Upgrade) -> asyncio.Protocol:
        self.dialed.append((f"{upgrade.raw_path.decode()}?{upgrade.query_string.decode()}", Headers(upgrade.headers)))
        return _Stream(self, upgrade, self.breaks.pop(0) if self.breaks else None)


class _Stream(asyncio.Protocol):
    def __init__(self, stub: StubCoordinator, upgrade: Upgrade, breaks_at: int | None) -> None:
        self._stub = stub
        self._headers = Headers(upgrade.headers)
        self._sync = bytes.fromhex(self._headers["podium-sync"])
        self._left = breaks_at
        self._frames = ClientFrames()
        query = upgrade.query_string.decode().partition("after=")[2]
        self._cursor = int(query) if query else len(stub.journal)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._stub.refuse is not None:
            body = json.dumps({"type": "x", "title": "x", "status": 404, "detail": "", "code": self._stub.refuse.code})
            head = f"HTTP/1.1 404 No\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + body).encode())
            self.transport.close()
            return
        key = self._headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        if "podium.v1" in self._headers.get("sec-websocket-protocol", ""):
            head += "Sec-WebSocket-Protocol: podium.v1\r\n"
        self.transport.write((head + "\r\n").encode())
        self._stub.streams.append(self)
        content = {"protocol": 1, "instance_id": "i", "agent_id": "a", "deployment_id": "d", "status": "ready"}
        self.write(text_frame(local_frame("connected", {**content, "last_seq": len(self._stub.journal)})))
        self.catch_up()

    def catch_up(self) -> None:
        for number, frame in enumerate(self._stub.journal[self._cursor :]):
            self.write(frame if number % 3 else bytes((0x8A, 16)) + self._sync + frame)
        self._cursor = len(self._stub.journal)

    def write(self, data: bytes) -> None:
        """Writes up to the byte where this connection breaks."""
        if self.transport.is_closing():
            return
        if self._left is not None and len(data) >= self._left:
            self.transport.write(data[: self._left])
            self.transport.close()
            return
        self._left = None if self._left is None else self._left - len(data)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            if message.opcode == CLOSE:
                self.write(bytes((0x88, len(message.payload))) + message.payload)
                self.transport.close()
            elif not message.is_control:
                head = read_head(message.raw, 0)
                assert head is not None
                command_id = self._stub.command(unmask(message.raw[head.start :], head.mask).decode())
                self.write(text_frame(local_frame("ack", {"id": command_id})))

    def connection_lost(self, _exc: Exception | None) -> None:
        if self in self._stub.streams:
            self._stub.streams.remove(self)


def text_frame(payload: bytes) -> bytes:
    """A text frame as a server writes it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + size.to_bytes(8, "big") + payload


def _endpoints(stub: StubCoordinator) -> list[Endpoint]:
    def endpoint(method: str, path: str, handler: Any, **more: Any) -> Endpoint:
        return Endpoint(
            method=method, path=path, handler=handler, summary="", access=CLUSTER, **{"answers": {200: Any}, **more}
        )

    async def create(call: Call) -> Answer:
        stub.created.append(call.body)
        await stub.create_gate.wait()
        if stub.refuse is not None:
            raise stub.refuse
        wanted: CoordinatorCreate = call.body
        record = InstanceRecord(
            wanted.instance_id,
            wanted.agent_id,
            wanted.tenant_id,
            wanted.deployment.agent_type,
            wanted.deployment.deployment_id,
            stub.coordinator_id,
            1,
            InstanceStatus.READY,
            1,
        )
        await stub.discovery.put_instances([record])
        shown = Instance(
            record.instance_id, record.agent_id, record.deployment_id, record.status, stub.coordinator_id, 1
        )
        return Answer(201, shown)

    async def anything(call: Call) -> Answer | Streamed:
        stub.calls.append((call.endpoint.method, call.endpoint.path, call.headers, call.query_string))
        if stub.refuse is not None:
            raise stub.refuse
        if call.headers.accepts(EVENT_STREAM.content_type):
            return event_stream(_three())
        return Answer(200, {"said": call.endpoint.path})

    async def stop(call: Call) -> Answer:
        record = await stub.discovery.instance(call.path["id"])
        if record is None:
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "gone")
        return Answer(204)

    async def _three() -> Any:
        for number in range(3):
            yield SseEvent(b"{}", id=str(number))

    below = ("info", "messages", "events", "logs", "state", "requests")
    return [
        endpoint("POST", "/instances", create, body=CoordinatorCreate),
        endpoint("POST", "/deploy/agent", anything, body=Any),
        endpoint("POST", "/admin/drain", anything),
        endpoint("DELETE", "/agent/{id}", stop),
        endpoint("DELETE", "/agents/{agent_id}", anything),
        *(endpoint("GET", f"/agent/{{id}}/{name}", anything) for name in below),
        endpoint("POST", "/agent/{id}/messages", anything, body=Any),
        endpoint("POST", "/agent/{id}/requests/{request_id}", anything, body=Any),
        endpoint("POST", "/agent/{id}/turns/{turn_id}/cancel", anything),
    ]
