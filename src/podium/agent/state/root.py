"""The state of an agent, and objects inside it."""

import copy
import difflib
from typing import Any, ClassVar, Self, TypeVar

from podium.agent.errors import StateFieldError
from podium.agent.state import dicts, lists, sets
from podium.agent.state.admission import Admission, admit, plain
from podium.agent.state.fields import MISSING, Declaration, declared_by, shapes_of
from podium.agent.state.journal import Journal
from podium.agent.state.node import note, place
from podium.agent.state.same import same
from podium.agent.state.shapes import Shape

__all__ = ["DeltaState", "begin_recording", "lists", "restored", "sets"]

StateT = TypeVar("StateT", bound="DeltaState")


class DeltaState:
    """State that is kept by changing it. Subclass it, annotate the fields, give them defaults.

    Fields hold JSON values: strings, numbers, booleans, None, lists, dicts with string keys, sets of scalars (where the
    annotation says `set[…]`) and objects of other `DeltaState` classes (where the annotation names them), at any depth.
    Assigning a list, dict or set stores a copy: go on with `state.field`, not with the variable it came from. Names that
    begin with `_` are not stored.

    `_version` is the version of the class's layout. When the stored state has a lower one, `migrate` is called.
    `_entity_type` names the kind of state for tools.
    """

    __slots__ = ("__dict__", "__weakref__", "_journal", "_key", "_parent", "_source")

    _version: ClassVar[int] = 1
    _entity_type: ClassVar[str] = ""
    _podium_kind: ClassVar[str] = "object"
    _own_fields: ClassVar[dict[str, Declaration]] = {}
    _declared: ClassVar[dict[str, Declaration]] = {}
    _shapes: ClassVar[dict[str, Shape | None]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._own_fields = declared_by(cls)
        cls._declared = {
            name: declaration
            for base in reversed(cls.__mro__)
            for name, declaration in vars(base).get("_own_fields", {}).items()
        }
        cls._shapes = _LateShapes(cls)

    def __new__(cls, *_: Any, **__: Any) -> Self:  # noqa: D102 - a special method like others
        self = super().__new__(cls)
        put = object.__setattr__
        for name in ("_journal", "_parent", "_source"):
            put(self, name, None)
        put(self, "_key", "")
        return self

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self._fill()

    @classmethod
    def migrate(cls, data: dict[str, Any], from_version: int) -> dict[str, Any]:
        """Turns stored `data`, written with `_version` `from_version`, into what this class declares.

        Called when the stored version is lower than `_version`, before `on_init`. Fields that are absent afterwards take
        their defaults. An exception leaves the stored state as it was and the agent does not start.
        """
        return data

    def to_dict(self) -> dict[str, Any]:
        """A copy of the state as JSON values; sets are sorted lists."""
        copied: dict[str, Any] = plain(self)
        return copied

    def __setattr__(self, name: str, value: Any) -> None:
        shape = self._shapes.get(name, MISSING)
        fields = self.__dict__
        if shape is MISSING:
            if name.startswith("_") or hasattr(getattr(type(self), name, None), "__set__"):
                object.__setattr__(self, name, value)
                return
            if name not in fields:
                raise self._no_field(name)
            shape = None
        old = fields.get(name, MISSING)
        if same(old, value):
            return
        at = "/" + name
        stored, payload = admit(self, at, at, value, shape, old)
        fields[name] = stored
        note(self, "add" if old is MISSING else "replace", at, payload)

    def __delattr__(self, name: str) -> None:
        if name.startswith("_"):
            object.__delattr__(self, name)
            return
        if name not in self.__dict__:
            raise self._no_field(name)
        dicts.leave(self, self.__dict__.pop(name))
        note(self, "remove", "/" + name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._no_field(name)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and plain(self) == plain(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items() if not name.startswith("_"))
        return f"{type(self).__name__}({fields})"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return restored, (type(self), self.to_dict())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return restored(type(self), self.to_dict())

    def _fill(self) -> None:
        """Gives absent fields their defaults; recorded when the state is."""
        for name, declaration in self._declared.items():
            if name not in self.__dict__ and declaration.default is not MISSING:
                setattr(self, name, _copied(declaration.default))

    def _no_field(self, name: str) -> StateFieldError:
        path = place(self)[1]
        if name in self._declared:
            return StateFieldError(f"{path}/{name}", "has no value: it has no default and was not assigned, or deleted")
        near = difflib.get_close_matches(name, self._declared, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return StateFieldError(f"{path}/{name}", f"{type(self).__name__} declares no field {name!r}{hint}")


class _LateShapes(dict[str, Any]):
    """Shapes of a class, found out at the first use: an annotation may name a class that is defined later."""

    __slots__ = ("_owner",)

    def __init__(self, owner: type[DeltaState]) -> None:
        super().__init__()
        self._owner = owner

    def get(self, name: str, default: Any = None) -> Any:
        self._owner._shapes = shapes_of(self._owner, DeltaState)
        return self._owner._shapes.get(name, default)


def restored(model: type[StateT], data: dict[str, Any]) -> StateT:
    """A state of `model` that holds the stored `data`, and no defaults.

    Raises:
        StateValueError: `data` does not fit what the class declares.
    """
    state = model.__new__(model)
    admission = Admission(state, (), remember=False)
    for name, value in data.items():
        shape = model._shapes.get(name)
        state.__dict__[name] = admission.take_item(name, _typed(value, shape), shape)
    admission.commit()
    return state


def prepare_classes() -> None:
    """Finds out the shapes of all state classes there are: done once where processes are forked from, not in each.

    Raises:
        TypeError: an annotation leaves open what the stored JSON is.
    """
    left = list(DeltaState.__subclasses__())
    while left:
        model = left.pop()
        left += model.__subclasses__()
        if isinstance(model._shapes, _LateShapes):
            model._shapes = shapes_of(model, DeltaState)


def begin_recording(state: DeltaState, journal: Journal) -> None:
    """Makes `state` the root whose changes go to `journal`; absent fields then get their defaults, recorded."""
    state._journal = journal
    state._fill()


def _copied(default: Any) -> Any:
    """A default of its own. The short ways touch less memory in a fresh fork than `copy` does."""
    kind = type(default)
    if kind in (str, int, float, bool, type(None)):
        return default
    return kind() if kind in (list, dict, set) and not default else copy.deepcopy(default)


def _typed(value: Any, shape: Shape | None) -> Any:
    """Stored JSON with arrays that are sets, and objects that are `DeltaState`, made into those."""
    if shape is None or value is None:
        return value
    if shape.kind == "set" and isinstance(value, list):
        return set(value)
    if shape.kind == "object" and isinstance(value, dict) and shape.model is not None:
        return _object(shape.model, value)
    if shape.kind == "list" and isinstance(value, list):
        return [_typed(item, shape.inner) for item in value]
    if shape.kind == "dict" and isinstance(value, dict):
        return {name: _typed(item, shape.inner) for name, item in value.items()}
    return value


def _object(model: type[DeltaState], data: dict[str, Any]) -> DeltaState:
    return restored(model, data)
