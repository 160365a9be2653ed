"""A client that survives everything and writes down everything: the witness of the crash proofs.

Its log is a list of records, in the order in which they happened to this client:

    {"what": "connected", "last_seq": n}        a connection stands (first frame read)
    {"what": "sent", "id": …, "text": …}        a message was written to the socket (again after a loss: same id)
    {"what": "acked", "id": …, "turn_id": …}    the platform promised to process it
    {"what": "refused", "id": …, "code": …}     the platform said no; nothing was promised
    {"what": "event", "seq": n, "frame": "…"}   an event, with its frame as it came
    {"what": "lost", "code": n}                 the connection ended (close code, 1006 when there was none)
"""

import asyncio
import json
from typing import Any

import aiohttp

ACK_SECONDS = 60.0
RECONNECT_SECONDS = 0.05


class Witness:
    """One client of one instance. `after` moves with what was seen; unacknowledged messages are sent again."""

    def __init__(self, url: str, key: str, instance_id: str, name: str, *, after: int | None = 0) -> None:
        self.log: list[dict[str, Any]] = []
        self.name = name
        self.last_seq = after
        self._url = f"{url}/api/v1/instances/{instance_id}/connect"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._unacked: dict[str, str] = {}
        self._acks: dict[str, asyncio.Future[str]] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._sent = 0
        self._changed = asyncio.Event()

    async def send(self, text: str) -> str:
        """Sends a message and returns the turn id once it is acknowledged, over any number of losses."""
        self._sent += 1
        command_id = f"{self.name}-{self._sent}"
        self._unacked[command_id] = text
        self._acks[command_id] = asyncio.get_running_loop().create_future()
        if self._socket is not None:
            await self._write(command_id)
        return await asyncio.wait_for(self._acks[command_id], ACK_SECONDS)

    async def seen(self, seq: int, timeout: float) -> None:
        """Waits until the event `seq` (or a later one) has come."""
        async with asyncio.timeout(timeout):
            while (self.last_seq or 0) < seq:
                self._changed.clear()
                await self._changed.wait()

    async def run(self) -> None:
        """Connects, reads and reconnects until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    await self._one_connection(session)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    self._socket = None
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _one_connection(self, session: aiohttp.ClientSession) -> None:
        query = {} if self.last_seq is None else {"after": str(self.last_seq)}
        async with session.ws_connect(
            self._url, params=query, headers=self._headers, protocols=["podium.v1"], max_msg_size=0, heartbeat=15.0
        ) as socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._frame(socket, message.data)
            self._socket = None
            self.log.append({"what": "lost", "code": socket.close_code or 1006})

    async def _frame(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
        frame = json.loads(text)
        kind, content = frame["messageType"], frame.get("content", {})
        if "seq" in frame:
            self.log.append({"what": "event", "seq": frame["seq"], "frame": text})
            self.last_seq = frame["seq"]
            self._changed.set()
        elif kind == "connected":
            self.log.append({"what": "connected", "last_seq": content["last_seq"]})
            self._socket = socket
            for command_id in list(self._unacked):
                await self._write(command_id)
        elif kind == "ack":
            self._answered({"what": "acked", "id": content["id"], "turn_id": content["turn_id"]})
        elif kind == "nack":
            self._answered({"what": "refused", "id": content.get("id"), "code": content["code"]})

    def _answered(self, record: dict[str, Any]) -> None:
        self.log.append(record)
        self._unacked.pop(record["id"], None)
        future = self._acks.get(record["id"])
        if future is None or future.done():
            return
        if record["what"] == "acked":
            future.set_result(record["turn_id"])
        else:
            future.set_exception(AssertionError(f"refused: {record['code']}"))

    async def _write(self, command_id: str) -> None:
        text = self._unacked[command_id]
        self.log.append({"what": "sent", "id": command_id, "text": text})
        command = {"type": "process_message", "id": command_id, "content": {"text": text}}
        try:
            assert self._socket is not None
            await self._socket.send_str(json.dumps(command))
        except (aiohttp.ClientError, ConnectionError):
            self._socket = None
