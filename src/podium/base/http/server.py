"""The listening server: uvicorn's HTTP/1.1 on uvloop, with upgrades handed to a protocol of one's own."""

import asyncio
import logging
import socket
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import Any, Final, NamedTuple

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from podium.base.http.app import PROBLEM_JSON
from podium.base.tasks import TaskOwner
from podium.wire.errors import ErrorCode, PodiumError, as_json

HEAD_SECONDS: Final = 15.0
"""How long a client may take to send the head of a request on a connection of its own."""

HEAD_MAX_BYTES: Final = 64 * 1024
"""Largest head of a request."""

KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection is kept for the next request; longer than the usual load balancer keeps it."""

BACKLOG: Final = 2048
"""Connections the kernel may hold for us."""

_log = logging.getLogger(__name__)


class Upgrade(NamedTuple):
    """A request to become a WebSocket, as far as HTTP has read it. Header names are lower case."""

    transport: asyncio.Transport
    method: str
    raw_path: bytes
    query_string: bytes
    headers: list[tuple[bytes, bytes]]


UpgradeFactory = Callable[[Upgrade], asyncio.Protocol]
"""Makes the protocol that takes the connection over. It gets `connection_made`, then bytes that came after the head."""


class HttpServer:
    """Serves an ASGI application on one socket until it is stopped.

    `upgrade` takes WebSocket requests; without it they are answered as ordinary requests.
    """

    def __init__(self, app: Any, upgrade: UpgradeFactory | None = None) -> None:
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._state = ServerState()
        self._upgrade = upgrade
        self._server: asyncio.Server | None = None
        self._owner = TaskOwner("http-server")

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, listening: socket.socket | None = None) -> int:
        """Listens and returns the port (useful with port 0). `listening` is a bound socket to use instead.

        Raises:
            OSError: the address can't be had.
        """
        self._config.load()
        self._date()
        loop = asyncio.get_running_loop()
        factory = partial(_Protocol, self._config, self._state, self._upgrade)
        if listening is not None:
            self._server = await loop.create_server(factory, sock=listening, backlog=BACKLOG)
        else:
            self._server = await loop.create_server(factory, host, port, backlog=BACKLOG)
        self._owner.start(self._tick(), "date")
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, grace_seconds: float) -> None:
        """Takes no new connections, lets running requests finish for at most `grace_seconds`, then cancels them."""
        if self._server is not None:
            self._server.close()
        await self._owner.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            if late:
                _log.warning("requests_cancelled", extra={"count": len(late)})
                await asyncio.wait(late, timeout=1.0)
        for connection in list(self._state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._date()

    def _date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on the head, problems for what is no HTTP, and our way to upgrade."""

    def __init__(self, config: uvicorn.Config, state: ServerState, upgrade: UpgradeFactory | None) -> None:
        super().__init__(config, state, {})
        self._upgrade = upgrade
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._head_is_whole = False
        self._undigested = 0
        self._events = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        events = self._events
        try:
            self.parser.feed_data(data)
            self._bound_undigested(len(data), digested=self._events != events)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._hand_over(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("this is no HTTP request we understand")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._events += 1
        self._head_bytes = 0
        self._head_is_whole = False
        self._await_head()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if not self._head_is_whole:  # a trailer is no header (RFC 9110 §6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._events += 1
        self._head_is_whole = True
        self._head_arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._events += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._events += 1
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._head_arrived()
        body = as_json(PodiumError(ErrorCode.INVALID_REQUEST, msg).problem())
        head = [STATUS_LINE[400], *(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)]
        head.append(b"content-type: %b\r\ncontent-length: %d\r\n" % (PROBLEM_JSON.encode(), len(body)))
        self.transport.write(b"".join([*head, b"connection: close\r\n\r\n", body]))
        self.transport.close()

    def _should_upgrade_to_ws(self) -> bool:
        return self._upgrade is not None

    def _count(self, size: int) -> None:
        self._events += 1
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX_BYTES:
            raise ValueError("the head of the request is too large")

    def _bound_undigested(self, size: int, *, digested: bool) -> None:
        """Ends the connection when the parser keeps collecting one name or value: it tells of it only when it is whole."""
        self._undigested = 0 if digested else self._undigested + size
        if self._undigested > HEAD_MAX_BYTES:
            self.send_400_response("the head of the request is too large")

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hand_over(self, following: bytes) -> None:
        """The connection leaves HTTP. One with an unanswered request before it can't: answers would mix with frames."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.send_400_response("a WebSocket can't be opened behind an unanswered request")
            return
        assert self._upgrade is not None
        self.connections.discard(self)
        url = httptools.parse_url(self.url)
        upgrade = Upgrade(self.transport, self.scope["method"], url.path, url.query or b"", self.headers)
        protocol = self._upgrade(upgrade)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if following and not self.transport.is_closing():
            protocol.data_received(following)
