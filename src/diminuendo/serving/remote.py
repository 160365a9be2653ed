"""The sessions another replica works on."""

import asyncio
import contextlib
import itertools
from typing import Final, cast

import aiohttp

from diminuendo.protocol.answers import AnswerMessage, AnyAnswer, Identity, StateSnapshot
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.messages import AnyMessage, ClientMessage, JoinSession
from diminuendo.serving import relaying
from diminuendo.serving.batch import Batch
from diminuendo.serving.port import Reader, Seat
from diminuendo.storage.session_store import StoredEvent
from podium.base.tasks import TaskOwner

CONNECT_SECONDS: Final = 5.0
"""How long another replica may take to be reached."""

ANSWER_SECONDS: Final = 120.0
"""How long it may take to answer: making an instance may take a minute."""

PING_SECONDS: Final = 10.0
"""How often a silent connection is tried; half of it later the other replica is gone."""


class RemoteSessions:
    """The replica at `url` (a `Sessions`). Connects when it is asked; `close` it."""

    def __init__(self, url: str, cluster_key: str, http: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/") + relaying.PATH
        self._headers = {"Authorization": f"Bearer {cluster_key}"}
        self._http = http
        self._owner = TaskOwner(f"replica-{url}")
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[AnyAnswer]] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._connecting = asyncio.Lock()

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        """See `Sessions`."""
        socket = await self._connected()
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await socket.send_str(_request(number, caller, message))
                return cast("AnswerMessage", relaying.checked(await future))
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            raise _away() from error
        finally:
            self._waiting.pop(number, None)

    async def join(self, caller: Identity, message: JoinSession, reader: Reader) -> Seat:
        """See `Sessions`."""
        socket = await self._dial()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await socket.send_str(_request(0, caller, message))
                frame = await socket.receive_str()
            snapshot = relaying.checked(relaying.read_response(frame).answer)
        except (TimeoutError, TypeError, ConnectionError, aiohttp.ClientError) as error:
            await socket.close()
            raise _away() from error
        except BaseException:  # refused, or cancelled: the socket must not be left open
            await socket.close()
            raise
        assert isinstance(snapshot, StateSnapshot)
        return RemoteSeat(snapshot, socket, reader, self._owner)

    async def close(self) -> None:
        """Ends the connection and all readers."""
        await self._owner.close()
        if self._socket is not None:
            await self._socket.close()

    async def _connected(self) -> aiohttp.ClientWebSocketResponse:
        async with self._connecting:
            if self._socket is None or self._socket.closed:
                self._socket = await self._dial()
                self._owner.start(self._read(self._socket), "answers")
            return self._socket

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._http.ws_connect(
                    self._url, headers=self._headers, compress=0, max_msg_size=0, heartbeat=PING_SECONDS
                )
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise _away() from error

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for frame in socket:
                response = relaying.read_response(frame.data)
                waiting = self._waiting.get(response.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(response.answer)
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_away())


class RemoteSeat:
    """A reader's place in a session of another replica (a `Seat`)."""

    def __init__(
        self, snapshot: StateSnapshot, socket: aiohttp.ClientWebSocketResponse, reader: Reader, owner: TaskOwner
    ) -> None:
        self.snapshot = snapshot
        self._socket = socket
        self._reader = reader
        self._owner = owner
        self._room = asyncio.Event()
        self._left = False
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """See `Seat`."""
        if not self._left:
            self._reading = self._owner.start(self._read(), "events")

    def go_on(self) -> None:
        """See `Seat`."""
        self._room.set()

    def leave(self) -> None:
        """See `Seat`."""
        if self._left:
            return
        self._left = True
        if self._reading is not None:
            self._reading.cancel()
        with contextlib.suppress(RuntimeError):  # all of it is being closed, sockets included
            self._owner.start(_closed(self._socket), "leave")

    async def _read(self) -> None:
        async for frame in self._socket:
            while self._reader.is_full:
                self._room.clear()
                await self._room.wait()
            data = str(frame.data).encode()
            if seq := relaying.read_head(data).seq:
                self._reader.told(Batch([StoredEvent(seq, data)]))
            else:
                self._reader.informed(relaying.read_message(data))
        if not self._left:
            self._left = True
            self._reader.ended("the session is moving; join again")


async def _closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()


def _request(number: int, caller: Identity, message: ClientMessage) -> str:
    return relaying.encode(relaying.Request(number, caller, cast("AnyMessage", message))).decode()


def _away() -> ProtocolError:
    text = "the replica that works on this session does not answer; another one takes over within seconds"
    return ProtocolError(Code.PODIUM_UNAVAILABLE, text)
