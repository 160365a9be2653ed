"""A dict of the state."""

from collections.abc import Iterable, Mapping
from typing import Any, Self, cast

from podium.agent.state.admission import Admission, admit, checked_key, kind_of_node, payload_of, plain, register
from podium.agent.state.journal import Journal
from podium.agent.state.node import Change, note, note_shortest, place, segment
from podium.agent.state.same import same
from podium.agent.state.shapes import Shape

_MISSING: Any = object()


class TrackedDict(dict[str, Any]):
    """Behaves like `dict`; every change is recorded. Keys are strings."""

    __slots__ = ("_key", "_parent", "_shape", "_source")
    _journal: Journal | None = None
    _podium_kind = "dict"

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self._parent: Any = None
        self._key: str | int = ""
        self._source: Any = None
        self._shape = shape

    def __setitem__(self, key: str, value: Any) -> None:
        old = self.get(key, _MISSING)
        if same(old, value):
            return
        if type(key) is not str or not key.isascii():
            checked_key(key, place(self)[1])
        at = segment(key)
        stored, payload = admit(self, at, at, value, self._shape, old)
        super().__setitem__(key, stored)
        note(self, "add" if old is _MISSING else "replace", at, payload)

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def pop(self, key: str, *default: Any) -> Any:
        """As `dict.pop`; what comes out is no longer part of the state."""
        if key not in self:
            return super().pop(key, *default)
        value = super().pop(key)
        leave(self, value)
        note(self, "remove", segment(key))
        return value

    def popitem(self) -> tuple[str, Any]:
        """As `dict.popitem`."""
        key, value = super().popitem()
        leave(self, value)
        note(self, "remove", segment(key))
        return key, value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As `dict.setdefault`; returns what is stored, which is tracked when it is a container."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **more: Any) -> None:
        """As `dict.update`; all of it or, when a value is refused, nothing."""
        self._merge(dict(*others, **more))

    def __ior__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:  # type: ignore[override,misc]
        self._merge(dict(other))
        return self

    def clear(self) -> None:
        """As `dict.clear`: one replacement."""
        if not self:
            return
        for value in self.values():
            leave(self, value)
        super().clear()
        note_whole(self)

    def _merge(self, new: dict[str, Any]) -> None:
        changed = {key: value for key, value in new.items() if not same(self.get(key, _MISSING), value)}
        old = {key: self[key] for key in changed if key in self}
        admission = Admission(self, old.values())
        stored = {key: admission.take_item(key, value, self._shape) for key, value in changed.items()}
        payloads = admission.finish(list(stored.values()), special=self._shape is not None)
        super().update(stored)
        changes = [
            Change("replace" if key in old else "add", segment(key), payload)
            for key, payload in zip(stored, payloads, strict=True)
        ]
        note_shortest(self, changes, lambda: payload_of(self, special=self._shape is not None))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", plain(self))


def note_whole(node: Any) -> None:
    """Records that `node` is replaced by what it holds now."""
    note(node, "replace", "", payload_of(node, special=node._shape is not None))


def leave(holder: Any, value: Any) -> None:
    """`value` is no longer part of `holder`; one that was put elsewhere since stays part of that."""
    if kind_of_node(value) is not None and value._parent is holder:
        value._parent = None


register(TrackedDict)
