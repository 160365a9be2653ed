"""A value on its way into a state: checked, copied into nodes, written as JSON; and only then part of the state.

Nothing is changed before everything is known to be right: an admission that raises leaves the state, the value and
the nodes that would have been replaced as they were.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from podium.agent.errors import StateAliasError, StateValueError
from podium.agent.state.journal import FRAME_OPS_MAX_BYTES
from podium.agent.state.node import attached, place, segment
from podium.agent.state.shapes import Shape

DEPTH_MAX: Final = 200
"""A value nested deeper is refused: JSON readers give up at depths like this."""

INTEGER_BITS_MAX: Final = 1024
"""A longer integer is refused: readers of JSON give up on much longer ones."""

_SHORT: Final = 1 << 20
_encode = msgspec.json.Encoder().encode
_MAKERS: dict[str, Callable[[Shape | None], Any]] = {}


def register(make: Callable[[Shape | None], Any]) -> None:
    """Makes a type of node known: `make(shape of its elements)` gives an empty one."""
    _MAKERS[make._podium_kind] = make  # type: ignore[attr-defined]


def kind_of_node(value: Any) -> str | None:
    """`list`, `dict`, `set` or `object` when `value` is a node."""
    return getattr(type(value), "_podium_kind", None)


def plain(value: Any) -> Any:
    """A copy of `value` as JSON values: dicts, sorted lists for sets, nothing tracked."""
    kind = kind_of_node(value)
    if kind is None:
        return value
    if kind == "list":
        return [plain(item) for item in value]
    if kind == "set":
        return value.in_order()
    fields = value.__dict__ if kind == "object" else value
    return {key: plain(item) for key, item in fields.items() if kind == "dict" or not key.startswith("_")}


def payload_of(value: Any, *, special: bool) -> Any:
    """`value` as an operation carries it: scalars as they are, nodes as JSON. `special`: it may contain sets or objects."""
    if type(value) in _SCALARS:
        return value
    return msgspec.Raw(_encode(plain(value) if special else value))


def admit(holder: Any, at: str, key: str | int, value: Any, shape: Shape | None, freed: Any = None) -> tuple[Any, Any]:
    """What to store at `at` (key `key`) of `holder` for `value`, and its payload. `freed` is the value that leaves.

    Raises:
        StateValueError: JSON can't hold it, or the place is declared for something else.
        StateAliasError: it is or contains a container that is part of a state already, or of itself.
    """
    if shape is None:
        if is_simple(value):
            if kind_of_node(freed) is not None and freed._parent is holder:
                freed._parent = None
            return value, value
        if is_flat(value) and kind_of_node(freed) is None:
            return _admit_flat(holder, at, key, value)
    admission = Admission(holder, (freed,))
    stored = admission.take(value, at, key, shape)
    return stored, admission.finish([stored], special=shape is not None)[0]


def admit_all(
    holder: Any, first: int, values: Iterable[Any], shape: Shape | None, freed: Iterable[Any] = ()
) -> tuple[list[Any], list[Any]]:
    """The same for many elements of the list `holder`, the first of which will stand at `first`."""
    admission = Admission(holder, freed)
    stored = [admission.take(value, f"/{first + n}", first + n, shape) for n, value in enumerate(values)]
    return stored, admission.finish(stored, special=shape is not None)


def is_simple(value: Any) -> bool:
    """Whether `value` is a scalar that surely is right as it is; the others are looked at more closely."""
    kind = type(value)
    if kind is str:
        return len(value) < _SHORT and bool(value.isascii())
    if kind is int:
        return bool(-_SHORT < value < _SHORT)
    return kind is bool or value is None


def is_flat(value: Any) -> bool:
    """Whether `value` is a plain list or dict of scalars that surely are right: the record an agent appends most."""
    kind = type(value)
    if kind is dict:
        for name, item in value.items():
            if type(name) is not str or not name.isascii() or not is_simple(item):
                return False
        return True
    return kind is list and all(map(is_simple, value))


def _admit_flat(holder: Any, at: str, key: str | int, value: Any) -> tuple[Any, Any]:
    """What an `Admission` does for a flat value, without its bookkeeping."""
    payload = msgspec.Raw(_encode(value))
    if memoryview(payload).nbytes > FRAME_OPS_MAX_BYTES:
        raise StateValueError(place(holder)[1] + at, _TOO_LARGE)
    journal, path = place(holder)
    if journal is not None and (known := journal.made_from(value)) is not None and attached(known):
        raise StateAliasError(path + at, f"the same container was put at {place(known)[1]} before; {_COPY_IT}")
    kind = "dict" if type(value) is dict else "list"
    node = _MAKERS[kind](None)
    (dict.update if kind == "dict" else list.extend)(node, value)
    node._parent, node._key, node._source = holder, key, value
    if journal is not None:
        journal.remember_source(node)
    return node, payload


class Admission:
    """One change that brings values into the tree below `holder`. `take` each, then `finish`."""

    def __init__(self, holder: Any, freed: Iterable[Any], *, remember: bool = True) -> None:
        self._holder = holder
        self._journal, self._base = place(holder)
        # One that was taken out with what it lay in, and put elsewhere since, is free no more.
        self._freed = [
            (node, node._parent) for node in freed if kind_of_node(node) is not None and node._parent is holder
        ]
        self._remember = remember
        self._seen: dict[int, tuple[str, Any]] = {}  # holds them, or an id could come twice
        self._open: set[int] = set()
        self._moves: list[tuple[Any, Any, str | int, Shape | None]] = []
        self._sources: list[Any] = []
        for node, _ in self._freed:
            node._parent = None

    def take(self, value: Any, at: str, key: str | int, shape: Shape | None) -> Any:
        """What to store for `value` at `at` below the holder."""
        try:
            return self._value(value, (self._base + at, self._holder, key, shape), 1)
        except BaseException:
            self._undo()
            raise

    def take_item(self, key: Any, value: Any, shape: Shape | None) -> Any:
        """What to store for `value` under `key` of a dict."""
        try:
            at = segment(checked_key(key, self._base))
        except BaseException:
            self._undo()
            raise
        return self.take(value, at, at, shape)

    def finish(self, stored: list[Any], *, special: bool) -> list[Any]:
        """Writes `stored` as payloads and makes it true."""
        try:
            payloads = [payload_of(value, special=special) for value in stored]
            for payload in payloads:
                if type(payload) is msgspec.Raw and memoryview(payload).nbytes > FRAME_OPS_MAX_BYTES:
                    raise StateValueError(self._base, _TOO_LARGE)
        except BaseException:
            self._undo()
            raise
        self.commit()
        return payloads

    def commit(self) -> None:
        """Makes it true: what was taken belongs to the tree from here on."""
        for node, parent, key, inner in self._moves:
            node._parent, node._key = parent, key
            if inner is not None or hasattr(node, "_shape"):
                node._shape = inner
        if self._journal is not None:
            for node in self._sources:
                self._journal.remember_source(node)

    def _is_above(self, node: Any) -> bool:
        """Whether the holder stands under `node`; only a node can, not what is made here."""
        above = self._holder
        while above is not None and above is not node:
            above = above._parent
        return above is node

    def _undo(self) -> None:
        for node, parent in self._freed:
            node._parent = parent

    # ── one value; a place is (path, parent, key, shape) ────────────────────────────────────────────────────────

    def _value(self, value: Any, where: tuple[str, Any, str | int, Shape | None], depth: int) -> Any:
        path, _, _, shape = where
        if type(value) in _SCALARS:
            if shape is not None and value is not None:
                raise StateValueError(path, f"is declared as {_declared(shape)}, got {type(value).__name__}")
            return _checked_scalar(value, path)
        kind = kind_of_node(value)
        known = kind is not None
        if kind is None:
            kind = _BASES.get(type(value)) or next(
                (name for base, name in _BASES.items() if isinstance(value, base)), None
            )
            if kind is None:
                return _checked_scalar(_unwrapped(value, path), path)
            self._refuse_known_source(value, path)
        elif attached(value):
            raise StateAliasError(path, f"the same {kind} is already at {place(value)[1] or '/'}; {_COPY_IT}")
        if shape is not None or kind == "set" or kind == "object":
            _check_kind(kind, value, where)
        if depth > DEPTH_MAX:
            raise StateValueError(path, f"nested deeper than {DEPTH_MAX} levels")
        self._enter(value, path)
        node = self._claimed(kind, value, where, depth) if known else self._made(kind, value, where, depth)
        self._open.discard(id(value))
        return node

    def _enter(self, value: Any, path: str) -> None:
        if id(value) in self._open:
            raise StateAliasError(path, "it would contain itself")
        source = getattr(value, "_source", None)
        for known in (value, source):
            if known is not None and id(known) in self._seen:
                raise StateAliasError(path, f"the same container is also at {self._seen[id(known)][0]}; {_COPY_IT}")
            self._seen[id(known)] = (path, known)
        self._open.add(id(value))

    def _refuse_known_source(self, value: Any, path: str) -> None:
        known = self._journal.made_from(value) if self._journal is not None else None
        if known is not None and attached(known):
            raise StateAliasError(path, f"the same container was put at {place(known)[1]} before; {_COPY_IT}")

    def _made(self, kind: str, value: Any, where: tuple[str, Any, str | int, Shape | None], depth: int) -> Any:
        path, parent, key, shape = where
        inner = shape.inner if shape is not None else None
        node = _MAKERS[kind](inner)
        node._parent, node._key = parent, key
        if self._remember:
            node._source = value
            self._sources.append(node)
        if kind == "list":
            items = [
                item
                if inner is None and is_simple(item)
                else self._value(item, (f"{path}/{n}", node, n, inner), depth + 1)
                for n, item in enumerate(value)
            ]
            list.extend(node, items)
        elif kind == "set":
            set.update(node, [checked_element(item, path) for item in value])
        else:
            put = dict.__setitem__
            for name, item in value.items():
                if type(name) is not str or not name.isascii():
                    checked_key(name, path)
                if inner is None and is_simple(item):
                    put(node, name, item)
                else:
                    at = segment(name)
                    put(node, name, self._value(item, (path + at, node, at, inner), depth + 1))
        return node

    def _claimed(self, kind: str, node: Any, where: tuple[str, Any, str | int, Shape | None], depth: int) -> Any:
        path, parent, key, shape = where
        inner = shape.inner if shape is not None else None
        if self._is_above(node):
            raise StateAliasError(path, "it would contain itself")
        self._moves.append((node, parent, key, inner))
        if node._source is not None:
            self._sources.append(node)
        if kind == "list":
            for n, item in enumerate(node):
                self._inside(item, (f"{path}/{n}", node, n, inner), depth)
        elif kind != "set":
            for name, item in (node.__dict__ if kind == "object" else node).items():
                at = segment(name)
                declared = node._shapes.get(name) if kind == "object" else inner
                self._inside(item, (path + at, node, at, declared), depth)
        return node

    def _inside(self, item: Any, where: tuple[str, Any, str | int, Shape | None], depth: int) -> None:
        """An element of a node that comes in whole: it is a node itself or was checked when it came there."""
        if type(item) not in _SCALARS:
            self._value(item, where, depth + 1)


def checked_key(key: Any, path: str) -> str:
    """A key of a dict.

    Raises:
        StateValueError: it is no string, or not valid Unicode.
    """
    if type(key) is not str:
        raise StateValueError(path, f"keys must be strings, got {key!r} ({type(key).__name__})")
    return str(_checked_scalar(key, path))


def checked_element(value: Any, path: str) -> Any:
    """An element of a set.

    Raises:
        StateValueError: it is no string, number, boolean or None.
    """
    return _checked_scalar(value if type(value) in _SCALARS else _unwrapped(value, path), path)


def _checked_scalar(value: Any, path: str) -> Any:
    kind = type(value)
    if kind is float and not math.isfinite(value):
        raise StateValueError(path, f"JSON has no {value!r}")
    if kind is int and value.bit_length() > INTEGER_BITS_MAX:
        raise StateValueError(path, f"an integer of {value.bit_length()} bits; at most {INTEGER_BITS_MAX} are allowed")
    if kind is str and not (value.isascii() and len(value) < _SHORT):
        _check_text(value, path)
    return value


def _check_text(value: str, path: str) -> None:
    try:
        size = len(_encode(value))
    except UnicodeEncodeError:
        raise StateValueError(path, "a string with a lone surrogate, which UTF-8 can't hold") from None
    if size > FRAME_OPS_MAX_BYTES:
        raise StateValueError(path, _TOO_LARGE)


def _unwrapped(value: Any, path: str) -> Any:
    """A scalar of a derived type (an enumeration's member, a numpy float) as the scalar it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    hint = _HINTS.get(type(value).__name__, "")
    raise StateValueError(path, f"JSON can't hold a {type(value).__name__}{hint}")


def _check_kind(kind: str, value: Any, where: tuple[str, Any, str | int, Shape | None]) -> None:
    path, _, _, shape = where
    wanted = shape.kind if shape is not None else None
    if wanted == "object" and shape is not None and shape.model is not None and not isinstance(value, shape.model):
        raise StateValueError(path, f"is declared as {shape.model.__name__}, got {type(value).__name__}")
    if kind == wanted:
        return
    if wanted == "set" or (kind == "set" and wanted is not None):
        raise StateValueError(path, f"is declared as {_declared(shape)}, got a {kind}")
    if kind == "set":
        raise StateValueError(
            path, "a set is stored as an array: annotate the place with set[…], so that it comes back"
        )
    if kind == "object":
        raise StateValueError(path, f"annotate the place with {type(value).__name__}, so that it comes back as one")


def _declared(shape: Shape | None) -> str:
    if shape is None:
        return "anything"
    return shape.model.__name__ if shape.model is not None else f"a {shape.kind}"


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_BASES: Final[dict[type[Any], str]] = {list: "list", dict: "dict", set: "set"}
_TOO_LARGE: Final = f"more than {FRAME_OPS_MAX_BYTES} bytes of JSON in one change"
_COPY_IT: Final = "assign a copy (copy.deepcopy), or take it out of the other place first"
_HINTS: Final = {
    "tuple": ": use a list",
    "frozenset": ": use a set",
    "datetime": ": use value.isoformat() or a timestamp",
    "date": ": use value.isoformat()",
    "Decimal": ": use str(value)",
    "UUID": ": use str(value)",
    "bytes": ": decode it, or keep it as a file of the workspace",
    "deque": ": use a list",
}
