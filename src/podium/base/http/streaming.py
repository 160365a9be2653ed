"""Answers that come in pieces: they end when the source ends, the client goes, or the server closes."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from podium.base.http.call import Receive, Send, Streamed
from podium.base.tasks import TaskOwner


class Streams:
    """All streamed answers of one application."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._running = 0

    def __len__(self) -> int:
        return self._running

    async def run(self, streamed: Streamed, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Sends a streamed answer to its end. Whatever ends it, the source is closed before this returns."""
        raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        raw.append((b"content-type", streamed.content_type.encode("latin-1")))
        await send({"type": "http.response.start", "status": streamed.status, "headers": raw})
        owner = TaskOwner("http-stream")
        self._running += 1
        try:
            length = streamed.headers.get("content-length")
            await self._follow(_Pump(streamed, send, int(length) if length else None), owner, receive)
        finally:
            self._running -= 1
            await owner.close()

    async def close(self) -> None:
        """Ends the streams; each finishes its answer properly."""
        self._closing.set()

    async def _follow(self, pump: "_Pump", owner: TaskOwner, receive: Receive) -> None:
        pumping = owner.start(pump.run(), "pump")
        gone = owner.start(_until_gone(receive), "disconnect")
        closing = owner.start(self._closing.wait(), "closing")
        watched = {pumping, gone, closing}
        pause = pump.streamed.heartbeat_seconds if pump.streamed.heartbeat else None
        while True:
            done, _ = await asyncio.wait(watched, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if done:
                break
            await pump.beat()
        failed = pumping in done and (pumping.cancelled() or pumping.exception() is not None)
        if gone not in done and not failed:
            pumping.cancel()
            await asyncio.wait({pumping})
            await pump.finish()


class _Pump:
    """Moves chunks from the source to the client, and knows whether anything went since the last look.

    `length`: bytes of the body, when that was promised. The answer is then over with the last of them, before the source says
    so: the client, who counts too, may begin with its next request at once.
    """

    def __init__(self, streamed: Streamed, send: Send, length: int | None) -> None:
        self.streamed = streamed
        self._send = send
        self._idle = False
        self._left = length

    async def run(self) -> None:
        chunks = self.streamed.chunks
        try:
            async for chunk in chunks:
                if chunk:
                    self._idle = False
                    if self._left is not None:
                        self._left -= len(chunk)
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": self._left != 0})
        finally:
            await close_source(chunks)

    async def beat(self) -> None:
        if self._idle:
            await self._send({"type": "http.response.body", "body": self.streamed.heartbeat, "more_body": True})
        self._idle = True

    async def finish(self) -> None:
        if self._left == 0 and self.streamed.headers.get("content-length") != "0":
            return  # it is over
        await self._send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def close_source(chunks: AsyncIterator[bytes]) -> None:
    """Ends a source that may not have been read to its end."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
