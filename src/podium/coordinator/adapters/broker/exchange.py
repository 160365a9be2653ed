"""HTTP/1.1 between an agent and a host it may use a secret with: requests are filled in, answers go through as they are."""

from collections.abc import Callable
from typing import Final

import h11

from podium.coordinator.adapters.broker.streams import CHUNK_BYTES, Stream, relay, together
from podium.coordinator.domain.brokering import HTTPS_PORT, Filled, Header, Host

Fill = Callable[[bytes, list[Header]], Filled]
"""Puts the values into a request."""

_HOP: Final = (b"proxy-authorization", b"proxy-connection")


class RefusedError(Exception):
    """A request that is not passed on; the agent gets the status and the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Exchange:
    """The requests of one connection of an agent, one after the other. `seconds`: longest silence of either side."""

    def __init__(self, agent: Stream, server: Stream, host: Host, fill: Fill, seconds: float) -> None:
        self._agent, self._server = agent, server
        self._host = host
        self._fill = fill
        self._seconds = seconds
        self._in = h11.Connection(h11.SERVER, max_incomplete_event_size=CHUNK_BYTES)
        self._out = h11.Connection(h11.CLIENT, max_incomplete_event_size=CHUNK_BYTES)

    async def run(self) -> None:
        """Until either side closes.

        Raises:
            OSError: a connection broke.
            TimeoutError: a side was silent for too long.
        """
        try:
            while await self._once():
                self._in.start_next_cycle()
                self._out.start_next_cycle()
        except RefusedError as refused:
            await self._refuse(refused)
        except h11.ProtocolError as error:
            await self._refuse(RefusedError(502, f"what was said is no HTTP/1.1: {error}"))

    async def _once(self) -> bool:
        """One request and its answer; True: another may follow."""
        request = await self._next(self._in, self._agent)
        if not isinstance(request, h11.Request):
            return False
        await self._say(self._out, self._server, self._checked(request))
        await together(self._pass_request(), self._pass_answer())
        if self._out.their_state is h11.SWITCHED_PROTOCOL:
            await self._go_on_raw()
            return False
        return {self._in.our_state, self._in.their_state, self._out.our_state, self._out.their_state} == {h11.DONE}

    def _checked(self, request: h11.Request) -> h11.Request:
        """The request with the values in it.

        Raises:
            RefusedError: it is meant for another host than the connection, which behind a shared front could be anybody's.
        """
        names = {self._host.name, f"{self._host.name}:{self._host.port}"}
        said = [value.decode("latin-1").lower() for name, value in request.headers if name == b"host"]
        if len(said) != 1 or said[0] not in names or (said[0] == self._host.name and self._host.port != HTTPS_PORT):
            raise RefusedError(421, f"this connection is for {self._host.name}:{self._host.port} alone")
        if request.method == b"TRACE" or not request.target.startswith((b"/", b"*")):
            raise RefusedError(400, "ask for a path of this host, with a method other than TRACE")
        headers = [(name, value) for name, value in request.headers if name not in _HOP]
        filled = self._fill(request.target, headers)
        return h11.Request(method=request.method, target=filled.target, headers=filled.headers)

    async def _pass_request(self) -> None:
        while True:
            event = await self._next(self._in, self._agent)
            if not isinstance(event, h11.Data | h11.EndOfMessage):
                raise ConnectionResetError("the agent left in the middle of its request")
            if self._out.their_state not in (h11.SEND_RESPONSE, h11.IDLE, h11.SEND_BODY):
                return  # the host answered before it had heard all
            await self._say(self._out, self._server, event)
            if isinstance(event, h11.EndOfMessage):
                return

    async def _pass_answer(self) -> None:
        while True:
            event = await self._next(self._out, self._server)
            if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("the host left in the middle of its answer")
            await self._say(self._in, self._agent, event)
            if isinstance(event, h11.EndOfMessage):
                return
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                return

    async def _go_on_raw(self) -> None:
        """A WebSocket, or whatever both agreed on: what was read already, then bytes as they come."""
        for connection, target in ((self._in, self._server), (self._out, self._agent)):
            if connection.trailing_data[0]:
                await target.write(connection.trailing_data[0], self._seconds)
        await relay(self._agent, self._server, self._seconds)

    async def _next(self, connection: h11.Connection, stream: Stream) -> h11.Event | type[h11.PAUSED]:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await stream.read(self._seconds))
        return event  # type: ignore[return-value] # NEED_DATA is gone

    async def _say(self, connection: h11.Connection, stream: Stream, event: h11.Event) -> None:
        data = connection.send(event)
        if data:
            await stream.write(data, self._seconds)

    async def _refuse(self, refused: RefusedError) -> None:
        if self._in.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return  # the answer has begun: all that is left is to break it off
        body = f"{refused.text}\n".encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Connection", "close")]
        answer = h11.Response(status_code=refused.status, headers=headers)
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            await self._say(self._in, self._agent, event)
