"""Careful readers of values an agent sent: each gives a value of the right type, or `MISSING`. None of them raises."""

import math
from typing import Any, Final, TypeVar, get_args

import msgspec

from diminuendo.domain.events import PermissionOption, Question
from podium.wire.events import Outcome, PermissionKind, StopReason

INTEGER_MAX: Final = 2**53 - 1
"""Largest count passed on: the largest whole number every JSON reader keeps exact."""


class Missing(msgspec.Struct, frozen=True):
    """Says that a value was not there, or was not of its type; `None` is a value."""


MISSING: Final = Missing()

_T = TypeVar("_T")
_STOP_REASONS: Final = frozenset(get_args(StopReason))
_OUTCOMES: Final = frozenset(get_args(Outcome))
_KINDS: Final[dict[object, PermissionKind]] = {kind: kind for kind in get_args(PermissionKind)}


def text(value: Any) -> str | Missing:
    """A string as it is."""
    return value if type(value) is str else MISSING


def identifier(value: Any) -> str | Missing:
    """A string that is not empty; a whole number counts by its digits."""
    if type(value) is str:
        return value or MISSING
    if type(value) is int and abs(value) <= INTEGER_MAX:
        return str(value)
    return MISSING


def anything(value: Any) -> Any:
    """Any JSON value."""
    return value


def count(value: Any) -> int | Missing:
    """A whole number from 0 to `INTEGER_MAX`; fractions are cut, what lies outside is moved to the border."""
    if type(value) is float:
        if not math.isfinite(value):
            return MISSING
    elif type(value) is not int:
        return MISSING
    return max(0, min(int(value), INTEGER_MAX))


def exit_code(value: Any) -> int | Missing | None:
    """The exit code of a process: a whole number of 32 bits, or None."""
    if value is None or (type(value) is int and -(2**31) <= value < 2**32):
        return value
    return MISSING


def percent(value: Any) -> float | Missing:
    """A number from 0 to 100; what lies outside is moved to the border."""
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return float(max(0, min(value, 100)))
    return MISSING


def stream(value: Any) -> str | Missing:
    """`stdout` or `stderr`."""
    return _one_of(value, _STREAMS)


def stop_reason(value: Any) -> str | Missing:
    """A stop reason of the contract."""
    return _one_of(value, _STOP_REASONS)


def outcome(value: Any) -> str | Missing:
    """An outcome of the contract."""
    return _one_of(value, _OUTCOMES)


def failure(value: Any) -> str | Missing:
    """The text of an error, given as a string or as an object with a `message`."""
    if type(value) is dict:
        value = value.get("message")
    return text(value)


def questions(value: Any) -> list[Question] | Missing:
    """The questions of a request; what is none is left out."""
    given = value if type(value) is list else [value]
    found = [question for place, item in enumerate(given) if (question := _question(item, str(place + 1))) is not None]
    return found or MISSING


def options(value: Any) -> list[PermissionOption] | Missing:
    """The options of a permission; what is none is left out."""
    if type(value) is not list:
        return MISSING
    return [option for item in value if (option := _option(item)) is not None]


def first(content: dict[Any, Any], keys: tuple[str, ...], default: _T) -> Any | _T:
    """The first value under one of `keys` that is an identifier, else `default`."""
    for key in keys:
        found = identifier(content.get(key))
        if found is not MISSING:
            return found
    return default


_STREAMS: Final = frozenset({"stdout", "stderr"})


def _one_of(value: Any, allowed: frozenset[str]) -> str | Missing:
    return value if type(value) is str and value in allowed else MISSING


def _question(item: Any, place: str) -> Question | None:
    if type(item) is str:
        return Question(place, item)
    if type(item) is not dict:
        return None
    asked = next((item[key] for key in ("question", "text") if type(item.get(key)) is str), None)
    if asked is None:
        return None
    choices = item.get("options")
    labels = [label for label in map(_label, choices) if label is not None] if type(choices) is list else None
    return Question(first(item, ("id",), place), asked, labels, item.get("multiple") is True)


def _label(choice: Any) -> str | None:
    if type(choice) is dict:
        choice = choice.get("label", choice.get("name"))
    return choice if type(choice) is str else None


def _option(item: Any) -> PermissionOption | None:
    if type(item) is str and item:
        return PermissionOption(item, item)
    if type(item) is not dict:
        return None
    option_id = first(item, ("option_id", "optionId", "id"), None)
    if option_id is None:
        return None
    kind = item.get("kind")
    name = next((item[key] for key in ("name", "label") if type(item.get(key)) is str), option_id)
    return PermissionOption(option_id, name, _KINDS.get(kind) if type(kind) is str else None)
