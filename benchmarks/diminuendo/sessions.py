"""How long does making a session take, what does a connected client cost, and how soon do all who follow a session see an event?

`python -m benchmarks.diminuendo.sessions [--clients N] [--events N]`. Podium is a stand-in here that only streams, so that Diminuendo alone is
measured; clients are bare sockets of one more process's loop.
"""

import argparse
import asyncio
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from benchmarks.figures import Row, median, percentile, table
from benchmarks.machine import facts
from diminuendo.auth.key_file import add_key
from diminuendo.domain.members import Role
from diminuendo.protocol.answers import Identity, SessionCreated
from diminuendo.protocol.messages import CreateSession
from diminuendo.serving.hub import Hub
from diminuendo.storage.places import Places
from podium.base.clock import SystemClock
from podium.client import PodiumClient
from tests.waiting import free_port, wait_until

CLIENTS: Final = 5_000
EVENTS: Final = 20
CREATES: Final = 500
EVENT_PAUSE_SECONDS: Final = 0.25
"""Between two events: this is about how late one event is, not about how many fit through."""

AIM_CREATE_MS: Final = 2.0
_STAMP = re.compile(rb'"text":"@(\d+)"')
_INSTANCE: Final = "inst-aaaaaaaaaaaaaaaa"


async def creating() -> list[float]:
    """Milliseconds each session took to be made, in one process, without a connection."""
    with tempfile.TemporaryDirectory() as folder:
        async with PodiumClient() as podium:
            hub = Hub(Places(Path(folder)), podium, SystemClock())
            await hub.open()
            caller = Identity("ann", "", "acme", "owner")
            taken = []
            for _ in range(CREATES):
                began = time.perf_counter()
                made = await hub.handle(caller, CreateSession(agent_type="coder"))
                taken.append((time.perf_counter() - began) * 1000)
                assert isinstance(made, SessionCreated)
            await hub.close()
    return taken


class StandIn:
    """What Diminuendo needs of Podium for one session: an instance, and a stream that says the time when a message comes."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._seq = 0

    def app(self) -> web.Application:
        """The application."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/api/v1/instances", self._create),
                web.get("/api/v1/instances/{id}/connect", self._connect),
                web.get("/ready", self._ready),
            ]
        )
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        made = {"instance_id": _INSTANCE, "status": "ready", "coordinator_id": "c", "created_at": 1}
        return web.json_response({**wanted, **made}, status=201)

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        known = {"protocol": 1, "instance_id": _INSTANCE, "agent_id": "a", "deployment_id": "d", "status": "ready"}
        await socket.send_json({"messageType": "connected", "content": {**known, "last_seq": self._seq}})
        async for frame in socket:
            command = frame.json()
            if command["type"] == "process_message":
                ack = {"id": command["id"], "turn_id": "turn-a"}
                await socket.send_json({"messageType": "ack", "content": ack})
                await self._turn(socket)
        return socket

    async def _turn(self, socket: web.WebSocketResponse) -> None:
        await self._say(socket, "stream_start", {"message_id": "m", "attempt": 1})
        for _ in range(self._events):
            await asyncio.sleep(EVENT_PAUSE_SECONDS)
            await self._say(socket, "stream_update", {"text": f"@{time.monotonic_ns()}"})
        await self._say(socket, "stream_end", {"text": "", "stop_reason": "end_turn"})

    async def _say(self, socket: web.WebSocketResponse, kind: str, content: dict[str, Any]) -> None:
        self._seq += 1
        head = {"messageType": kind, "instanceId": _INSTANCE, "turnId": "turn-a", "seq": self._seq, "ts": 1}
        await socket.send_json({**head, "content": content})


class Listener(asyncio.Protocol):
    """A client that has joined, as a bare socket. `late` gets the milliseconds each event took."""

    def __init__(self, first: bytes, late: list[float]) -> None:
        self.joined = asyncio.get_running_loop().create_future()
        self._first = first
        self._late = late

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Opens the WebSocket and says everything at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        """Frames, which are looked at no closer than needed."""
        if not self.joined.done() and b'"state_snapshot"' in data:
            self.joined.set_result(None)
        now = time.monotonic_ns()
        self._late += [(now - int(stamp)) / 1e6 for stamp in _STAMP.findall(data)]


class Talker(Listener):
    """A client that speaks step by step: what is said before it is authenticated would be refused."""

    def __init__(self, first: bytes, second: bytes, late: list[float]) -> None:
        super().__init__(first, late)
        self._second = second

    def data_received(self, data: bytes) -> None:
        """Joins once it is known."""
        if self._second and b'"authenticated"' in data:
            self._transport.write(self._second)
            self._second = b""
        super().data_received(data)


def frame(text: str) -> bytes:
    """A text frame of a client, masked by nothing (a key of zeros)."""
    data = text.encode()
    head = b"\x81" + (bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big"))
    return head + bytes(4) + data


def opening(port: int) -> bytes:
    """The request for a WebSocket."""
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def following(clients: int, events: int) -> tuple[float, list[float]]:
    """KiB of memory a client takes, and milliseconds from Podium's event to each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    runner = web.AppRunner(StandIn(events).app())
    await runner.setup()
    podium_port, port = free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", podium_port).start()
    with tempfile.TemporaryDirectory() as folder:
        key = add_key(Path(folder) / "keys.json", "ann", "acme", Role.OWNER)[0]
        settings = {
            "DIMINUENDO_PORT": str(port),
            "DIMINUENDO_DATA": folder,
            "PODIUM_URL": f"http://127.0.0.1:{podium_port}",
            "PODIUM_API_KEY": "pod_x",
            "LOG_LEVEL": "error",
        }
        command = [sys.executable, "-m", "diminuendo", "serve"]
        process = await asyncio.to_thread(subprocess.Popen, command, env={**os.environ, **settings})
        try:
            return await _follow(process.pid, port, key, clients, events)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)
            await runner.cleanup()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _follow(pid: int, port: int, key: str, clients: int, events: int) -> tuple[float, list[float]]:
    loop, late = asyncio.get_running_loop(), list[float]()
    authenticate = frame(f'{{"type":"authenticate","token":"{key}"}}')
    async with aiohttp.ClientSession() as http:
        await wait_until(lambda: _answers(http, port), 60.0, "diminuendo answers")
        async with http.ws_connect(f"http://127.0.0.1:{port}/ws") as socket:
            await socket.send_json({"type": "authenticate", "token": key})
            await socket.send_json({"type": "ping"})
            await _hear(socket, "authenticated")
            await socket.send_json({"type": "create_session", "agentType": "coder"})
            session_id = (await _hear(socket, "session_created"))["session"]["sessionId"]
            before = _resident_kib(pid)
            join = frame(f'{{"type":"join_session","sessionId":"{session_id}"}}')
            transports = []
            for start in range(0, clients, 100):
                made = [
                    await loop.create_connection(
                        lambda: Talker(opening(port) + authenticate, join, late), "127.0.0.1", port
                    )
                    for _ in range(min(100, clients - start))
                ]
                transports += [transport for transport, _ in made]
                await asyncio.wait_for(asyncio.gather(*(listener.joined for _, listener in made)), 60.0)
            each = (_resident_kib(pid) - before) / clients
            await socket.send_json({"type": "run_turn", "sessionId": session_id, "text": "go"})
            await wait_until(lambda: len(late) >= clients * events, 120.0, "all events came")
            for transport in transports:
                transport.abort()
    return each, late


async def _hear(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await socket.receive_json()
        if message["type"] == kind:
            return message


async def _answers(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            return bool(answer.status == 200)
    except aiohttp.ClientError:
        return False


def _resident_kib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1024


async def measure(clients: int = CLIENTS, events: int = EVENTS) -> list[Row]:
    """The rows."""
    taken = await creating()
    each, late = await following(clients, events)
    of = f"{clients} clients of one session"
    return [
        Row("a session is made, p50", f"{median(taken):.2f} ms", f"{AIM_CREATE_MS:.0f} ms", "in process, on disk"),
        Row("a session is made, p99", f"{percentile(taken, 0.99):.2f} ms"),
        Row("memory of a connected client", f"{each:.1f} KiB", "", of),
        Row("from the agent's event to a client, p50", f"{median(late):.1f} ms", "", of),
        Row(
            "from the agent's event to a client, p99", f"{percentile(late, 0.99):.1f} ms", "", "the last of them, about"
        ),
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--events", type=int, default=EVENTS)
    arguments = parser.parse_args()
    print(facts())
    print(table("Diminuendo", asyncio.run(measure(arguments.clients, arguments.events))))


if __name__ == "__main__":
    main()
