"""The process that serves one open workspace, from the event loop: short requests, and iterations as they are recorded."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from chronicle.control.client import NobodyThereError
from chronicle.control.failures import error_of
from chronicle.control.messages import Answer, Follow, GetStatus, HolderStatus, Request, line
from chronicle.control.sockets import connect
from chronicle.model.iterations import Iteration

CONNECT_SECONDS: Final = 0.0
"""Connecting never waits: it succeeds at once, or the other side's backlog is full (unix(7)) and it is tried again later."""

_log = logging.getLogger(__name__)
_answers = msgspec.json.Decoder(Answer)

T = TypeVar("T")


class HolderLink(asyncio.Protocol):
    """One connection to it. Requests are answered in any order; pushed iterations come in theirs."""

    def __init__(self, recorded: Callable[[list[Iteration]], None], lost: Callable[["HolderLink"], None]) -> None:
        self._recorded = recorded
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: dict[int, asyncio.Future[msgspec.Raw | None]] = {}
        self._numbers = itertools.count(1)

    @classmethod
    async def open(
        cls,
        socket_path: Path,
        recorded: Callable[[list[Iteration]], None],
        lost: Callable[["HolderLink"], None],
    ) -> "HolderLink":
        """Connects.

        Raises:
            NobodyThereError: nobody listens there, or who does accepts nobody now.
            OSError: it can't be reached (not permitted).
        """
        try:
            connected = connect(socket_path, CONNECT_SECONDS)
        except BlockingIOError as error:
            raise NobodyThereError("who serves the workspace accepts nobody now") from error
        if connected is None:
            raise NobodyThereError("nobody serves the workspace")
        connected.setblocking(False)
        try:
            loop = asyncio.get_running_loop()
            _, link = await loop.create_unix_connection(lambda: cls(recorded, lost), sock=connected)
        except BaseException:
            connected.close()
            raise
        return link

    async def follow(self, after: int | None) -> int:
        """Has every iteration behind `after` (head when None) pushed from now on; returns head."""
        if after is None:
            after = (await self.call(GetStatus, HolderStatus)).head
        return max(after, await self.call(lambda number: Follow(number, after), int))

    async def call(self, request: Callable[[int], Request], kind: type[T]) -> T:
        """Asks and waits. Bound it.

        Raises:
            NobodyThereError: the connection is lost; what was asked may have been done, or not.
            ChronicleError: what the other side answered.
        """
        if self._transport is None or self._transport.is_closing():
            raise NobodyThereError("nobody serves the workspace")
        number = next(self._numbers)
        future: asyncio.Future[msgspec.Raw | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._transport.write(line(request(number)))
            return msgspec.json.decode(await future or b"null", type=kind)
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Ends it; `lost` is not called any more."""
        self._lost = _nothing
        if self._transport is not None:
            self._transport.close()

    # ── the transport's calls ───────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Some lines, or parts of them."""
        self._buffer += data
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        for each in lines:
            self._understand(_answers.decode(each))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio has it
        """The process ended, or we did."""
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(NobodyThereError("the process that served the workspace ended"))
        self._lost(self)

    def _understand(self, answer: Answer) -> None:
        if answer.push is not None:
            if answer.iterations:
                self._recorded(answer.iterations)
            return
        future = self._waiting.get(answer.id or 0)
        if future is None or future.done():
            return
        if answer.error is not None:
            future.set_exception(error_of(answer.error))
        else:
            future.set_result(answer.ok)


def _nothing(_link: Any) -> None:
    pass
