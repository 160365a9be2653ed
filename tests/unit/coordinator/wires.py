"""A WebSocket client without a network: its bytes go straight to the coordinator's protocol and back."""

import asyncio
from typing import Any

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from podium.base.http import ClusterAuthenticator, Upgrade
from podium.base.http.framing import pong_frame
from podium.base.http.websocket import WebSocket
from podium.coordinator.api.upgrades import Upgrades
from podium.wire.commands import Ack
from podium.wire.envelope import Event, read_event
from tests.unit.coordinator.twins import House

KEY = "cluster-key"


class Wire(asyncio.Transport):
    """A transport that keeps what is written until the client takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.pending = bytearray()
        self.taken = bytearray()
        self.blocked = False
        self.aborted = False
        self._high = 64 * 1024
        self._closing = False
        self._paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing and self.aborted:
            return
        self.pending += data
        if not self.blocked:
            self.take(len(self.pending))
        elif len(self.pending) > self._high and not self._paused and self.protocol is not None:
            self._paused = True
            self.protocol.pause_writing()

    def take(self, size: int) -> None:
        """The client takes what was written."""
        self.taken += self.pending[:size]
        del self.pending[:size]
        if self._paused and len(self.pending) <= self._high // 4 and self.protocol is not None:
            self._paused = False
            self.protocol.resume_writing()

    def unblock(self) -> None:
        """The client takes everything from now on."""
        self.blocked = False
        self.take(len(self.pending))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def get_write_buffer_size(self) -> int:
        return len(self.pending)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def _lost(self) -> None:
        if self.protocol is not None:
            self.protocol.connection_lost(None)


class Client:
    """A connection to an instance."""

    def __init__(self, house: House, instance_id: str, query: str = "", **headers: str) -> None:
        self.wire = Wire()
        self.bytes = bytearray()
        self._read = 0
        self._protocol = ClientProtocol(parse_uri(f"ws://host/agent/{instance_id}"), max_size=None)
        given = {
            "authorization": f"Bearer {KEY}",
            "podium-tenant": "default",
            "podium-permissions": "instances:write,config:write",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        request = self._protocol.connect()
        raw = [(name.lower().encode(), value.encode()) for name, value in request.headers.raw_items()]
        raw += [(name.encode(), value.encode()) for name, value in given.items()]
        self._protocol.send_request(request)
        self._protocol.data_to_send()
        upgrades = Upgrades(house.supervisor, ClusterAuthenticator(KEY))
        upgrade = Upgrade(self.wire, "GET", f"/agent/{instance_id}".encode(), query.encode(), raw)
        self.server = upgrades(upgrade)
        self.wire.protocol = self.server
        self.frames: list[Frame] = []
        self.early: list[Event] = []
        self.server.connection_made(self.wire)
        if isinstance(self.server, WebSocket):
            self.early = self._take()

    @property
    def socket(self) -> WebSocket:
        assert isinstance(self.server, WebSocket)
        return self.server

    def receive(self) -> list[Event]:
        """What came since the last time: text frames as events. Control frames are kept in `frames`."""
        early, self.early = self.early, []
        return early + self._take()

    def _take(self) -> list[Event]:
        data = bytes(self.wire.taken[self._read :])
        self._read = len(self.wire.taken)
        self._protocol.receive_data(data)
        events = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self.frames.append(event)
                if event.opcode is Opcode.TEXT:
                    events.append(read_event(bytes(event.data)))
        self._send_pending()
        return events

    def say(self, command: dict[str, Any] | bytes | str) -> None:
        """Sends a command."""
        data = command if isinstance(command, bytes) else command.encode() if isinstance(command, str) else None
        self._protocol.send_text(data if data is not None else msgspec.json.encode(command))
        self._send_pending()

    def say_binary(self, data: bytes) -> None:
        self._protocol.send_binary(data)
        self._send_pending()

    def leave(self) -> None:
        """The client closes."""
        self._protocol.send_close(1000)
        self._send_pending()

    def vanish(self) -> None:
        """The connection breaks."""
        self.wire.abort()

    @property
    def close_code(self) -> int | None:
        """The code the server closed with; None while it is open."""
        self.early += self._take()
        return self._protocol.close_rcvd.code if self._protocol.close_rcvd is not None else None

    @property
    def is_open(self) -> bool:
        return self._protocol.state is State.OPEN

    def ack_of(self, events: list[Event]) -> Ack:
        """The one acknowledgement among events."""
        (content,) = [event.content for event in events if event.message_type == "ack"]
        return msgspec.convert(content, Ack)

    def _send_pending(self) -> None:
        for data in self._protocol.data_to_send():
            if data and not self.wire.is_closing():
                self.server.data_received(data)


__all__ = ["KEY", "Client", "Wire", "pong_frame"]
