"""Events on their way to many readers: made into frames once."""

from collections.abc import Sequence
from functools import cached_property

from diminuendo.storage.session_store import StoredEvent
from podium.base.http.framing import text_frame


class Batch:
    """Some events of one session that follow each other, at least one."""

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self.events = events

    @property
    def last_seq(self) -> int:
        """Number of the last of them."""
        return self.events[-1].seq

    @cached_property
    def wire(self) -> bytes:
        """All of them as WebSocket text frames of a server."""
        return b"".join([text_frame(event.frame) for event in self.events])
