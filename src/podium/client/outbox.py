"""Commands that wait for their acknowledgement. No I/O."""

import asyncio
from collections import OrderedDict
from typing import Any, Final

import msgspec

from podium.client.errors import PodiumConnectionError
from podium.client.event import PodiumEvent
from podium.wire.commands import Ack, Nack
from podium.wire.errors import ErrorCode, PodiumError

REMEMBERED: Final = 1_000
"""Commands whose answer is known to have come: one that was sent twice, over a connection that broke, is answered twice."""


class Outbox:
    """Commands by id, in the order they were given. What is not settled is sent again on a new connection."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._waiting: dict[str, tuple[str, asyncio.Future[Ack]]] = {}
        self._settled: OrderedDict[str, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, command_id: str, frame: str) -> asyncio.Future[Ack]:
        """Keeps a command; the future is its acknowledgement. The same id again shares the first one's."""
        if command_id in self._waiting:
            return self._waiting[command_id][1]
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = (frame, future)
        future.add_done_callback(lambda _: self._waiting.pop(command_id, None))
        return future

    def frames(self) -> list[str]:
        """What to send on a new connection."""
        return [frame for frame, _ in self._waiting.values()]

    def settle(self, event: PodiumEvent) -> bool:
        """Takes an `ack`, `nack` or `pong`, also one that comes again; False when it answers nothing of ours."""
        content: dict[str, Any] = event.content or {}
        command_id = str(content.get("id", ""))
        found = self._waiting.get(command_id)
        if found is None or found[1].done():
            return command_id in self._settled
        self._settled[command_id] = None
        if len(self._settled) > REMEMBERED:
            self._settled.popitem(last=False)
        if event.message_type == "nack":
            found[1].set_exception(self._refused(content))
        else:
            found[1].set_result(msgspec.convert(content, Ack, strict=False))
        return True

    def fail(self, error: PodiumConnectionError) -> None:
        """Ends all waiting with `error`."""
        for _, future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(error)

    def _refused(self, content: dict[str, Any]) -> PodiumConnectionError:
        nack = msgspec.convert({"code": "internal", "message": "", **content}, Nack, strict=False)
        known = nack.code in list(ErrorCode)
        code = ErrorCode(nack.code) if known else ErrorCode.INTERNAL
        problem = PodiumError(code, nack.message or nack.code)
        return PodiumConnectionError("send", problem, instance_id=self._instance_id, status=problem.mapping.status)
