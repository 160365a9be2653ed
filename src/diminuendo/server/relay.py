"""Another replica's connection: it passes on what its clients ask about tenants that are worked on here."""

import logging

import msgspec

from diminuendo.protocol import answers
from diminuendo.protocol.answers import ServerMessage
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.limits import MESSAGE_MAX_BYTES
from diminuendo.protocol.messages import JoinSession
from diminuendo.server.door import Room
from diminuendo.serving import relaying
from diminuendo.serving.batch import Batch
from diminuendo.serving.port import Seat, Sessions
from podium.base.http import ClusterAuthenticator
from podium.base.http.websocket import WebSocket
from podium.base.tasks import TaskOwner
from podium.wire.close import CloseCode

_log = logging.getLogger(__name__)


def relay_room(here: Sessions, cluster_key: str, owner: TaskOwner) -> Room:
    """What is behind `relaying.PATH`: only who has the cluster's key comes in, and is believed who its callers are."""
    check = ClusterAuthenticator(cluster_key).identify
    return Room(lambda arrival: RelayConnection(arrival.socket, here, owner), 2 * MESSAGE_MAX_BYTES, check)


class RelayConnection:
    """The other replica's side of `diminuendo.serving.remote` (a `Peer`, and the `Reader` of the session that is followed on it)."""

    def __init__(self, socket: WebSocket, here: Sessions, owner: TaskOwner) -> None:
        self.key: str | None = None
        """No API key: the cluster's."""
        self._socket = socket
        self._here = here
        self._owner = owner
        self._seat: Seat | None = None

    # ── the socket's calls ───────────────────────────────────────────────────────────────────────────────────

    def opened(self) -> None:
        """The other side begins."""

    def binary_received(self) -> None:
        """Nothing of ours."""
        self._socket.close(CloseCode.BAD_FRAMES, "requests are text")

    def text_received(self, data: bytes) -> None:
        """A request."""
        try:
            request = relaying.read_request(data)
        except msgspec.DecodeError as error:
            _log.warning("relay_unreadable", exc_info=error)
            self._socket.close(CloseCode.BAD_FRAMES, "that is no request")
            return
        answering = self._join if isinstance(request.message, JoinSession) else self._answer
        self._owner.start(answering(request), "relayed")

    def drained(self) -> None:
        """The other side takes more."""
        if self._seat is not None:
            self._seat.go_on()

    def closed(self) -> None:
        """The other replica, or its client, is gone."""
        if self._seat is not None:
            self._seat.leave()

    def close(self, code: int, reason: str) -> None:
        """Tells the other side to go."""
        self._socket.close(code, reason)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, request: relaying.Request) -> None:
        try:
            answer = await self._here.handle(request.caller, request.message)
            response = relaying.Response(request.number, answer)  # type: ignore[arg-type] # one of `AnyAnswer`
        except ProtocolError as error:
            response = relaying.failed(request.number, error)
        except Exception as error:  # noqa: BLE001 - the boundary: who is not answered waits
            response = relaying.failed(request.number, _fault(error))
        self._socket.write_text(relaying.encode(response))

    async def _join(self, request: relaying.Request) -> None:
        assert isinstance(request.message, JoinSession)
        try:
            seat = await self._here.join(request.caller, request.message, self)
        except ProtocolError as error:
            self._socket.write_text(relaying.encode(relaying.failed(request.number, error)))
            return
        except Exception as error:  # noqa: BLE001 - as above
            self._socket.write_text(relaying.encode(relaying.failed(request.number, _fault(error))))
            return
        if not self._socket.is_open or self._seat is not None:
            seat.leave()
            return
        self._seat = seat
        self._socket.write_text(relaying.encode(relaying.Response(request.number, seat.snapshot)))
        seat.begin()

    # ── a reader ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_full(self) -> bool:
        """See `Reader`."""
        return self._socket.is_paused

    def told(self, batch: Batch) -> None:
        """See `Reader`."""
        self._socket.write(batch.wire)

    def informed(self, message: ServerMessage) -> None:
        """See `Reader`."""
        self._socket.write_text(answers.encode(message))

    def ended(self, reason: str) -> None:
        """See `Reader`."""
        self._socket.close(CloseCode.MOVING, reason)


def _fault(error: Exception) -> ProtocolError:
    _log.error("relayed_message_failed", exc_info=error)
    return ProtocolError(Code.PODIUM_UNAVAILABLE, "something went wrong here")
