"""ACP on a WebSocket of Diminuendo: `/acp?agent=TYPE`, one message a text frame."""

import asyncio
from typing import Any, Final
from urllib.parse import parse_qs

from diminuendo.acp.agent import AcpAgent
from diminuendo.acp.keeper import Keeper
from diminuendo.acp.rpc.messages import AUTH_REQUIRED, INVALID_PARAMS, INVALID_REQUEST, MESSAGE_MAX_BYTES, RpcError
from diminuendo.acp.rpc.peer import Peer
from diminuendo.acp.served import ServedKeeper
from diminuendo.acp.translation.params import Authenticate
from diminuendo.auth.api_keys import PREFIX
from diminuendo.auth.errors import KeysAwayError, TokenRefusedError
from diminuendo.protocol.answers import Identity
from diminuendo.protocol.handshake import CLOSE_UNAUTHENTICATED
from diminuendo.protocol.limits import AUTHENTICATE_MS, AUTHENTICATE_TRIES, Window
from diminuendo.server.connection import Parts
from diminuendo.server.door import Arrival, Room
from podium.base.http import bearer_of
from podium.base.http.websocket import HIGH_WATER_BYTES, WebSocket
from podium.base.tasks import TaskOwner
from podium.client import PodiumClient
from podium.wire.close import CloseCode

METHOD_ID: Final = "token"
"""The way to authenticate: `_meta.token` of `authenticate` is an API key or a token of the identity provider."""

CONNECTION_ID_HEADER: Final = "Acp-Connection-Id"
"""Header of the answer to the handshake that names the connection, as the draft of ACP's remote transports has it."""

UNSENT_MAX_BYTES: Final = 2 * MESSAGE_MAX_BYTES
"""A client with so much unsent that asks for more has stopped reading: it is closed."""

MESSAGES_MAX: Final = 1_000
"""Messages a client may send in `MESSAGES_WINDOW_MS`; an editor sends a few a second at most."""

MESSAGES_WINDOW_MS: Final = 10_000


class SocketOutlet:
    """An `Outlet` of a WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._free = asyncio.Event()
        self._farewell: tuple[int, str] | None = None

    def write(self, message: bytes) -> None:
        """See `Outlet`."""
        self._socket.write_text(message)
        if self._farewell is not None:
            self._socket.close(*self._farewell)

    def close_behind_next(self, code: int, reason: str) -> None:
        """The connection closes behind the next message."""
        self._farewell = (code, reason)

    async def room(self) -> None:
        """See `Outlet`."""
        while self._socket.is_open and self._socket.unsent > HIGH_WATER_BYTES:
            self._free.clear()
            await self._free.wait()

    def drained(self) -> None:
        """There is room, or nobody any more."""
        self._free.set()


class AcpConnection:
    """One client (a `Guest` of Diminuendo's door, and the `Door` its agent is behind)."""

    def __init__(self, arrival: Arrival, parts: Parts, podium: PodiumClient) -> None:
        self.key: str | None = None
        """The API key that let the client in, if it was one."""
        self._socket = arrival.socket
        self._socket.headers[CONNECTION_ID_HEADER] = arrival.client_id
        self._address = arrival.address
        self._parts = parts
        self._podium = podium
        self._agent_type = _agent_type(arrival.upgrade.query_string)
        self._brought = bearer_of(arrival.headers) if "authorization" in arrival.headers else None
        self._outlet = SocketOutlet(arrival.socket)
        self._peer = Peer(self._outlet, f"acp-{arrival.client_id}")
        self._agent = AcpAgent(self._peer, self)
        self._peer.handler = self._agent
        self._tasks = TaskOwner(f"acp-{arrival.client_id}-entry")
        self._deadline = parts.timers.alarm(self._deadline_reached)
        self._window = Window(MESSAGES_MAX, MESSAGES_WINDOW_MS)
        self._tries = 0
        self._caller: Identity | None = parts.local
        self._entry: asyncio.Task[None] | None = None

    # ── the socket's calls ───────────────────────────────────────────────────────────────────────────────────

    def opened(self) -> None:
        """Looks at the token the client brought, if it did."""
        if self._caller is not None:
            return
        self._deadline.set(self._parts.clock.monotonic() + AUTHENTICATE_MS / 1000)
        if self._brought is not None:
            self._entry = self._tasks.start(self._enter(self._brought), "enter", awaited=True)

    def text_received(self, data: bytes) -> None:
        """One message."""
        if not self._window.take(self._now_ms()):
            self.close(CloseCode.RATE_LIMITED, "too many messages")
        elif self._socket.unsent > UNSENT_MAX_BYTES:
            self.close(CloseCode.SLOW_CONSUMER, "answers are not read")
        else:
            self._parts.metrics.add("client_messages_total", type="acp")
            self._peer.receive(data)

    def binary_received(self) -> None:
        """Refused: the protocol is text."""
        self._peer.refuse(RpcError(INVALID_REQUEST, "messages are text frames"))

    def drained(self) -> None:
        """The client takes more."""
        self._outlet.drained()

    def closed(self) -> None:
        """The client is gone. Turns that run go on."""
        self._deadline.set(None)
        self._outlet.drained()
        self._parts.owner.start(self._leave(), "acp-leave")

    def close(self, code: int, reason: str) -> None:
        """Tells the client to go."""
        self._socket.close(code, reason)

    async def _leave(self) -> None:
        self._agent.hang_up()
        await self._tasks.close()
        await self._peer.close()
        await self._agent.close()

    # ── who it is ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def methods(self) -> list[dict[str, Any]]:
        """See `Door`."""
        if self._parts.local is not None or self._brought is not None:
            return []
        text = "An API key or a token of the identity provider, as `_meta.token` of `authenticate`, or as bearer token of the request."
        return [{"id": METHOD_ID, "name": "Token", "description": text}]

    async def authenticate(self, wanted: Authenticate) -> None:
        """See `Door`."""
        if wanted.method_id != METHOD_ID:
            raise RpcError(INVALID_PARAMS, f"there is no method {wanted.method_id!r}", {"methods": [METHOD_ID]})
        token = (wanted.meta or {}).get("token")
        if not isinstance(token, str):
            raise RpcError(INVALID_PARAMS, "the token belongs into _meta.token")
        if self._parts.local is None:
            await self._enter(token)

    async def keeper(self) -> Keeper:
        """See `Door`."""
        if self._entry is not None:
            await asyncio.shield(self._entry)
        if self._caller is None:
            raise RpcError(AUTH_REQUIRED, "authenticate first")
        return ServedKeeper(self._parts.sessions, self._podium, self._caller, self._agent_type)

    async def _enter(self, token: str) -> None:
        wait_ms = self._parts.failed.wait_ms(self._address, self._now_ms())
        if wait_ms:
            data = {"retryAfterMs": wait_ms}
            raise self._turned_away(RpcError(AUTH_REQUIRED, "too many failed tries from this address", data))
        try:
            verified = await self._parts.callers.identify(token)
        except KeysAwayError as error:  # says nothing about the token
            raise self._turned_away(RpcError(AUTH_REQUIRED, error.reason)) from error
        except TokenRefusedError as error:
            self._parts.failed.failed(self._address, self._now_ms())
            self._parts.metrics.add("client_refused_tokens_total")
            raise self._turned_away(RpcError(AUTH_REQUIRED, error.reason)) from error
        before, now = self._caller, verified.identity
        if before is not None and (before.user_id, before.tenant_id) != (now.user_id, now.tenant_id):
            raise self._turned_away(RpcError(AUTH_REQUIRED, "the new token is somebody else's"))
        self._caller = now
        self.key = token if token.startswith(PREFIX) else None
        left = verified.left_ms
        self._deadline.set(None if left is None else self._parts.clock.monotonic() + left / 1000)

    def _turned_away(self, error: RpcError) -> RpcError:
        """The error; after the last try the connection is closed behind it."""
        self._tries += 1
        if self._brought is not None:
            self.close(CLOSE_UNAUTHENTICATED, error.message)
        elif self._tries >= AUTHENTICATE_TRIES:
            self._outlet.close_behind_next(CLOSE_UNAUTHENTICATED, error.message)
        return error

    def _deadline_reached(self) -> None:
        text = "no valid token in time" if self._caller is None else "the token has ended"
        self.close(CLOSE_UNAUTHENTICATED, text)

    def _now_ms(self) -> int:
        return int(self._parts.clock.monotonic() * 1000)


def acp_room(parts: Parts, podium: PodiumClient) -> Room:
    """What is behind `/acp` of Diminuendo's door. A message that is somewhat too large is answered by an error."""
    return Room(lambda arrival: AcpConnection(arrival, parts, podium), 2 * MESSAGE_MAX_BYTES)


def _agent_type(query: bytes) -> str | None:
    found = parse_qs(query.decode("latin-1")).get("agent")
    return found[-1] if found else None
