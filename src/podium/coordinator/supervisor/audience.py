"""Who follows an agent right now: connections and readers that want to hear of new events at once."""

from collections.abc import Sequence
from typing import Protocol

from podium.base.http.framing import text_frame
from podium.wire.close import CloseCode
from podium.wire.envelope import EventRow, FrameWriter


class Published:
    """One batch of events, encoded once for all who listen. `frames` are whole WebSocket frames, `joined` all of them."""

    __slots__ = ("first_seq", "frames", "joined", "last_seq")

    def __init__(self, rows: Sequence[EventRow], writer: FrameWriter) -> None:
        self.first_seq = rows[0].seq
        self.last_seq = rows[-1].seq
        self.frames = [text_frame(writer.write(row)) for row in rows]
        self.joined = b"".join(self.frames) if len(self.frames) > 1 else self.frames[0]


class Listener(Protocol):
    """Someone who follows an agent."""

    def published(self, batch: Published) -> None:
        """Events were committed. Called in order of `seq`, without gaps since the listener joined."""
        ...

    def ended(self, code: CloseCode, reason: str) -> None:
        """There will be nothing more to hear; the listener is already out of the audience."""
        ...


class Audience:
    """The listeners of one agent."""

    def __init__(self, agent_id: str) -> None:
        self.writer = FrameWriter(agent_id)
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, listener: Listener) -> None:
        """From now on the listener hears of every batch."""
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """The listener hears nothing more; leaving twice is fine."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def publish(self, rows: Sequence[EventRow]) -> None:
        """Tells all listeners of committed events."""
        if not self._listeners or not rows:
            return
        batch = Published(rows, self.writer)
        for listener in tuple(self._listeners):
            listener.published(batch)

    def end(self, code: CloseCode, reason: str) -> None:
        """Sends everyone away."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.ended(code, reason)
