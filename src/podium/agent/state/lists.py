"""A list of the state."""

import operator
from collections.abc import Callable, Iterable
from typing import Any, Self, SupportsIndex, cast

from podium.agent.state.admission import admit, admit_all, kind_of_node, payload_of, plain, register
from podium.agent.state.dicts import leave, note_whole
from podium.agent.state.journal import Journal
from podium.agent.state.node import Change, note, note_shortest
from podium.agent.state.same import same
from podium.agent.state.shapes import Shape


class TrackedList(list[Any]):
    """Behaves like `list`; every change made through its methods and operators is recorded."""

    __slots__ = ("_key", "_parent", "_shape", "_source")
    _journal: Journal | None = None
    _podium_kind = "list"

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self._parent: Any = None
        self._key: str | int = ""
        self._source: Any = None
        self._shape = shape

    # ── one element ─────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, value: Any) -> None:
        """As `list.append`: `add …/-`."""
        index = len(self)
        stored, payload = admit(self, "/-", index, value, self._shape)
        super().append(stored)
        note(self, "add", "/-", payload)

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """As `list.insert`: `add …/index`."""
        size = len(self)
        at = operator.index(index)
        at = max(at + size, 0) if at < 0 else at
        if at >= size:
            self.append(value)
            return
        stored, payload = admit(self, f"/{at}", at, value, self._shape)
        super().insert(at, stored)
        note(self, "add", f"/{at}", payload)

    def pop(self, index: SupportsIndex = -1) -> Any:
        """As `list.pop`; what comes out is no longer part of the state."""
        at = operator.index(index)
        value = super().pop(at)
        leave(self, value)
        note(self, "remove", f"/{at + len(self) + 1 if at < 0 else at}")
        return value

    def remove(self, value: Any) -> None:
        """As `list.remove`."""
        self.pop(self.index(value))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            self._set_slice(index, value)
            return
        old = self[index]
        if same(old, value):
            return
        at = operator.index(index)
        at = at + len(self) if at < 0 else at
        stored, payload = admit(self, f"/{at}", at, value, self._shape, old)
        super().__setitem__(at, stored)
        note(self, "replace", f"/{at}", payload)

    def __delitem__(self, index: Any) -> None:
        if not isinstance(index, slice):
            self.pop(index)
            return
        indices = sorted(range(*index.indices(len(self))), reverse=True)
        for at in indices:
            leave(self, self[at])
        super().__delitem__(index)
        if not self and indices:
            note_whole(self)
        else:
            note_shortest(self, [Change("remove", f"/{at}") for at in indices], self._whole)

    # ── many elements ───────────────────────────────────────────────────────────────────────────────────────────

    def extend(self, values: Iterable[Any]) -> None:
        """As `list.extend`; all of it or, when a value is refused, nothing."""
        size = len(self)
        stored, payloads = admit_all(self, size, list(values), self._shape)
        super().extend(stored)
        note_shortest(self, [Change("add", "/-", payload) for payload in payloads], self._whole)

    def __iadd__(self, values: Iterable[Any]) -> Self:  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, times: SupportsIndex) -> Self:
        count = operator.index(times)
        if count <= 0:
            self.clear()
        else:
            self.extend(list(self) * (count - 1))
        return self

    def clear(self) -> None:
        """As `list.clear`: one replacement."""
        if self:
            for value in self:
                leave(self, value)
            super().clear()
            note_whole(self)

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """As `list.sort`; the elements that moved are replaced, or the whole list when that is shorter."""
        before = list(self)
        try:
            super().sort(key=key, reverse=reverse)
        finally:  # an exception in the middle leaves another order too
            self._note_order(before)

    def reverse(self) -> None:
        """As `list.reverse`."""
        before = list(self)
        super().reverse()
        self._note_order(before)

    def _note_order(self, before: list[Any]) -> None:
        moved = [index for index, value in enumerate(self) if not same(value, before[index])]
        if len(moved) > _MOVED_ALONE_MAX:
            note_whole(self)
        else:
            special = self._shape is not None
            changes = [Change("replace", f"/{at}", payload_of(self[at], special=special)) for at in moved]
            note_shortest(self, changes, self._whole)

    def _set_slice(self, index: slice, values: Iterable[Any]) -> None:
        if index.step is not None and operator.index(index.step) != 1:
            self._set_stepped(index, list(values))
            return
        start, stop, _ = index.indices(len(self))
        stop = max(start, stop)
        old = self[start:stop]
        stored, payloads = admit_all(self, start, list(values), self._shape, old)
        everything = len(old) == len(self)
        super().__setitem__(slice(start, stop), stored)
        if everything and (old or stored):
            note_whole(self)
        else:
            note_shortest(self, _splice(start, old, stored, payloads, len(self)), self._whole)

    def _set_stepped(self, index: slice, values: list[Any]) -> None:
        indices = range(*index.indices(len(self)))
        if len(indices) != len(values):
            raise ValueError(
                f"attempt to assign sequence of size {len(values)} to extended slice of size {len(indices)}"
            )
        stored, payloads = admit_all(self, 0, values, self._shape, self[index])
        super().__setitem__(index, stored)
        for at in indices:
            if kind_of_node(self[at]) is not None:
                self[at]._key = at
        changes = [Change("replace", f"/{at}", payload) for at, payload in zip(indices, payloads, strict=True)]
        note_shortest(self, changes, self._whole)

    def _whole(self) -> Any:
        return payload_of(self, special=self._shape is not None)

    # ── copies are plain ────────────────────────────────────────────────────────────────────────────────────────

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return list, (list(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return cast("list[Any]", plain(self))


_MOVED_ALONE_MAX = 16
"""More elements than these having moved, a list is written whole without comparing lengths."""


def _splice(start: int, old: list[Any], new: list[Any], payloads: list[Any], size: int) -> list[Change]:
    """`old` at `start` became `new`, in a list that now has `size` elements."""
    shared = min(len(old), len(new))
    changes = [Change("replace", f"/{start + n}", payloads[n]) for n in range(shared) if not same(old[n], new[n])]
    changes += [Change("remove", f"/{start + n}") for n in reversed(range(shared, len(old)))]
    at_end = start + len(new) == size
    changes += [Change("add", "/-" if at_end else f"/{start + n}", payloads[n]) for n in range(shared, len(new))]
    return changes


register(TrackedList)
