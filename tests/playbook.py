"""Conversations with pure state machines: `>>` says an event, `<<` expects a decision, in order.

    playbook = Playbook(machine.handle)
    playbook >> Started(at=0) << Launch("a") >> Died(at=1) << Wait(0.5)
    playbook.end()

`handle` takes one event and returns its decisions. Expectations are compared at once, and what differs is shown as
the whole transcript with the difference marked. `end` fails when decisions are left that nobody expected; so does the
next `>>`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Event = TypeVar("Event")
Decision = TypeVar("Decision")


class Playbook(Generic[Event, Decision]):
    """One conversation with one state machine."""

    def __init__(self, handle: Callable[[Event], Iterable[Decision]]) -> None:
        self._handle = handle
        self._pending: deque[Decision] = deque()
        self._transcript: list[str] = []

    def __rshift__(self, event: Event) -> "Playbook[Event, Decision]":
        """Says `event`; every decision of the event before must have been expected."""
        self.end()
        self._transcript.append(f"  >> {event!r}")
        self._pending.extend(self._handle(event))
        return self

    def __lshift__(self, expected: Decision) -> "Playbook[Event, Decision]":
        """Expects `expected` as the next decision."""
        actual = self._pending.popleft() if self._pending else None
        if actual is None:
            self._fail(f"- << {expected!r}", "+ (no decision)")
        if actual != expected:
            self._fail(f"- << {expected!r}", f"+ << {actual!r}")
        self._transcript.append(f"  << {actual!r}")
        return self

    def end(self) -> None:
        """Fails when a decision was made that nobody expected."""
        if self._pending:
            self._fail(*(f"+ << {decision!r}" for decision in self._pending))

    def _fail(self, *difference: str) -> None:
        raise AssertionError(
            "\n".join(["the conversation went another way (- expected, + decided):", *self._transcript, *difference])
        )
