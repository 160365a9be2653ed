"""Where connections come in: which page may open one, how many there are, and who must leave."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from diminuendo.protocol.handshake import CLOSE_UNAUTHENTICATED
from diminuendo.protocol.limits import MESSAGE_MAX_BYTES
from diminuendo.server.connection import ClientConnection, Parts
from podium.base.http import Headers, Upgrade, request_id_of
from podium.base.http.origins import is_allowed
from podium.base.http.refusing import Refusal
from podium.base.http.websocket import Peer, WebSocket
from podium.base.telemetry import accepted
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError

READ_MAX_BYTES: Final = 2 * MESSAGE_MAX_BYTES
"""Largest message of the client protocol that is read at all: one over its limit is answered by an error."""

CLOSE_SECONDS: Final = 2.0
"""How long clients have to answer the goodbye of a Diminuendo that stops."""

KEYS_SECONDS: Final = 2.0
"""How often the API keys of open connections are looked at again: one that was taken back ends its connections."""


def address_of(transport: asyncio.BaseTransport, forwarded: str, proxies: int) -> str:
    """Where a client is. `proxies`: how many of ours are in front, each of which adds the address it sees to `X-Forwarded-For`;
    what stands before those anybody may have written."""
    if proxies:
        seen = [part.strip() for part in forwarded.split(",") if part.strip()]
        if seen:
            return seen[max(0, len(seen) - proxies)]
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


class Arrival(NamedTuple):
    """Who comes in: the socket, the request that opened it, a name for the connection, and where the client is."""

    socket: WebSocket
    upgrade: Upgrade
    headers: Headers
    client_id: str
    address: str


class Guest(Peer, Protocol):
    """A connection as its door knows it."""

    key: str | None
    """The API key that let the client in, if it was one."""

    def close(self, code: int, reason: str) -> None:
        """Tells the client to go."""
        ...


class Room(NamedTuple):
    """What is behind a path: how the guest of an arrival is made, and the largest message that is read there at all; a larger one
    closes the connection with 1009. `check` looks at the request before, and raises `PodiumError` when it may not come in."""

    make: Callable[[Arrival], Guest]
    max_bytes: int
    check: Callable[[Headers], object] | None = None


class Door:
    """All WebSockets of a Diminuendo. `others`: what is behind the paths besides `/ws`."""

    def __init__(
        self, parts: Parts, origins: Sequence[str], connections_max: int, proxies: int, others: Mapping[bytes, Room]
    ) -> None:
        self._parts = parts
        self._origins = origins
        self._connections_max = connections_max
        self._proxies = proxies
        self._rooms: dict[bytes, Room] = {b"/ws": Room(self._client, READ_MAX_BYTES), **others}
        self._connections: dict[WebSocket, Guest] = {}
        self._closing = False
        parts.metrics.watch("connections", lambda: len(self._connections))

    def __len__(self) -> int:
        return len(self._connections)

    def enter(self, upgrade: Upgrade) -> asyncio.Protocol:
        """The protocol that takes a request over (an `UpgradeFactory`)."""
        headers = Headers(upgrade.headers)
        room = self._rooms.get(upgrade.raw_path)
        if room is None:
            return Refusal(PodiumError(ErrorCode.NOT_FOUND, "there is no WebSocket here"), request_id_of(headers))
        if self._closing or len(self._connections) >= self._connections_max:
            full = PodiumError(ErrorCode.DRAINING, "no more connections are taken here now")
            return Refusal(full, request_id_of(headers))
        if not is_allowed(headers.get("origin"), self._origins):
            foreign = PodiumError(ErrorCode.PERMISSION_DENIED, "pages of this origin may not connect")
            return Refusal(foreign, request_id_of(headers))
        try:
            if room.check is not None:
                room.check(headers)
        except PodiumError as error:
            return Refusal(error, request_id_of(headers))
        socket = _CountedSocket(self, upgrade, self._parts, room.max_bytes)
        address = address_of(upgrade.transport, headers.get("x-forwarded-for", ""), self._proxies)
        guest = room.make(Arrival(socket, upgrade, headers, f"client-{os.urandom(8).hex()}", address))
        socket.peer = guest
        self._connections[socket] = guest
        self._parts.metrics.add("connections_opened_total")
        return socket

    def open(self) -> None:
        """Begins to look after the connections."""
        self._parts.owner.start(self._look_at_keys(), "keys")

    async def close(self) -> None:
        """Tells all clients to connect again, and waits a moment for them to go."""
        self._closing = True
        for connection in list(self._connections.values()):
            connection.close(CloseCode.MOVING, "Diminuendo stops; connect again")
        deadline = self._parts.clock.monotonic() + CLOSE_SECONDS
        while self._connections and self._parts.clock.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for socket in list(self._connections):
            socket.abort()

    def left(self, socket: WebSocket) -> None:
        """A connection is over."""
        self._connections.pop(socket, None)

    def _client(self, arrival: Arrival) -> Guest:
        trace = accepted(arrival.headers)
        return ClientConnection(arrival.socket, self._parts, arrival.client_id, arrival.address, trace)

    async def _look_at_keys(self) -> None:
        """Tokens of an identity provider end by themselves; keys may be taken back at any time."""
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            for connection in list(self._connections.values()):
                if connection.key is not None and not self._parts.callers.still_holds(connection.key):
                    connection.close(CLOSE_UNAUTHENTICATED, "the API key is not valid any more")


class _CountedSocket(WebSocket):
    """A socket its door knows of while it lives."""

    def __init__(self, door: Door, upgrade: Upgrade, parts: Parts, max_bytes: int) -> None:
        super().__init__(upgrade, parts.clock, parts.timers, max_bytes=max_bytes)
        self._door = door

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.left(self)
        super().connection_lost(exc)
