"""A set of the state, stored as a sorted array: null, then numbers and booleans by value, then strings by code points."""

import bisect
from collections.abc import Iterable
from typing import Any, Self

from podium.agent.state.admission import checked_element, payload_of, register
from podium.agent.state.dicts import note_whole
from podium.agent.state.journal import Journal
from podium.agent.state.node import Change, note_shortest, place
from podium.agent.state.shapes import Shape


class TrackedSet(set[Any]):
    """Behaves like `set`; every change made through its methods and operators is recorded. Elements are scalars."""

    __slots__ = ("_key", "_order", "_parent", "_shape", "_source")
    _journal: Journal | None = None
    _podium_kind = "set"

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self._parent: Any = None
        self._key: str | int = ""
        self._source: Any = None
        self._shape = _SET
        self._order: list[tuple[int, Any]] | None = None

    def in_order(self) -> list[Any]:
        """The elements as they are stored."""
        return sorted(self, key=_rank)

    def add(self, value: Any) -> None:
        """As `set.add`: `add …/index` at its place in the order."""
        self._become({checked_element(value, place(self)[1])}, frozenset())

    def discard(self, value: Any) -> None:
        """As `set.discard`."""
        if value in self:
            self._become(frozenset(), {value})

    def remove(self, value: Any) -> None:
        """As `set.remove`."""
        if value not in self:
            raise KeyError(value)
        self._become(frozenset(), {value})

    def pop(self) -> Any:
        """As `set.pop`; takes the first in the stored order."""
        if not self:
            raise KeyError("pop from an empty set")
        value = self.in_order()[0]
        self._become(frozenset(), {value})
        return value

    def clear(self) -> None:
        """As `set.clear`: one replacement."""
        if self:
            super().clear()
            self._order = None
            note_whole(self)

    def update(self, *others: Iterable[Any]) -> None:
        """As `set.update`; all of it or, when a value is refused, nothing."""
        self._become(self._checked(others), frozenset())

    def difference_update(self, *others: Iterable[Any]) -> None:
        """As `set.difference_update`."""
        self._become(frozenset(), set().union(*others))

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """As `set.intersection_update`."""
        self._become(frozenset(), set(self).difference(set(self).intersection(*others)))

    def symmetric_difference_update(self, other: Iterable[Any]) -> None:
        """As `set.symmetric_difference_update`."""
        new = self._checked([other])
        self._become(new - self, set(self) & new)

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        self.update(other)
        return self

    def __iand__(self, other: Any) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        self.intersection_update(other)
        return self

    def __isub__(self, other: Any) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        self.difference_update(set(other))
        return self

    def __ixor__(self, other: Any) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        self.symmetric_difference_update(other)
        return self

    def _checked(self, others: Iterable[Iterable[Any]]) -> set[Any]:
        path = place(self)[1]
        return {checked_element(value, path) for other in others for value in other}

    def _become(self, added: Iterable[Any], removed: Iterable[Any]) -> None:
        order = self._order
        if order is None or len(order) != len(self):
            order = self._order = sorted(map(_rank, self))
        changes: list[Change] = []
        for value in removed:
            if value in self:
                at = bisect.bisect_left(order, _rank(value))
                del order[at]
                super().discard(value)
                changes.append(Change("remove", f"/{at}"))
        for value in added:
            if value not in self:
                rank = _rank(value)
                at = bisect.bisect_left(order, rank)
                changes.append(Change("add", "/-" if at == len(order) else f"/{at}", value))
                order.insert(at, rank)
                super().add(value)
        if not self and len(changes) > 1:
            note_whole(self)
        else:
            note_shortest(self, changes, lambda: payload_of(self, special=True))

    # ── copies are plain ────────────────────────────────────────────────────────────────────────────────────────

    def copy(self) -> set[Any]:
        """A plain set."""
        return set(self)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return set, (set(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> set[Any]:
        return set(self)


_SET = Shape("set")


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return 0, 0
    return (2, value) if type(value) is str else (1, value)


register(TrackedSet)
