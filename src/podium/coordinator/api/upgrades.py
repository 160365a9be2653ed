"""From a request to upgrade to a stream connection."""

import asyncio
import re
from typing import Final
from urllib.parse import parse_qs

from podium.base.http import ClusterAuthenticator, Headers, Upgrade
from podium.base.http.websocket import CLOSE_SECONDS, WebSocket
from podium.base.telemetry import accepted
from podium.coordinator.api.stream import StreamConnection, Wanted, parse_sync
from podium.coordinator.supervisor.supervisor import Supervisor
from podium.wire.errors import ErrorCode, PodiumError, as_json

SYNC_HEADER: Final = "podium-sync"
"""32 hex characters: the mark a gateway wants between frames."""

SUBPROTOCOL: Final = "podium.v1"
"""Selected when it is offered."""

_PATH = re.compile(rb"/agent/([A-Za-z0-9_-]{1,80})")
_AFTER_MAX_CHARS: Final = 18


class Upgrades:
    """Makes stream connections, and waits for them at the end."""

    def __init__(self, supervisor: Supervisor, authenticator: ClusterAuthenticator) -> None:
        self._supervisor = supervisor
        self._authenticator = authenticator
        self._sockets: set[WebSocket] = set()

    def __call__(self, upgrade: Upgrade) -> asyncio.Protocol:
        """The protocol for one request (an `UpgradeFactory`)."""
        try:
            wanted = self._read(upgrade)
        except PodiumError as error:
            return _Refusal(error)
        socket = _CountedSocket(upgrade, self._supervisor, self._sockets)
        socket.peer = StreamConnection(socket, self._supervisor, wanted)
        return socket

    def __len__(self) -> int:
        return len(self._sockets)

    async def close(self) -> None:
        """Waits until all connections are gone, a bounded time; then cuts them. Close them first, with a code."""
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self._sockets and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for socket in tuple(self._sockets):
            socket.abort()

    def _read(self, upgrade: Upgrade) -> Wanted:
        headers = Headers(upgrade.headers)
        identity = self._authenticator.identify(headers)
        path = _PATH.fullmatch(upgrade.raw_path)
        if path is None:
            raise PodiumError(ErrorCode.NOT_FOUND, "there is no stream here")
        after = _after(upgrade.query_string)
        return Wanted(path[1].decode(), identity, after, parse_sync(headers.get(SYNC_HEADER)), accepted(headers))


class _CountedSocket(WebSocket):
    """A socket that is in a set while it lives."""

    def __init__(self, upgrade: Upgrade, supervisor: Supervisor, sockets: set[WebSocket]) -> None:
        super().__init__(upgrade, supervisor.parts.clock, supervisor.timers, subprotocol=SUBPROTOCOL)
        self._sockets = sockets

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sockets.add(self)
        super().connection_made(transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._sockets.discard(self)
        super().connection_lost(_exc)


class _Refusal(asyncio.Protocol):
    """Answers a request to upgrade with a problem."""

    def __init__(self, error: PodiumError) -> None:
        self._error = error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        body = as_json(self._error.problem())
        status = self._error.mapping.status
        head = f"HTTP/1.1 {status} {self._error.mapping.title}\r\ncontent-type: application/problem+json\r\n"
        tail = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        transport.write(head.encode() + tail.encode() + body)
        transport.close()


def _after(query: bytes) -> int | None:
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20).get("after")
    if not values:
        return None
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= _AFTER_MAX_CHARS):
        raise PodiumError(ErrorCode.INVALID_REQUEST, "after must be the number of an event")
    return int(text)
