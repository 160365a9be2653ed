"""The fields a state class declares: annotated names, and plain class attributes, that do not begin with `_`."""

import sys
import types
import typing
from typing import Any

import msgspec

from podium.agent.state.shapes import Shape, shape_of

MISSING: Any = object()
"""A field without a default."""


class Declaration(msgspec.Struct, frozen=True):
    """One field: what was written behind the colon (None when nothing was), and its default or `MISSING`."""

    annotation: Any
    default: Any


def declared_by(owner: type[Any]) -> dict[str, Declaration]:
    """The fields `owner` itself declares, in order; their defaults are taken off the class, so that none is shared."""
    annotations = dict(owner.__annotations__)
    names = [name for name, annotation in annotations.items() if not name.startswith("_") and not _is_class(annotation)]
    names += [name for name, value in vars(owner).items() if name not in annotations and _is_default(name, value)]
    declared: dict[str, Declaration] = {}
    for name in names:
        declared[name] = Declaration(annotations.get(name), vars(owner).get(name, MISSING))
        if name in vars(owner):
            delattr(owner, name)
    return declared


def shapes_of(owner: type[Any], model: type[Any]) -> dict[str, Shape | None]:
    """The shape of every field of `owner` and its bases.

    Raises:
        TypeError: a field's annotation leaves open what the stored JSON is.
    """
    shapes: dict[str, Shape | None] = {}
    for base in reversed(owner.__mro__):
        for name, declaration in vars(base).get("_own_fields", {}).items():
            shapes[name] = shape_of(_resolved(declaration.annotation, base), model)
    return shapes


def _resolved(annotation: Any, owner: type[Any]) -> Any:
    """The annotation with names looked up; one that can't be looked up (imported for type checkers only) says nothing."""
    holder = types.SimpleNamespace(__annotations__={"field": annotation})
    module = sys.modules.get(owner.__module__)
    names = {**vars(owner), owner.__name__: owner}
    try:
        return typing.get_type_hints(holder, vars(module) if module else {}, names, include_extras=True)["field"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return None


def _is_class(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.startswith(("ClassVar", "typing.ClassVar"))
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _is_default(name: str, value: Any) -> bool:
    return not (name.startswith("_") or callable(value) or hasattr(value, "__get__"))
