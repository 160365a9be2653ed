"""The agent's end of the link on an asyncio loop."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from podium.agent.base_agent import BaseAgent
from podium.agent.instance import Instance
from podium.agent.outbox import Outbox
from podium.wire.limits import LINK_AHEAD_MAX_BYTES
from podium.wire.link import FrameBuffer, Init, LinkError, read_to_agent


class AgentLink(asyncio.Protocol):
    """Makes the instance from the first frame and hands it the others. `ended` resolves with the exit code."""

    def __init__(self, factory: Callable[[dict[str, Any]], BaseAgent], link_lost_code: int) -> None:
        self._factory = factory
        self._link_lost_code = link_lost_code
        self._frames = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._outbox: Outbox | None = None
        self.instance: Instance | None = None
        self.listen_to_logging = False
        self.made: Callable[[Instance], None] = _nobody
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is registered with the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=LINK_AHEAD_MAX_BYTES, low=LINK_AHEAD_MAX_BYTES // 4)
        self._outbox = Outbox(self._transport.write, self._transport.get_write_buffer_size)

    def data_received(self, data: bytes) -> None:
        """Whole frames are acted on at once. A broken one ends the link, and with it the process."""
        try:
            for body in self._frames.feed(data):
                self._frame(body)
        except LinkError as error:
            if self.instance is not None:
                self.instance.log.failure("the coordinator broke the protocol", error)
                self.instance.outbox.flush()
            self.connection_lost(error)

    def pause_writing(self) -> None:
        """The coordinator is `LINK_AHEAD_MAX_BYTES` behind."""
        if self._outbox is not None:
            self._outbox.pause()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._outbox is not None:
            self._outbox.resume()

    def connection_lost(self, error: Exception | None) -> None:
        """The coordinator is gone."""
        if self.instance is not None:
            self.instance.link_lost()
        elif not self.ended.done():
            self.ended.set_result(self._link_lost_code)

    async def close(self, flush_seconds: float) -> None:
        """Sends what is queued, for at most `flush_seconds`, and closes the socket."""
        transport = self._transport
        if transport is None:
            return
        transport.set_write_buffer_limits(high=0)
        if transport.get_write_buffer_size() and self._outbox is not None and not transport.is_closing():
            try:
                async with asyncio.timeout(flush_seconds):
                    await self._outbox.drained()
            except TimeoutError:
                pass  # the coordinator does not read; it ends us anyway
        transport.abort()

    def _frame(self, body: bytes) -> None:
        frame = read_to_agent(body)
        if self.instance is not None:
            self.instance.frame_received(frame)
            return
        if not isinstance(frame, Init) or self._outbox is None:
            raise LinkError("the first frame must be init")
        self.instance = Instance(frame, self._factory, self._outbox)
        self.instance.ended.add_done_callback(self._instance_ended)
        if self.listen_to_logging:
            self.instance.listen_to_logging()
        self.made(self.instance)
        self.instance.start()

    def _instance_ended(self, ended: "asyncio.Future[int]") -> None:
        if not self.ended.done():
            self.ended.set_result(ended.result())


def _nobody(_: Instance) -> None:
    """Default of `AgentLink.made`, which is told of the instance when `init` has come."""
