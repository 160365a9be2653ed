"""What the cluster has to do while it fails: agents that count, stream and write files, and clients that note everything.

A client's log is a list of records in the order in which they happened to it; `at` is the time by this machine's clock, in seconds:

    {"what": "connected", "at": …, "last_seq": n, "gateway": n}
    {"what": "sent", "at": …, "id": …, "text": …}          again after a loss or a refusal, with the same id
    {"what": "acked", "at": …, "id": …, "turn_id": …}
    {"what": "refused", "at": …, "id": …, "code": …}       nothing was promised; it is sent again
    {"what": "event", "at": …, "seq": n, "frame": "…"}
    {"what": "lost", "at": …, "code": n}                   the connection ended
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp

KINDS: Final = ("count", "count", "stream", "write")
"""What messages ask for; counting is twice as likely."""

HEARTBEAT_SECONDS: Final = 6.0
"""A client that hears nothing for about so long takes another gateway."""

OPEN_SECONDS: Final = 10.0
"""A gateway that has not opened a connection by then is left for another."""

PAUSE_SECONDS: Final = 0.3
"""Before a refused message is sent again, or a lost connection is made again: at most so long."""

TURN_SECONDS: Final = 30.0
"""How long a client waits for the end of a turn before it goes on: a turn may be lost with its host."""

LARGE: Final = 40_000
"""Characters of a larger file."""

AGENT: Final = """
import asyncio
import os
import threading
import time
import uuid

from podium.agent import BaseAgent, DeltaState

PULSE = {pulse!r}
LARGE = {large}


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0
        entries: list[str] = []

    async def on_init(self, ctx):
        path = f"{{PULSE}}/{{ctx.agent_id}}"
        threading.Thread(target=beat, args=(path, uuid.uuid4().hex, str(ctx.workspace)), daemon=True).start()

    async def on_message(self, ctx, message):
        text = message["text"]
        kind = text.partition(" ")[0]
        reply = await ctx.send_message()
        for number in range(20 if kind == "stream" else 2):
            await reply.thinking(f"{{number}} ")
            await asyncio.sleep(0.02)
        body = text * (LARGE // len(text)) if kind == "write" else text
        while True:
            try:
                (ctx.workspace / text.replace(" ", "_")).write_text(body)
                break
            except OSError:  # the disk is full: it waits for room
                await asyncio.sleep(0.1)
        ctx.state.entries.append(text)
        ctx.state.count += 1
        await reply.stream_token(str(ctx.state.count), final=True)


def beat(path, life, place):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    while True:
        os.write(descriptor, f"{{time.time():.3f}} {{life}} {{place}}\\n".encode())
        time.sleep(0.1)
"""


def agent_code(pulse: str) -> str:
    """The agent. Each of its processes writes ten times a second into a file of the directory `pulse` that it lives."""
    return AGENT.format(pulse=pulse, large=LARGE)


def file_of(text: str) -> tuple[str, str]:
    """Name and content of the file that a message makes."""
    body = text * (LARGE // len(text)) if text.startswith("write") else text
    return text.replace(" ", "_"), body


class Client:
    """A client of one instance that goes from gateway to gateway, and asks until it is promised an answer."""

    def __init__(self, name: str, gateways: Sequence[str], key: str, instance_id: str, lots: random.Random) -> None:
        self.name = name
        self.log: list[dict[str, Any]] = []
        self.last_seq = 0
        self.ended: set[str] = set()
        """Turns whose checkpoint was seen."""
        self._gateways = list(gateways)
        self._at = lots.randrange(len(gateways))
        self._path = f"/api/v1/instances/{instance_id}/connect"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._lots = lots
        self._open: dict[str, tuple[str, asyncio.Future[str]]] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._refused: set[str] = set()
        self._changed = asyncio.Event()

    def note(self, what: str, **more: Any) -> None:
        """Writes a record."""
        self.log.append({"what": what, "at": time.time(), **more})

    async def send(self, command_id: str, text: str) -> str:
        """Returns the turn once the message is acknowledged, over any number of losses and refusals."""
        promised: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[command_id] = (text, promised)
        await self._write(command_id)
        return await promised

    async def talk(self, over: asyncio.Event) -> None:
        """Sends message after message until it is `over`; what was sent by then is waited for."""
        number = 0
        while not over.is_set():
            number += 1
            turn = await self.send(f"{self.name}-{number}", f"{self._lots.choice(KINDS)} {self.name} {number}")
            if self._lots.random() < 0.7:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.seen_end(turn), TURN_SECONDS)
            await asyncio.sleep(self._lots.uniform(0.05, 0.4))  # the load is irregular on purpose

    async def seen_end(self, turn_id: str) -> None:
        """Returns when the turn's checkpoint has come."""
        while turn_id not in self.ended:
            await self._next()

    async def seen(self, seq: int) -> None:
        """Returns when the event `seq` has come."""
        while self.last_seq < seq:
            await self._next()

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def run(self) -> None:
        """Connects and reads, over one gateway after the other, until cancelled."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=OPEN_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                code = 1006
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    code = await self._one_connection(session)
                self._socket = None
                self.note("lost", code=code)
                self._at = (self._at + 1) % len(self._gateways)
                await asyncio.sleep(self._lots.uniform(0.02, PAUSE_SECONDS))

    async def _one_connection(self, session: aiohttp.ClientSession) -> int:
        url = self._gateways[self._at] + self._path
        async with asyncio.timeout(OPEN_SECONDS):
            socket = await session.ws_connect(
                url,
                params={"after": str(self.last_seq)},
                headers=self._headers,
                protocols=["podium.v1"],
                max_msg_size=0,
                heartbeat=HEARTBEAT_SECONDS,
            )
        async with socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._frame(socket, message.data)
            return socket.close_code or 1006

    async def _frame(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
        frame = json.loads(text)
        kind, content = frame["messageType"], frame.get("content", {})
        if "seq" in frame:
            self.note("event", seq=frame["seq"], frame=text)
            self.last_seq = frame["seq"]
            if kind == "checkpoint":
                self.ended.add(frame["turnId"])
            self._changed.set()
        elif kind == "connected":
            self.note("connected", last_seq=content["last_seq"], gateway=self._at)
            self._socket = socket
            for command_id in list(self._open):
                await self._write(command_id)
        elif kind == "ack" and content["id"] in self._open:
            self.note("acked", id=content["id"], turn_id=content["turn_id"])
            self._open.pop(content["id"])[1].set_result(content["turn_id"])
        elif kind == "nack":
            self.note("refused", id=content.get("id"), code=content["code"])
            self._refused.add(str(content.get("id")))

    async def insist(self) -> None:
        """Sends refused messages again until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            refused, self._refused = self._refused, set()
            for command_id in refused:
                await self._write(command_id)

    async def _write(self, command_id: str) -> None:
        if self._socket is None or command_id not in self._open:
            return
        text = self._open[command_id][0]
        self.note("sent", id=command_id, text=text)
        command = {"type": "process_message", "id": command_id, "content": {"text": text}}
        with suppress(aiohttp.ClientError, ConnectionError):
            await self._socket.send_str(json.dumps(command))
