"""Server-sent events (WHATWG HTML §9.2), the reading side."""

from collections.abc import AsyncIterator
from typing import NamedTuple


class ServerSentEvent(NamedTuple):
    """One event: `event` is `message` unless named."""

    data: bytes
    id: str = ""
    event: str = "message"


class SseReader:
    """Takes lines without their ends, gives whole events."""

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""

    def feed(self, line: bytes) -> ServerSentEvent | None:
        """The event that `line` completes, if any. Comments, unknown fields and events without data give none."""
        if not line:
            return self._complete()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        return None

    def _complete(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event = [], ""
        return ServerSentEvent(b"\n".join(data), self._id, event or "message") if data else None


async def read_events(lines: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
    """The events in `lines`."""
    reader = SseReader()
    async for line in lines:
        event = reader.feed(line)
        if event is not None:
            yield event
