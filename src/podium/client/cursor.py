"""Where a reader is in an agent's events: what is new, what came twice, what is missing. No I/O."""

from enum import Enum

from podium.client.event import PodiumEvent

_ASKED = frozenset({"tool.question_requested", "tool.permission_requested"})
_LOST = "event.lost"


class Verdict(Enum):
    """What to do with an event."""

    DELIVER = "deliver"
    SKIP = "skip"
    """Delivered before, or its content is gone (`event.lost`)."""
    GAP = "gap"
    """Something before it is missing: resume after the cursor."""


class Cursor:
    """Delivers every numbered event once and in order, but for those whose content was lost with a host.

    Open questions and permissions are an exception: the server sends them again whenever a connection begins, out of
    order and with their old number, and whoever has not seen them should.
    """

    def __init__(self, after: int | None) -> None:
        self.seq = after
        self._asked: set[str] = set()

    def begin(self, last_seq: int) -> None:
        """A connection begins; without a position, reading starts after what has happened so far."""
        if self.seq is None:
            self.seq = last_seq

    def take(self, event: PodiumEvent) -> Verdict:
        """Judges the next frame."""
        if event.seq == 0 or self.seq is None:
            return Verdict.DELIVER
        if event.kind in _ASKED and event.seq != self.seq + 1:
            return self._take_again(event)
        if event.seq <= self.seq:
            return Verdict.SKIP
        if event.seq > self.seq + 1:
            return Verdict.GAP
        self.seq = event.seq
        return Verdict.SKIP if event.kind == _LOST else self._take_next(event)

    def _take_next(self, event: PodiumEvent) -> Verdict:
        request = _request_of(event)
        if event.kind == "tool.approval_resolved":
            self._asked.discard(request)
        elif event.kind in _ASKED:
            if request in self._asked:
                return Verdict.SKIP
            self._asked.add(request)
        return Verdict.DELIVER

    def _take_again(self, event: PodiumEvent) -> Verdict:
        request = _request_of(event)
        if request in self._asked:
            return Verdict.SKIP
        self._asked.add(request)
        return Verdict.DELIVER


def _request_of(event: PodiumEvent) -> str:
    return str((event.content or {}).get("request_id", ""))
