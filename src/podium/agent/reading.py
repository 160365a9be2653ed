"""The agent's end of the link: bytes become frames, the first of which makes the instance."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from podium.agent.base_agent import BaseAgent
from podium.agent.instance import EXIT_LINK_LOST, Instance
from podium.agent.link_socket import LinkSocket
from podium.agent.outbox import Outbox
from podium.wire.link import FrameBuffer, Init, LinkError, read_to_agent


class AgentLink:
    """Serves one link inside a running loop. `ended` resolves with the exit code; `close` must follow.

    `made` is told of the instance when `init` has come, before it does anything.
    """

    def __init__(self, link: socket.socket, factory: Callable[[dict[str, Any]], BaseAgent]) -> None:
        self._factory = factory
        self._frames = FrameBuffer()
        self._socket = LinkSocket(link, self._received, self._lost)
        self._outbox = Outbox(self._socket.write, self._socket.writable)
        self.instance: Instance | None = None
        self.listen_to_logging = False
        self.made: Callable[[Instance], None] = _nobody
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def close(self, flush_seconds: float) -> None:
        """Sends what is queued, for at most `flush_seconds`, and closes the socket."""
        self._outbox.flush()
        if flush_seconds and self._socket.unsent():
            with contextlib.suppress(TimeoutError):  # the coordinator does not read; it ends us anyway
                async with asyncio.timeout(flush_seconds):
                    await self._socket.drained()
        self._socket.close()

    def _received(self, data: bytes) -> None:
        """Whole frames are acted on at once. A broken one ends the link, and with it the process."""
        try:
            for body in self._frames.feed(data):
                self._frame(body)
        except LinkError as error:
            if self.instance is not None:
                self.instance.log.failure("the coordinator broke the protocol", error)
                self.instance.outbox.flush()
            self._lost()

    def _lost(self) -> None:
        if self.instance is not None:
            self.instance.link_lost()
        elif not self.ended.done():
            self.ended.set_result(EXIT_LINK_LOST)

    def _frame(self, body: bytes) -> None:
        frame = read_to_agent(body)
        if self.instance is not None:
            self.instance.frame_received(frame)
            return
        if not isinstance(frame, Init):
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
    """Default of `AgentLink.made`."""
