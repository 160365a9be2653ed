"""What of a conversation no longer counts, after its agent was taken back to earlier moments. Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Rewind(NamedTuple):
    """The agent was taken back: event `seq` of its journal says so, and things go on from event `to` (below `seq`)."""

    seq: int
    to: int


class Span(NamedTuple):
    """The events between two numbers, neither of them included."""

    after: int
    before: int


def hidden(rewinds: Iterable[Rewind]) -> list[Span]:
    """The events that no longer count, the newest first.

    Read from the end: what lies between a rewind and where it led to is gone, and with it the rewinds in there. So going back to
    the moment before a rewind undoes it.
    """
    spans: list[Span] = []
    for rewind in sorted(rewinds, reverse=True):
        if not spans or rewind.seq <= spans[-1].after:
            spans.append(Span(rewind.to, rewind.seq))
    return spans
