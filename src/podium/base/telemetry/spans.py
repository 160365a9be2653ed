"""Spans: what took how long, for whom. Without a collector they cost next to nothing and only pass the trace context on.

    with span("workspace.open", attributes={"podium.agent_id": agent_id}):
        ...

A span that does not begin and end in one place is made by `begin` and ended by `end`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, Protocol

from podium.base.telemetry.context import current

Kind = Literal["internal", "server", "client", "consumer"]
"""Whose work it is: our own, a caller's request, a request of ours, a message that waited."""

Value = str | int | float | bool
Attributes = Mapping[str, Value]

_NONE: Final[Attributes] = {}


class Span:
    """A span nobody records. `traceparent` is what is called on its behalf should get: here, what it was begun under."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    @property
    def recorded(self) -> bool:
        """Whether it goes anywhere: what is expensive to find out need not be found out otherwise."""
        return False

    def set(self, attributes: Attributes) -> None:
        """Adds facts."""

    def event(self, name: str, attributes: Attributes = _NONE) -> None:
        """Notes that something happened now."""

    def fail(self, reason: str) -> None:
        """It is the span of something that failed; `reason` is for people and holds no secret."""

    def end(self) -> None:
        """It is over; a second time does nothing."""


class Recorder(Protocol):
    """Where spans come from."""

    def begin(self, name: str, parent: str, kind: Kind, attributes: Attributes) -> Span:
        """A span that has begun, below `parent` (a trace context; empty: a trace of its own)."""
        ...


class Nobody:
    """Records nothing: the recorder of a process without a collector."""

    def begin(self, _name: str, parent: str, _kind: Kind, _attributes: Attributes) -> Span:
        """A span that passes its parent on."""
        return Span(parent)


_NOBODY: Final = Nobody()
_recorder: Recorder = _NOBODY


def record_with(recorder: Recorder | None) -> None:
    """From now on the spans of this process go to `recorder`; None: nowhere."""
    global _recorder
    _recorder = recorder or _NOBODY


def begin(name: str, *, parent: str | None = None, kind: Kind = "internal", attributes: Attributes = _NONE) -> Span:
    """A span that has begun. `parent`: a trace context, empty for a trace of its own; None: the current one. End it."""
    return _recorder.begin(name, current.get() if parent is None else parent, kind, attributes)


@contextmanager
def under(traceparent: str) -> Iterator[None]:
    """Inside, what is done belongs to this trace; empty: to none."""
    token = current.set(traceparent)
    try:
        yield
    finally:
        current.reset(token)


@contextmanager
def span(
    name: str, *, parent: str | None = None, kind: Kind = "internal", attributes: Attributes = _NONE
) -> Iterator[Span]:
    """A span around a block, current inside it. An exception that leaves the block marks it as failed, by its type alone."""
    made = begin(name, parent=parent, kind=kind, attributes=attributes)
    try:
        with under(made.traceparent):
            yield made
    except BaseException as error:
        made.fail(type(error).__name__)
        raise
    finally:
        made.end()
