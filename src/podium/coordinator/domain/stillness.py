"""When databases that nobody writes are followed no more, and when they are followed again."""

from collections.abc import Hashable
from enum import Enum, auto
from typing import Final

STILL_SECONDS: Final = 6.0
"""After so long without a commit databases are still. Following one costs 0.07 % of a core, beginning again 4 ms of a processor: in
six seconds it is the same."""


class Order(Enum):
    """What is to be done about the databases of an agent."""

    NOTHING = auto()
    REST = auto()
    """Nobody has committed for a while: they need not be followed."""
    FOLLOW = auto()
    """Somebody has committed to databases that are not followed."""


class Stillness:
    """Watches the databases of one agent, from what they look like each time."""

    def __init__(self) -> None:
        self._mark: Hashable = None
        self._since = 0.0

    def look(self, mark: Hashable, now: float, *, rests: bool) -> Order:
        """What follows from what they look like now. `mark` differs after every commit; `rests`: they are not followed."""
        if mark != self._mark:
            self._mark, self._since = mark, now
            return Order.FOLLOW if rests else Order.NOTHING
        if rests or now - self._since < STILL_SECONDS:
            return Order.NOTHING
        return Order.REST

    def again(self, now: float) -> None:
        """They could not be put to rest: it is tried again as if somebody had committed just now."""
        self._since = now
