"""What the annotations of a state class say about sets and objects, which JSON does not tell from arrays and objects."""

import collections.abc
import types
import typing
from typing import Any, Final, Literal

import msgspec

Kind = Literal["list", "dict", "set", "object"]

_LISTS: Final = (list, collections.abc.MutableSequence, collections.abc.Sequence)
_DICTS: Final = (dict, collections.abc.MutableMapping, collections.abc.Mapping)
_SETS: Final = (set, collections.abc.MutableSet, collections.abc.Set)


class Shape(msgspec.Struct, frozen=True):
    """A place that holds a set or an object, or contains one. Places that don't have no shape (`None`)."""

    kind: Kind
    inner: "Shape | None" = None
    model: type[Any] | None = None


def shape_of(annotation: Any, model: type[Any]) -> Shape | None:
    """The shape `annotation` declares; `model` is the base of state classes.

    Raises:
        TypeError: a union of several kinds, of which the stored JSON could not tell which it was.
    """
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, model)
    ):
        return Shape("object", model=annotation)
    origin = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return shape_of(arguments[0], model)
    if origin in (typing.Union, types.UnionType):
        return _of_union(annotation, arguments, model)
    if origin in _SETS:
        return Shape("set")
    kind: Kind | None = "list" if origin in _LISTS else "dict" if origin in _DICTS else None
    inner = shape_of(arguments[-1], model) if kind and arguments else None
    return Shape(kind, inner) if kind and inner else None


def _of_union(annotation: Any, arguments: tuple[Any, ...], model: type[Any]) -> Shape | None:
    shapes = [shape for argument in arguments if (shape := shape_of(argument, model)) is not None]
    containers = [a for a in arguments if (typing.get_origin(a) or a) in (*_LISTS, *_DICTS, *_SETS)]
    if not shapes:
        return None
    if len(shapes) > 1 or len(containers) > (shapes[0].kind != "object"):
        raise TypeError(f"{annotation}: the stored JSON could not tell which of these it holds; declare one of them")
    return shapes[0]
