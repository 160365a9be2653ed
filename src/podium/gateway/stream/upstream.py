"""The coordinator's side of a stream: dialing it, and taking what it sends."""

import asyncio
import ssl
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from podium.gateway.domain.handshake import Answered, Dialing, read_answer
from podium.gateway.domain.stream_tail import StreamTail

CONNECT_SECONDS: Final = 3.0
"""How long making the TCP connection may take."""

ANSWER_SECONDS: Final = 15.0
"""How long the coordinator may take to answer the handshake."""

BUFFER_BYTES: Final = 256 * 1024
"""Unsent bytes in either direction above which the other side is not read."""

PROBLEM_MAX_BYTES: Final = 64 * 1024
"""Largest body read of an answer that is no 101."""


class Listener(Protocol):
    """Whoever a coordinator's connection belongs to."""

    def upstream_lost(self, upstream: "Upstream") -> None:
        """The connection is gone."""
        ...

    def upstream_full(self) -> None:
        """The coordinator does not take more for now."""
        ...

    def upstream_drained(self) -> None:
        """The coordinator takes more again."""
        ...


class Receiver(Protocol):
    """Takes bytes that need more than passing on (recovering, closing)."""

    def upstream_received(self, data: bytes) -> None:
        """Bytes came."""
        ...


class Upstream(asyncio.Protocol):
    """A coordinator's connection. First its handshake; then bytes, straight to the client or to a `Receiver`."""

    def __init__(self, listener: Listener) -> None:
        self.heard = True
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._receiver: Receiver | None = None
        self._lost = False

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost

    async def dial(self, host: str, port: int, tls: ssl.SSLContext | None, dialing: Dialing) -> Answered:
        """Connects and asks; bounded. Reading is paused when this returns a 101.

        Raises:
            OSError: the coordinator can't be reached, or hangs up.
            TimeoutError: it does not answer.
            ValueError: it answers nonsense.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.create_connection(lambda: self, host, port, ssl=tls)
        self.write(dialing.head())
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._answer

    def give_to(self, receiver: Receiver) -> None:
        """From now on `receiver` gets what comes. Resumes reading."""
        self._receiver = receiver
        self.resume_reading()

    def splice(self, client: asyncio.Transport, tail: StreamTail) -> None:
        """From now on what comes goes straight to the client. Resumes reading."""
        assert self._transport is not None
        self._transport.set_protocol(Splice(self, client, tail))
        self.resume_reading()

    def unsplice(self, receiver: Receiver) -> None:
        """Back to a receiver."""
        self._receiver = receiver
        if self._transport is not None:
            self._transport.set_protocol(self)

    def write(self, data: bytes) -> None:
        """Sends to the coordinator."""
        if self._transport is not None and not self._lost:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Back-pressure: the client does not take more."""
        if self._transport is not None and not self._lost and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The client takes more again."""
        if self._transport is not None and not self._lost and not self._transport.is_reading():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cuts the connection; `upstream_lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Closes the connection behind what was written; `upstream_lost` follows."""
        if self._transport is not None:
            self._transport.close()

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """The handshake's answer, or bytes for the receiver."""
        self.heard = True
        if self._receiver is not None:
            self._receiver.upstream_received(data)
            return
        self._buffer += data
        self._try_answer(ended=False)

    def eof_received(self) -> None:
        """The coordinator sends no more."""
        self._try_answer(ended=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""
        self._lost = True
        if not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the coordinator hung up"))
            self._answer.exception()
        self._listener.upstream_lost(self)

    def pause_writing(self) -> None:
        """The coordinator does not take more."""
        self._listener.upstream_full()

    def resume_writing(self) -> None:
        """The coordinator takes more again."""
        self._listener.upstream_drained()

    def _try_answer(self, *, ended: bool) -> None:
        """Settles the handshake. A refusal is whole when the coordinator has closed behind it."""
        if self._answer.done():
            return
        try:
            answer = read_answer(self._buffer)
        except ValueError as error:
            self._answer.set_exception(error)
            self._answer.exception()
            self.abort()
            return
        if answer is None:
            return
        if answer.status == 101:
            self.pause_reading()
            self._answer.set_result(answer)
        elif ended or len(answer.rest) > PROBLEM_MAX_BYTES:
            self._answer.set_result(answer)


class Splice(asyncio.Protocol):
    """The hot path: bytes of the coordinator go to the client as they come, and into the tail."""

    def __init__(self, upstream: Upstream, client: asyncio.Transport, tail: StreamTail) -> None:
        self._upstream = upstream
        self._write = client.write
        self._tail = tail

    def data_received(self, data: bytes) -> None:
        """Passes on; what `StreamTail.forwarded` does is done here without a call."""
        self._write(data)
        self._upstream.heard = True
        tail = self._tail
        tail.chunks.append(data)
        tail.size += len(data)
        if tail.size > tail.threshold:
            tail.trim()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hands over to the connection."""
        self._upstream.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hands over to the connection."""
        self._upstream.pause_writing()

    def resume_writing(self) -> None:
        """Hands over to the connection."""
        self._upstream.resume_writing()


def address_of(url: str) -> tuple[str, int, ssl.SSLContext | None, str]:
    """Host, port, TLS and the `Host` header of a coordinator's URL.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise ValueError("a coordinator's URL begins with http:// or https://")
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return parts.hostname, parts.port or (443 if tls else 80), tls, parts.netloc
